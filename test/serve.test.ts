/** The OpenAI-compatible endpoint over a run's result, asked by real HTTP clients. */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OptimizeResult } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import type { LogRecord } from '../src/server/openai/app.ts';
import { type ServeOptions, type Serving, serve } from '../src/server/openai/serve.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

let task: TinyTask;
let result: OptimizeResult;
let serving: Serving;
const logged: LogRecord[] = [];
beforeAll(async () => {
  task = await tinyTask({ examples: 30 });
  const store = await openStore();
  result = await optimize(await task.load('method.name=random', 'budget.evaluations=1000'), {
    store,
  });
  store.close();
  serving = await start({ log: (record) => logged.push(record), queue: 4, requestMs: 1500 });
});
afterAll(async () => {
  await serving?.close(0);
  await task.remove();
});

async function start(options: Partial<ServeOptions> = {}): Promise<Serving> {
  const store = await openStore();
  const run = store.getRun(result.runId);
  store.close();
  return serve(run, { port: 0, ...options });
}

const json = { 'content-type': 'application/json' };
function post(path: string, body: unknown, { to = serving, headers = {} } = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(to.url + path, { method: 'POST', headers: { ...json, ...headers }, body: text });
}
interface Choice {
  readonly index: number;
  readonly text: string;
  readonly message: { readonly content: string };
  readonly logprobs: {
    readonly tokens: readonly string[];
    readonly content: readonly Told[];
  };
}
interface Told {
  readonly token: string;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly { readonly token: string; readonly logprob: number }[];
}
/** Whatever a route may say, so that tests read it. */
interface Body {
  readonly model: string;
  readonly choices: readonly [Choice, ...Choice[]];
  readonly usage: Record<'prompt_tokens' | 'completion_tokens' | 'total_tokens', number>;
  readonly error: { readonly message: string; readonly type: string; readonly code: string };
  readonly data: readonly { readonly id: string }[];
}
async function read(response: Response | Promise<Response>): Promise<Body> {
  return (await (await response).json()) as Body;
}
const asked = (content: string, more: object = {}) => ({
  model: 'whetstone',
  messages: [{ role: 'user', content }],
  ...more,
});

