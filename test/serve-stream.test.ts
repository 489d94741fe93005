/**
 * Streams of the endpoint, in the order of events: a server on this machine holds the rest of its
 * stream until a client of the endpoint has seen the beginning, or has gone away.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/runs/config.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import type { LogRecord } from '../src/server/openai/app.ts';
import { type ServeOptions, type Serving, serve } from '../src/server/openai/serve.ts';
import { writeSums } from './support/sums.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const KEY = 'sk-not-to-be-seen-4711-abcdef';

/** What the task LM's server does with a request for a stream; whole answers are plain. */
type Script = (response: http.ServerResponse, request: http.IncomingMessage) => void;

const chunk = (delta: object, more: object = {}) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`; // biome-ignore format: one event
const END = [
  chunk({}, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
  chunk({}, { choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }),
  'data: [DONE]\n\n',
].join('');
const WHOLE = 'the answer is 17, dear 🦊';

class Upstream {
  script: Script = (response) => response.end();
  /** Bodies of the requests so far. */
  readonly asked: { stream?: boolean; stream_options?: object; top_p?: number }[] = [];
  readonly server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(pieces).toString('utf8'));
      this.asked.push(body);
      if (body.stream) {
        this.script(response, request);
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(whole());
    });
  });

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }
}

function whole(): string {
  return JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: WHOLE }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
  });
}

const EVENTS = { 'content-type': 'text/event-stream' };
const streaming: Script = (response) => {
  response.writeHead(200, EVENTS);
  for (const piece of WHOLE.match(/.{1,4}/gsu)!) response.write(chunk({ content: piece }));
  response.end(END);
};

interface Chunk {
  readonly choices: readonly {
    readonly index: number;
    readonly text?: string;
    readonly delta: { readonly content?: string; readonly role?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Record<string, number> | null;
  readonly error?: { readonly message: string; readonly type: string; readonly code: string };
}

/** Events of a stream as they arrive: their name and what they hold, `[DONE]` as it is. */
async function* eventsOf(
  response: Response,
): AsyncGenerator<{ name: string; data: Chunk | '[DONE]' }> {
  let text = '';
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const piece of response.body! as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(piece, { stream: true });
    const events = text.split('\n\n');
    text = events.pop()!;
    for (const event of events) {
      const lines = event.split('\n').filter((line) => !line.startsWith(':'));
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2); // biome-ignore format: one line
      const data = field('data');
      if (data === undefined) continue;
      yield {
        name: field('event') ?? 'message',
        data: data === '[DONE]' ? data : JSON.parse(data),
      };
    }
  }
}

async function all(response: Response) {
  const events = [];
  for await (const event of eventsOf(response)) events.push(event);
  const chunks = events.flatMap(({ data }) => (data === '[DONE]' ? [] : [data]));
  const contents = chunks.flatMap(({ choices = [] }) => choices.flatMap(({ delta }) => delta.content || [])); // biome-ignore format: one value
  return { events, chunks, contents, text: contents.join('') };
}

function post({ url }: Serving, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'whetstone', ...body }),
    ...(signal ? { signal } : {}),
  });
}

async function serveRun(id: string, options: Partial<ServeOptions> = {}): Promise<Serving> {
  const store = await openStore();
  const run = store.getRun(id);
  store.close();
  return serve(run, { port: 0, ...options });
}

let question = 0;
/** One that no cache knows. */
const asked = (more: object = {}) => ({
  messages: [{ role: 'user', content: `${++question} + 1 * 1` }],
  stream: true,
  ...more,
});

describe('a task LM behind an API', () => {
  let folder: string;
  let serving: Serving;
  let runId: string;
  const upstream = new Upstream();
  let logged: LogRecord[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whetstone-stream-'));
    process.env.WHETSTONE_HOME = join(folder, 'home');
    process.env.STREAM_TEST_KEY = KEY;
    await new Promise<void>((listening) => upstream.server.listen(0, '127.0.0.1', listening));
    const path = await writeSums(folder, upstream, {
      rows: 30,
      model: { apiKey: 'env:STREAM_TEST_KEY' },
      config: { method: { name: 'manual', prompts: ['Solve it.'] }, budget: { evaluations: 400 } },
    });
    const store = await openStore();
    runId = (await optimize(await loadConfig(path), { store })).runId;
    store.close();
    serving = await serveRun(runId, { log: (record) => logged.push(record) });
  });
  afterEach(() => {
    logged = [];
  });
  afterAll(async () => {
    await serving?.close(0);
    upstream.server.closeAllConnections();
    await new Promise((closed) => upstream.server.close(closed));
    await rm(folder, { recursive: true, force: true });
  });

  it('passes on the beginning while the server still holds the rest', async () => {
    let release = () => {};
    upstream.script = (response) => {
      response.writeHead(200, EVENTS);
      response.write(chunk({ role: 'assistant', content: 'the answer ' }));
      release = () => {
        response.write(chunk({ content: 'is 17' }));
        response.end(END);
      };
    };
    const contents: string[] = [];
    for await (const { data } of eventsOf(await post(serving, asked()))) {
      const content = data === '[DONE]' ? '' : (data.choices[0]?.delta.content ?? '');
      if (content === '') continue;
      contents.push(content);
      // Only now does the server compute the rest.
      release();
    }
    expect(contents).toEqual(['the answer ', 'is 17']);
  });

  it('says in pieces what it says as a whole, with the tokens in the last', async () => {
    upstream.script = streaming;
    const more = { stream_options: { include_usage: true } };
    const { events, chunks, contents, text } = await all(await post(serving, asked(more)));
    const unstreamed = (await (await post(serving, asked({ stream: false }))).json()) as {
      choices: [{ message: { content: string } }];
      usage: object;
    };
    expect(text).toBe(unstreamed.choices[0].message.content);
    expect(contents.length).toBeGreaterThan(3);
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '' });
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: unstreamed.usage });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(events.at(-1)!.data).toBe('[DONE]');
    expect(upstream.asked.at(-2)).toMatchObject({ stream_options: { include_usage: true } });
  });

  it('streams completions of several texts, each by its index', async () => {
    upstream.script = streaming;
    const response = await fetch(`${serving.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'whetstone', prompt: ['9 + 9 * 1', '9 + 9 * 2'], stream: true }), // biome-ignore format: one line
    });
    const choices: Chunk['choices'][number][] = [];
    for await (const { data } of eventsOf(response))
      if (data !== '[DONE]') choices.push(...data.choices);
    const text = (at: number) => choices.filter(({ index }) => index === at).map(({ text }) => text).join(''); // biome-ignore format: one line
    expect([text(0), text(1)]).toEqual([WHOLE, WHOLE]);
  });

  it('ends the server’s request when the client goes away', async () => {
    const ended = new Promise<void>((resolve) => {
      upstream.script = (response) => {
        response.on('close', resolve);
        response.writeHead(200, EVENTS);
        response.write(chunk({ content: 'the answer' }));
      };
    });
    const gone = new AbortController();
    const response = await post(serving, asked(), gone.signal);
    await expect(
      (async () => {
        for await (const { data } of eventsOf(response)) {
          if (data !== '[DONE]' && data.choices[0]?.delta.content) gone.abort();
        }
      })(),
    ).rejects.toThrow(/abort/i);
    await ended;
    upstream.script = streaming;
    expect((await all(await post(serving, asked()))).text).toBe(WHOLE);
    expect(logged[0]).toMatchObject({ event: 'request', cancelled: true });
    expect((await (await fetch(`${serving.url}/health`)).json()) as object).toMatchObject({ waiting: 0, inProgress: 0 }); // biome-ignore format: one line
  });

  it.each<[string, (response: http.ServerResponse) => void, RegExp]>([
    [
      'an error event',
      (response) => response.end(`data: {"error":{"message":"out of memory, key ${KEY}"}}\n\n`),
      /gave no answer: .*the server broke its answer off: "out of memory, key /,
    ],
    ['a cut connection', (response) => response.destroy(), /cut the connection/],
    [
      'bytes that are no JSON',
      (response) => response.end('data: {"choi\n\n'),
      /broke its answer off/,
    ],
    ['an end without a reason', (response) => response.end(), /broke its answer off/],
  ])('makes %s in mid-stream its last event, and a line of the log', async (_, end, message) => {
    const before = upstream.asked.length;
    upstream.script = (response) => {
      response.writeHead(200, EVENTS);
      response.write(chunk({ content: 'the answer' }), () => end(response));
    };
    const { events, chunks, text } = await all(await post(serving, asked()));
    expect(text).toBe('the answer');
    const error = events.at(-2)!;
    expect(error.name).toBe('error');
    expect(chunks.at(-1)!.error).toMatchObject({ type: 'server_error', param: null });
    expect(chunks.at(-1)!.error!.message).toMatch(message);
    expect(events.at(-1)!.data).toBe('[DONE]');
    // What was sent cannot be taken back: there is no other try.
    expect(upstream.asked.length - before).toBe(1);
    expect(logged.find(({ event }) => event === 'error')!.message).toMatch(message);
    expect(JSON.stringify([events, logged])).not.toContain(KEY);
  });

  it('gives a failure before the first piece a status', async () => {
    upstream.script = (response) => {
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: 'no such setting' } }));
    };
    const response = await post(serving, asked());
    expect(response.status).toBe(502);
    expect(((await response.json()) as Chunk).error!.message).toContain('no such setting');
  });

  it('tries again where the failure comes before the first piece', async () => {
    let tries = 0;
    upstream.script = (response, request) => {
      if (++tries > 1) return streaming(response, request);
      response.writeHead(200, EVENTS);
      response.end('data: {"error":{"message":"overloaded"}}\n\n');
    };
    expect((await all(await post(serving, asked()))).text).toBe(WHOLE);
    expect(tries).toBe(2);
  });

  it('reads a server that cannot stream, asking it once', async () => {
    const before = upstream.asked.length;
    upstream.script = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(whole());
    };
    expect((await all(await post(serving, asked()))).text).toBe(WHOLE);
    expect(upstream.asked.length - before).toBe(1);
  });

  it('ends a stream that takes too long', async () => {
    const hurried = await serveRun(runId, { timeoutMs: 400 });
    const ended = new Promise<void>((resolve) => {
      upstream.script = (response) => {
        response.on('close', resolve);
        response.writeHead(200, EVENTS);
        response.write(chunk({ content: 'the answer' }));
      };
    });
    const { chunks, text } = await all(await post(hurried, asked()));
    expect(text).toBe('the answer');
    expect(chunks.at(-1)!.error!.code).toBe('timeout');
    await ended;
    await hurried.close(0);
  });
});