describe('chat completions', () => {
  it('answers with a label word, its tokens counted', async () => {
    const response = await post('/v1/chat/completions', asked('the room was cold'));
    expect(response.status).toBe(200);
    const body = await read(response);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      model: 'whetstone',
      choices: [
        { index: 0, message: { role: 'assistant' }, finish_reason: 'stop', logprobs: null },
      ],
    });
    expect(['negative', 'positive']).toContain(body.choices[0].message.content);
    const { prompt_tokens, completion_tokens, total_tokens } = body.usage;
    // The input's four words, and the prompt's.
    expect(prompt_tokens).toBe(4 + result.promptTokens.length);
    expect(completion_tokens).toBe(1);
    expect(total_tokens).toBe(prompt_tokens + 1);
  });

  it('answers as the run scored: every test example', async () => {
    const { readFile } = await import('node:fs/promises');
    const rows = (await readFile(join(task.folder, 'test.tsv'), 'utf8'))
      .trim()
      .split('\n')
      .slice(1);
    let hits = 0;
    for (const row of rows) {
      const [text, label] = row.split('\t');
      const response = await post('/v1/chat/completions', asked(text!));
      const { choices } = await read(response);
      if (choices[0].message.content === ['negative', 'positive'][Number(label)]) hits++;
    }
    expect(hits / rows.length).toBeCloseTo(result.test.score, 9);
  });

  it('tells the words’ log-probabilities where they are asked for', async () => {
    const more = { logprobs: true, top_logprobs: 5 };
    const response = await post('/v1/chat/completions', asked('it was great', more));
    const [first] = (await read(response)).choices[0].logprobs.content;
    expect(first!.token).toBe(first!.top_logprobs[0]!.token);
    expect(first!.top_logprobs).toHaveLength(2);
    const shares = first!.top_logprobs.map(({ logprob }: { logprob: number }) => Math.exp(logprob));
    expect(shares[0]! + shares[1]!).toBeCloseTo(1, 6);
    expect(first!.bytes).toEqual([...Buffer.from(first!.token)]);
  });

  it('streams chunks of the same answer', async () => {
    const question = asked('the room was cold', { stream: true, stream_options: { include_usage: true } }); // biome-ignore format: one value
    const response = await post('/v1/chat/completions', question);
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = (await response.text()).trim().split('\n\n');
    expect(events.at(-1)).toBe('data: [DONE]');
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, '')));
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    const whole = await read(post('/v1/chat/completions', asked('the room was cold')));
    expect(text).toBe(whole.choices[0].message.content);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, 'stop', undefined]); // biome-ignore format: one list
    expect(chunks.at(-1).usage).toEqual(whole.usage);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it('takes what clients send besides, and content in parts', async () => {
    const body = {
      model: result.runId,
      messages: [
        { role: 'system', content: 'You are a helpful assistant.' },
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'hello' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'the food was' },
            { type: 'text', text: ' fine' },
          ],
        },
      ],
      temperature: 0.7,
      top_p: 1,
      presence_penalty: 0,
      user: 'me',
      tools: [],
      functions: null,
      modalities: ['text'],
      store: false,
      logit_bias: {},
      metadata: { trace: 'a' },
      stream_options: null,
    };
    const response = await post('/v1/chat/completions', body);
    expect(response.status).toBe(200);
    expect((await read(response)).model).toBe(result.runId);
  });

  it.each<[string, unknown, number, string, string | null]>([
    ['no JSON', '{', 400, 'the body is no JSON', null],
    ['no model', { ...asked('x'), model: undefined }, 400, 'model: expected string, got nothing; ask for whetstone or ', 'model'], // biome-ignore format: one value
    ['a model that is no name', { ...asked('x'), model: 7 }, 400, 'model: expected string, got 7; ask for ', 'model'], // biome-ignore format: one value
    [
      'no messages',
      { model: 'whetstone' },
      400,
      'messages: expected array, got nothing',
      'messages',
    ],
    ['an empty conversation', asked('x', { messages: [] }), 400, 'messages: expected at least 1 entries, got a list', 'messages'], // biome-ignore format: one value
    ['what is too hot', asked('x', { temperature: 3 }), 400, 'temperature: expected at most 2, got 3', 'temperature'], // biome-ignore format: one value
    [
      'no user',
      { model: 'whetstone', messages: [{ role: 'system', content: 'x' }] },
      400,
      'expected a message of the user',
      'messages',
    ],
    [
      'a role that is not there',
      { model: 'whetstone', messages: [{ role: 'god', content: 'x' }] },
      400,
      'messages.0.role: ',
      'messages.0.role',
    ],
    [
      'a picture',
      {
        model: 'whetstone',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }],
      },
      400,
      'messages.0.content',
      'messages.0.content',
    ],
    ['another model', { ...asked('x'), model: 'gpt-4o' }, 404, 'ask for whetstone or ', 'model'],
    [
      'a picture beside a text, by name',
      asked('x', { messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'image_url', image_url: {} }] }] }), // biome-ignore format: one value
      400,
      'pictures, sound and files are not served',
      'messages.0.content',
    ],
    [
      'functions',
      asked('x', { functions: [{ name: 'f' }] }),
      400,
      'tools are not served',
      'functions',
    ],
    [
      'a tool’s answer',
      asked('x', {
        messages: [
          { role: 'user', content: 'x' },
          { role: 'tool', content: 'x' },
        ],
      }),
      400,
      'tools are not served',
      'messages.1.role',
    ],
    [
      'a call of a tool',
      asked('x', { messages: [{ role: 'assistant', content: null, tool_calls: [{}] }] }),
      400,
      'tools are not served',
      'messages.0.tool_calls',
    ],
    ['sound', asked('x', { modalities: ['text', 'audio'] }), 400, 'answers are text alone', 'modalities.1'], // biome-ignore format: one value
    ['five stops', asked('x', { stop: [...'abcde'] }), 400, 'up to four', 'stop'],
    ['no object', [], 400, 'the body: expected a group of keys, got a list', null],
    ['two answers', asked('x', { n: 2 }), 400, 'one answer a request', 'n'],
    ['tools', asked('x', { tools: [{ type: 'function' }] }), 400, 'tools are not served', 'tools'],
    [
      'JSON',
      asked('x', { response_format: { type: 'json_object' } }),
      400,
      'answers are text alone',
      'response_format.type',
    ],
    ['what does not fit', asked('food '.repeat(600)), 400, 'tokens', null],
  ])('refuses %s in OpenAI’s shape', async (_, body, status, message, param) => {
    const response = await post('/v1/chat/completions', body);
    expect(response.status).toBe(status);
    const { error } = await read(response);
    expect(error).toMatchObject({ type: 'invalid_request_error', param });
    expect(error.message).toContain(message);
    expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
  });

  it('answers those beside one that does not fit', async () => {
    const texts = ['the food was fine', 'food '.repeat(600), 'the room was cold'];
    const all = await Promise.all(texts.map((text) => post('/v1/chat/completions', asked(text))));
    expect(all.map(({ status }) => status)).toEqual([200, 400, 200]);
    expect((await read(all[1]!)).error.code).toBe('context_length_exceeded');
  });
});