describe('a local task LM', () => {
  let task: TinyTask;
  let serving: Serving;
  const ask = (more: object = {}) => ({ messages: [{ role: 'user', content: 'the room was cold' }], ...more }); // biome-ignore format: one value

  beforeAll(async () => {
    task = await tinyTask();
    const chat_template = '{% for m in messages %}{{ m.content }} {% endfor %}';
    const tokenizer = join(task.folder, 'model', 'tokenizer_config.json');
    await writeFile(tokenizer, JSON.stringify({ eos_token: '</s>', chat_template }));
    const rows = Array.from({ length: 30 }, (_, i) => ({ text: `the food was slow ${'very '.repeat(i)}late`, gold: 'the room' })); // biome-ignore format: one value
    await writeFile(join(task.folder, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n')); // biome-ignore format: one call
    const config = {
      task: { kind: 'question-answering', data: 'rows.jsonl', input: 'text', gold: 'gold', maxAnswerTokens: 24 }, // biome-ignore format: one value
      taskLm: './model',
      policyLm: './model',
      method: { name: 'manual', prompts: ['was the food'] },
      budget: { evaluations: 100 },
    };
    await writeFile(join(task.folder, 'text.yaml'), JSON.stringify(config));
    const store = await openStore();
    const { runId } = await optimize(await loadConfig(join(task.folder, 'text.yaml')), { store });
    store.close();
    serving = await serveRun(runId);
  });
  afterAll(async () => {
    await serving?.close(0);
    await task?.remove();
  });

  it.each<[string, object]>([
    ['greedily', {}],
    ['drawn by a seed', { temperature: 1, top_p: 0.9, seed: 7 }],
    ['up to a length', { max_completion_tokens: 5 }],
  ])('streams %s what it says as a whole', async (_, more) => {
    const body = (await (await post(serving, ask(more))).json()) as {
      choices: [{ message: { content: string }; finish_reason: string }];
      usage: object;
    };
    const whole = body.choices[0];
    const usage = { stream: true, stream_options: { include_usage: true } };
    const { chunks, contents, text } = await all(await post(serving, ask({ ...more, ...usage })));
    expect(text).toBe(whole.message.content);
    expect(contents.length).toBeGreaterThan(1);
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe(whole.finish_reason);
    expect(chunks.at(-1)!.usage).toEqual(body.usage);
  });

  it('sends nothing of a stop text', async () => {
    const { text } = await all(await post(serving, ask({ stream: true })));
    const words = text.split(' ');
    const stop = words.slice(3, 5).join(' ');
    const cut = await all(await post(serving, ask({ stream: true, stop: [stop] })));
    expect(cut.text).toBe(text.slice(0, text.indexOf(stop)).trim());
    expect(cut.chunks.at(-1)!.choices[0]!.finish_reason).toBe('stop');
  });

  it('answers others after a client that went away', async () => {
    const gone = new AbortController();
    const response = await post(serving, ask({ stream: true, temperature: 1 }), gone.signal);
    await response.body!.getReader().read();
    gone.abort();
    expect((await post(serving, ask())).status).toBe(200);
  });
});