describe('the other routes', () => {
  it.each<[string, string, string, number]>([
    ['GET', '/v1/chat/completions', 'POST', 405],
    ['DELETE', '/v1/completions', 'POST', 405],
    ['POST', '/v1/models', 'GET', 405],
    ['DELETE', '/v1/models/whetstone', 'GET', 405],
    ['POST', '/health', 'GET', 405],
    ['PUT', '/v1/chat/completions', '', 405],
    ['POST', '/v1/responses', '', 404],
  ])('%s %s is refused, and told how it is asked', async (method, path, allow, status) => {
    const body = method === 'GET' ? {} : { body: '{}' };
    const response = await fetch(serving.url + path, { method, headers: json, ...body });
    expect([response.status, response.headers.get('allow') ?? '']).toEqual([status, allow]);
    expect(Object.keys((await read(response)).error)).toEqual(['message', 'type', 'param', 'code']);
  });

  it.each<[string, object, string]>([
    ['token ids', { prompt: [1, 2] }, 'token ids are not served'],
    ['a suffix', { prompt: 'x', suffix: 'y' }, 'leave suffix out'],
  ])('completions refuse %s', async (_, body, message) => {
    const response = await post('/v1/completions', { model: 'whetstone', ...body });
    expect(response.status).toBe(400);
    expect((await read(response)).error.message).toContain(message);
  });

  it('completions: one or several texts, whole and streamed', async () => {
    const one = await read(post('/v1/completions', { model: 'whetstone', prompt: 'the room was cold', logprobs: 2 })); // biome-ignore format: one call
    expect(one).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, finish_reason: 'stop' }],
    });
    expect(one.choices[0].logprobs.tokens).toEqual([one.choices[0].text]);
    const body = { model: 'whetstone', prompt: ['the room was cold', 'it was great'] };
    const two = await read(post('/v1/completions', body));
    expect(two.choices.map(({ index }: { index: number }) => index)).toEqual([0, 1]);
    expect(two.choices[0].text).toBe(one.choices[0].text);
    const streamed = await (await post('/v1/completions', { ...body, stream: true })).text();
    const chunks = streamed
      .trim()
      .split('\n\n')
      .slice(0, -1)
      .map((event) => JSON.parse(event.slice(6)));
    const text = (at: number) =>
      chunks.flatMap(({ choices }) => choices).filter(({ index }) => index === at).map(({ text }) => text).join(''); // biome-ignore format: one value
    expect([text(0), text(1)]).toEqual(two.choices.map(({ text }: { text: string }) => text));
  });

  it('models, health', async () => {
    const models = await read(fetch(`${serving.url}/v1/models`));
    expect(models.data.map(({ id }: { id: string }) => id)).toEqual(['whetstone', result.runId]);
    expect((await fetch(`${serving.url}/v1/models/whetstone`)).status).toBe(200);
    expect((await fetch(`${serving.url}/v1/models/gpt-4o`)).status).toBe(404);
    const health = await read(fetch(`${serving.url}/health`));
    expect(health).toMatchObject({ status: 'ok', run: result.runId, waiting: 0, inProgress: 0 });
    const none = await fetch(`${serving.url}/v1/embeddings`);
    expect([none.status, (await read(none)).error.type]).toEqual([404, 'invalid_request_error']);
  });

  it('metrics in Prometheus’ format', async () => {
    const response = await fetch(`${serving.url}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const lines = (await response.text()).trimEnd().split('\n');
    const sample = /^[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+$/; // biome-ignore format: one pattern
    const help = /^# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))$/;
    expect(lines.filter((line) => !sample.test(line) && !help.test(line))).toEqual([]);
    const of = (start: string) => Number(lines.find((line) => line.startsWith(start))?.split(' ').at(-1)); // biome-ignore format: one line
    expect(
      of('whetstone_requests_total{path="/v1/chat/completions",status="200"}'),
    ).toBeGreaterThan(30);
    expect(
      of('whetstone_requests_total{path="/v1/chat/completions",status="400"}'),
    ).toBeGreaterThan(5);
    const answers = ['negative', 'positive'].map(
      (word) => of(`whetstone_answers_total{label="${word}"}`) || 0,
    );
    expect(answers[0]! + answers[1]!).toBeGreaterThan(30);
    expect(of('whetstone_request_seconds_bucket{le="+Inf"}')).toBe(
      of('whetstone_request_seconds_count'),
    );
    expect(of('process_resident_memory_bytes')).toBeGreaterThan(1e7);
  });

  it('logs each request without a word of what was said', async () => {
    const before = logged.length;
    await post('/v1/chat/completions', asked('the secret room'));
    await (await post('/v1/chat/completions', asked('the secret room', { stream: true }))).text();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const records = logged.slice(before);
    expect(records).toHaveLength(2);
    expect(records[0]).toMatchObject({ event: 'request', method: 'POST', path: '/v1/chat/completions', status: 200, completion_tokens: 1 }); // biome-ignore format: one value
    expect(records[1]).toMatchObject({ stream: true, completion_tokens: 1 });
    expect(JSON.stringify(records)).not.toContain('secret');
  });
});

describe('a client that is not ours', () => {
  const model = () => createOpenAICompatible({ name: 'w', baseURL: serving.baseUrl }).chatModel('whetstone'); // biome-ignore format: one line
  const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'the room was cold' }] }]; // biome-ignore format: one value

  it('reads whole answers', async () => {
    const { content, finishReason, usage } = await model().doGenerate({ prompt });
    expect(content).toEqual([{ type: 'text', text: expect.stringMatching(/^(nega|posi)tive$/) }]);
    expect(JSON.stringify(finishReason)).toContain('stop');
    expect(JSON.stringify(usage)).toContain(String(4 + result.promptTokens.length));
  });

  it('reads streams', async () => {
    const { stream } = await model().doStream({ prompt, includeRawChunks: false });
    const parts: { type: string; delta?: string }[] = [];
    for await (const part of stream as unknown as AsyncIterable<(typeof parts)[number]>)
      parts.push(part);
    const text = parts
      .filter(({ type }) => type === 'text-delta')
      .map(({ delta }) => delta)
      .join('');
    expect(text).toMatch(/^(nega|posi)tive$/);
    expect(parts.filter(({ type }) => type === 'error')).toEqual([]);
    expect(parts.at(-1)!.type).toBe('finish');
  });

  it('reads refusals', async () => {
    const tooLong = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'food '.repeat(600) }] }]; // biome-ignore format: one value
    await expect(model().doGenerate({ prompt: tooLong })).rejects.toMatchObject({ statusCode: 400, message: expect.stringContaining('tokens') }); // biome-ignore format: one call
  });
});

describe('hostile and hurried clients', () => {
  it('answers 200 at once or says that it cannot', async () => {
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        post('/v1/chat/completions', asked(`the room was cold ${'very '.repeat(i % 7)}`)),
      ),
    );
    const statuses = all.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    const full = all.find(({ status }) => status === 429)!;
    expect(full.headers.get('retry-after')).toBe('1');
    expect((await read(full)).error).toMatchObject({
      type: 'rate_limit_error',
      code: 'queue_full',
    });
    expect((await post('/v1/chat/completions', asked('it was great'))).status).toBe(200);
  });

  it('serves others beside 200 slow connections, and closes those', async () => {
    const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le';
    const { port } = new URL(serving.url);
    const slow = Array.from(
      { length: 200 },
      () =>
        new Promise<void>((closed) => {
          const socket = connect(Number(port), '127.0.0.1', () => socket.write(head));
          socket.on('error', () => {});
          socket.on('close', () => closed());
          socket.resume();
        }),
    );
    expect((await post('/v1/chat/completions', asked('it was great'))).status).toBe(200);
    await Promise.all(slow);
  });

  it('refuses 11 MB, and a Host that is not its own', async () => {
    const large = await post(
      '/v1/chat/completions',
      JSON.stringify(asked('a'.repeat(11 * 2 ** 20))),
    );
    expect(large.status).toBe(413);
    expect((await read(large)).error.message).toContain('10 MB');
    const { port } = new URL(serving.url);
    const said = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      let all = '';
      socket.on('data', (chunk) => {
        all += chunk;
      });
      socket.on('close', () => resolve(all));
      socket.write(`GET /v1/models HTTP/1.1\r\nHost: evil.example:${port}\r\n\r\n`);
    });
    expect(said).toMatch(/^HTTP\/1\.1 421 /);
    expect(JSON.parse(said.split('\r\n\r\n')[1]!).error.type).toBe('invalid_request_error');
    const cross = await post('/v1/chat/completions', asked('x'), {
      headers: { origin: 'http://evil.example' },
    });
    expect([cross.status, (await read(cross)).error.code]).toEqual([403, 'refused']);
    expect((await post('/v1/chat/completions', asked('it was great'))).status).toBe(200);
  });

  it('forgets who goes away', async () => {
    const gone = new AbortController();
    const request = fetch(`${serving.url}/v1/chat/completions`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify(asked('it was great')),
      signal: gone.signal,
    });
    gone.abort();
    await expect(request).rejects.toThrow();
    expect((await post('/v1/chat/completions', asked('it was great'))).status).toBe(200);
  });

  it('lets other machines in with a key alone', async () => {
    await expect(start({ host: '0.0.0.0' })).rejects.toThrow(
      'lets other machines in, which needs a key',
    );
    const other = await start({ host: '0.0.0.0', apiKey: 'sesame-4711' });
    const say = (headers = {}) =>
      post('/v1/chat/completions', asked('it was great'), { to: other, headers });
    expect((await say()).status).toBe(401);
    const wrong = await say({ authorization: 'Bearer nothing' });
    expect((await read(wrong)).error.code).toBe('invalid_api_key');
    expect((await say({ authorization: 'Bearer sesame-4711' })).status).toBe(200);
    expect((await say({ authorization: 'bearer sesame-4711' })).status).toBe(200);
    expect((await fetch(`${other.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${other.url}/health`)).status).toBe(200);
    await other.close(0);
  });

  it('says that no answer came in time', async () => {
    const hurried = await start({ timeoutMs: 1 });
    const response = await post('/v1/chat/completions', asked('it was great'), { to: hurried });
    expect([response.status, (await read(response)).error.code]).toEqual([504, 'timeout']);
    await hurried.close(0);
  });
});

describe('the command', () => {
  function whetstone(...args: string[]): ChildProcess {
    const env = { ...process.env, NO_COLOR: '1' };
    return spawn(process.execPath, [built, ...args], { cwd: task.folder, env });
  }

  it('prints its address, answers, and ends by Ctrl-C when what it has in hand is done', async () => {
    const child = whetstone('serve', result.runId, '--port', '0', '--json');
    let err = '';
    child.stderr!.on('data', (chunk) => {
      err += chunk;
    });
    const lines: { kind: string; url: string; requests?: number }[] = [];
    const reading = createInterface({ input: child.stdout! });
    const listening = new Promise<string>((resolve) => {
      reading.on('line', (line) => {
        const record = JSON.parse(line);
        lines.push(record);
        if (record.kind === 'serving') resolve(record.url);
      });
    });
    const url = await listening;
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const to = { url } as Serving;
    const inHand = Array.from({ length: 20 }, () =>
      post('/v1/chat/completions', asked('it was great'), { to }),
    );
    await inHand[0];
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    const answered = await Promise.allSettled(inHand);
    expect(code).toBe(0);
    for (const one of answered) {
      // What was not in hand yet is refused as a connection or as 503.
      if (one.status === 'fulfilled') expect([200, 503]).toContain(one.value.status);
    }
    expect(lines.at(-1)).toMatchObject({ kind: 'result' });
    const records = err.trim().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)); // biome-ignore format: one value
    expect(records.map(({ event }) => event)).toContain('stopped');
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it.each<[string, string[], string]>([
    ['a port in use', [], 'in use by another program'],
    ['no such run', ['--none'], 'there is none'],
    ['other machines without a key', ['--host', '0.0.0.0'], 'needs a key'],
    ['a key that is written down', ['--api-key', 'sesame'], 'env:'],
  ])('says one sentence about %s', async (what, args, message) => {
    const { port } = new URL(serving.url);
    const run = args[0] === '--none' ? ['nosuchrun'] : [result.runId, ...args];
    const where = what === 'a port in use' ? ['--port', port] : ['--port', '0'];
    const child = whetstone('serve', ...run, ...where);
    let err = '';
    child.stderr!.on('data', (chunk) => {
      err += chunk;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
    expect(code).toBe(what === 'no such run' ? 1 : 2);
  });
});
