/** One suite for every provider: what a user meets, over a server that speaks the format. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BudgetError, ConfigError, NetworkError } from '../src/errors.ts';
import {
  type CompleteOptions,
  type Completion,
  type Failure,
  isFailure,
  Ledger,
  labelScores,
  memoryCache,
  type OpenTextModelOptions,
  openTextModel,
  PRICES_AS_OF,
  parseApiReference,
  providers,
  type TextModel,
  type TextRequest,
} from '../src/providers/index.ts';
import {
  type Asked,
  type Format,
  formats,
  type ProviderServer,
  type Reply,
  startServer,
} from './support/provider-server.ts';

const KEY = 'sk-very-secret-0123456789abcdef';
const FAST = { backoffMs: 5, maxBackoffMs: 20, timeoutMs: 30_000 };
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface Bench {
  readonly model: TextModel;
  readonly server: ProviderServer;
  readonly ledger: Ledger;
  ask(text: string, options?: Partial<TextRequest>): Promise<Completion | Failure>;
}

async function bench(
  format: Format,
  script: (asked: Asked) => Reply | Promise<Reply>,
  options: Partial<OpenTextModelOptions> & { readonly reference?: object } = {},
): Promise<Bench> {
  const server = await startServer(format, script);
  open.push(server);
  const ledger = options.ledger ?? new Ledger();
  const model = openTextModel(
    {
      provider: format.provider,
      model: 'test-model',
      baseUrl: server.baseUrl,
      apiKey: 'env:TEST_KEY',
      ...options.reference,
    },
    { env: { TEST_KEY: KEY }, patience: FAST, ...options, ledger },
  );
  open.push(model);
  const ask = async (text: string, more: Partial<TextRequest> = {}) =>
    (await model.complete([request(text, more)]))[0]!;
  return { model, server, ledger, ask };
}

function request(text: string, more: Partial<TextRequest> = {}): TextRequest {
  return { messages: [{ role: 'user', content: text }], maxTokens: 16, ...more };
}

async function failure(answer: Promise<Completion | Failure>): Promise<string> {
  const got = await answer;
  if (!isFailure(got)) throw new Error(`expected a failure, got ${JSON.stringify(got)}`);
  expect(got.error).toBeInstanceOf(NetworkError);
  return got.error.message;
}

const HI: Reply = { text: 'Hi there', input: 7, output: 2 };

describe.each(formats.map((format) => [format.provider, format] as const))('%s', (name, format) => {
  it('sends what was asked and reads text, finish and usage', async () => {
    const { model, server } = await bench(format, () => HI);
    const answers = await model.complete([
      {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Grüße' },
          { role: 'assistant', content: 'Yes?' },
          { role: 'user', content: 'Hello' },
        ],
        maxTokens: 16,
        temperature: 0.5,
        stop: ['\n'],
        seed: 3,
      },
    ]);
    expect(answers).toEqual([
      { text: 'Hi there', finish: 'stop', inputTokens: 7, outputTokens: 2, isCached: false },
    ]);
    expect(server.asked).toHaveLength(1);
    const asked = server.asked[0]!;
    expect(asked).toMatchObject({
      model: 'test-model',
      maxTokens: 16,
      temperature: 0.5,
      stop: ['\n'],
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Grüße' },
        { role: 'assistant', content: 'Yes?' },
        { role: 'user', content: 'Hello' },
      ],
    });
    if (name !== 'anthropic') expect(asked.seed).toBe(3); // Anthropic takes none
    expect(asked.headers[format.keyHeader]).toContain(KEY);
  });

  it('asks for the likeliest token unless told otherwise', async () => {
    const { ask, server } = await bench(format, () => HI);
    await ask('Hello');
    expect(server.asked[0]!.temperature).toBe(0);
  });

  it('tells an answer that was cut short, and one that was refused', async () => {
    const { ask } = await bench(format, ({ number }) =>
      number === 0 ? { text: 'Hi th', finish: 'length' } : { text: 'I cannot', finish: 'refusal' },
    );
    expect(await ask('a')).toMatchObject({ text: 'Hi th', finish: 'length' });
    const refused = (await ask('b')) as Completion;
    // Mistral's API has no word for a refusal.
    if (name !== 'mistral') expect(refused.finish).toBe('refusal');
    expect(refused.text).toBe('I cannot');
  });

  it('counts an empty answer, does not ask again, and says it', async () => {
    const { ask, server, ledger } = await bench(format, ({ number }) =>
      number === 0 ? { text: '', output: 1 } : { text: '', finish: 'length', output: 16 },
    );
    expect(await failure(ask('a'))).toMatch(/test-model: the answer is empty$/);
    expect(await failure(ask('b'))).toMatch(
      /all of its 16 tokens went into thinking; raise task.maxAnswerTokens/,
    );
    expect(server.asked).toHaveLength(2);
    expect(ledger.line()).toMatchObject({ calls: 2, outputTokens: 17 });
  });

  it('stops at a web page in place of an API', async () => {
    const { ask, server } = await bench(format, () => ({ raw: '<!DOCTYPE html><p>Welcome' }));
    await expect(ask('a')).rejects.toThrow(/answers with a web page, not with JSON; check baseUrl/);
    expect(server.asked).toHaveLength(1);
  });

  it('stops at a wrong key, and does not show it', async () => {
    const { ask, server } = await bench(format, () => ({
      status: 401,
      message: `Incorrect API key provided: ${KEY}`,
    }));
    const error = (await ask('a').catch((e: unknown) => e)) as Error;
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/the key in TEST_KEY was refused by http.* \(401\); check it/);
    expect(JSON.stringify([error.message, error.stack, error])).not.toContain(KEY);
    expect(server.asked).toHaveLength(1);
  });

  it('stops at an unknown model', async () => {
    const { ask, server } = await bench(format, () => ({
      status: 404,
      message: 'The model test-model does not exist',
    }));
    await expect(ask('a')).rejects.toThrow(
      /knows no such model or path \(404\): "The model test-model does not exist"; check/,
    );
    expect(server.asked).toHaveLength(1);
  });

  it('keeps a request that is too long from hurting the others', async () => {
    const { model, server } = await bench(format, ({ messages }) =>
      messages[0]!.content === 'long'
        ? { status: 400, message: "This model's maximum context length is 10 tokens." }
        : HI,
    );
    const [long, short] = await model.complete([request('long'), request('short')]);
    expect(await failure(Promise.resolve(long!))).toMatch(
      /about 9 tokens\) and the answer \(up to 16\) do not fit into the model's window: "This model's maximum context length is 10 tokens."; shorten/,
    );
    expect(short).toMatchObject({ text: 'Hi there' });
    expect(server.asked).toHaveLength(2);
  });

  it('is not even sent where the window is known: some servers cut it without a word', async () => {
    const { ask, server } = await bench(compatible, () => HI, {
      reference: { contextLength: 100 },
    });
    const answer = await ask('word '.repeat(200));
    expect(isFailure(answer) && answer.error.message).toMatch(
      /about 2\d\d tokens\) and the answer \(up to 16\) do not fit into the model's window of 100 tokens; shorten/,
    );
    expect(server.asked).toHaveLength(0);
    expect(isFailure(await ask('word'))).toBe(false);
  });

  it('tries again after a server error, a cut body and broken JSON, and pays once', async () => {
    const replies: Reply[] = [
      { status: 500, message: 'oops' },
      { cut: { text: 'Hi there' } },
      { raw: '{"choices": [', type: 'application/json' },
      HI,
    ];
    const { ask, server, ledger } = await bench(format, ({ number }) => replies[number]!);
    expect(await ask('a')).toMatchObject({ text: 'Hi there' });
    expect(server.asked).toHaveLength(4);
    expect(ledger.line()).toMatchObject({ calls: 1, inputTokens: 7, outputTokens: 2, retries: 3 });
    expect(ledger.unconfirmed.calls).toBe(2); // the cut and the broken one may have been paid
  });

  it('gives up a call that keeps failing', async () => {
    const { ask, server } = await bench(format, () => ({ status: 500, message: 'oops' }), {
      patience: { ...FAST, attempts: 3 },
    });
    expect(await failure(ask('a'))).toMatch(
      /the server failed \(500\): "oops", gave up after 3 tries/,
    );
    expect(server.asked).toHaveLength(3);
  });

  it('tries again after a server that hangs', async () => {
    const { ask } = await bench(format, ({ number }) => (number === 0 ? { hang: true } : HI), {
      patience: { ...FAST, timeoutMs: 100 },
    });
    expect(await ask('a')).toMatchObject({ text: 'Hi there' });
  });
});

const [openaiFormat] = formats as [Format];
const compatible = formats.find(({ provider }) => provider === 'openai-compatible')!;

describe('Retry-After', () => {
  const limited = (headers: object): Reply => ({ status: 429, message: 'slow down', headers });
  const inTwoSeconds = () => new Date(Date.now() + 2000).toUTCString();
  it.each([
    ['seconds', () => ({ 'retry-after': '1' }), 1000],
    ['a fraction of a second', () => ({ 'retry-after': '0.2' }), 200],
    ['milliseconds', () => ({ 'retry-after-ms': '150' }), 150],
    ['a date', () => ({ 'retry-after': inTwoSeconds() }), 900],
    ['nothing', () => ({}), 0],
    ['garbage', () => ({ 'retry-after': 'soon' }), 0],
    ['a negative number', () => ({ 'retry-after': '-5' }), 0],
  ])('honours %s', async (_name, headers, leastMs) => {
    const { ask, server } = await bench(openaiFormat, ({ number }) =>
      number === 0 ? limited(headers()) : HI,
    );
    expect(await ask('a')).toMatchObject({ text: 'Hi there' });
    const waited = server.asked[1]!.at - server.asked[0]!.at;
    expect(waited).toBeGreaterThanOrEqual(leastMs);
    expect(waited).toBeLessThan(20_000); // no wait that nobody asked for
  });

  it('refuses to wait an absurd time, and says so', async () => {
    const { ask, server } = await bench(openaiFormat, () => limited({ 'retry-after': '3600' }));
    await expect(ask('a')).rejects.toThrow(
      /too many requests \(429\): "slow down"; it asks to wait 1 h 00 m and a run waits at most 10 m 00 s; start again later/,
    );
    expect(server.asked).toHaveLength(1);
  });

  it('holds back every request to the server, and says why', async () => {
    const reasons: string[] = [];
    const { model, server } = await bench(
      openaiFormat,
      ({ number }) => (number === 0 ? limited({ 'retry-after': '2' }) : HI),
      { reference: { concurrency: 1 } },
    );
    const answers = await model.complete(
      ['a', 'b', 'c'].map((text) => request(text)),
      {
        onProgress: (_done, waitingFor) => void (waitingFor && reasons.push(waitingFor)),
      },
    );
    expect(answers.every((answer) => !isFailure(answer))).toBe(true);
    for (const { at } of server.asked.slice(1)) {
      expect(at - server.asked[0]!.at).toBeGreaterThanOrEqual(2000);
    }
    expect(reasons).toContain('rate limit of openai, 2 s');
  });
});

describe('limits told by headers', () => {
  it('sends no more than the server has left, and waits for it to refill', async () => {
    let tokens = 5;
    let at = performance.now();
    const refill = () => {
      const now = performance.now();
      tokens = Math.min(5, tokens + (now - at) / 100); // 10 a second
      at = now;
    };
    let refused = 0;
    const server = await import('node:http').then(({ createServer }) =>
      createServer((incoming, response) => {
        incoming.resume();
        incoming.on('end', () => {
          refill();
          const isOver = tokens < 1;
          if (isOver) refused++;
          else tokens--;
          response.writeHead(isOver ? 429 : 200, {
            'content-type': 'application/json',
            'x-ratelimit-limit-requests': '5',
            'x-ratelimit-remaining-requests': String(Math.floor(tokens)),
            'x-ratelimit-reset-requests': `${Math.ceil((5 - tokens) * 100)}ms`,
          });
          response.end(JSON.stringify(openaiFormat.answer({ text: 'ok' }, 'm')));
        });
      }),
    );
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    open.push({ close: () => new Promise((closed) => void server.close(() => closed())) });
    const { port } = server.address() as { port: number };
    const model = openTextModel(
      {
        provider: 'openai-compatible',
        model: 'm',
        baseUrl: `http://127.0.0.1:${port}`,
        concurrency: 4,
      },
      { env: {}, ledger: new Ledger(), patience: FAST },
    );
    open.push(model);
    const answers = await model.complete(Array.from({ length: 20 }, (_, i) => request(`${i}`)));
    expect(answers.filter(isFailure)).toEqual([]);
    expect(refused).toBeLessThanOrEqual(2);
  });
});

describe('cache', () => {
  it('answers a question once, in a batch and after it', async () => {
    const { model, server, ledger } = await bench(openaiFormat, () => HI);
    const [first, second] = (await model.complete([request('a'), request('a')])) as Completion[];
    expect([first!.isCached, second!.isCached]).toEqual([false, true]);
    const [third] = (await model.complete([request('a')])) as Completion[];
    expect(third).toEqual({ ...first, isCached: true });
    expect(server.asked).toHaveLength(1);
    expect(ledger.line()).toMatchObject({ calls: 1, cached: 2 });
  });

  it('answers a question once that two batches ask side by side', async () => {
    const { model, server, ledger } = await bench(openaiFormat, async () => {
      await new Promise((later) => setTimeout(later, 50));
      return HI;
    });
    const both = await Promise.all([
      model.complete([request('a')]),
      model.complete([request('a')]),
    ]);
    const cached = (both.flat() as Completion[]).map(({ isCached }) => isCached);
    expect(cached).toEqual([false, true]);
    expect(server.asked).toHaveLength(1);
    expect(ledger.line()).toMatchObject({ calls: 1, cached: 1 });
  });

  it('keeps samples apart, and knows a sample again', async () => {
    const { model, server } = await bench(openaiFormat, ({ number }) => ({ text: `n${number}` }));
    const sample = (n: number) => request('a', { temperature: 1, sample: n });
    await model.complete([sample(0), sample(1)]);
    await model.complete([sample(1), sample(2)]);
    expect(server.asked).toHaveLength(3);
  });

  it('never keeps a failure', async () => {
    const { ask, server } = await bench(openaiFormat, ({ number }) =>
      number === 0 ? { status: 400, message: 'bad' } : HI,
    );
    expect(await failure(ask('a'))).toMatch(/refused \(400\): "bad"/);
    expect(await ask('a')).toMatchObject({ text: 'Hi there' });
    expect(server.asked).toHaveLength(2);
  });

  it('keeps what was paid when a batch ends early', async () => {
    const cache = memoryCache();
    const one = await bench(
      openaiFormat,
      ({ number }) => (number < 3 ? HI : { status: 403, message: 'no' }),
      {
        cache,
        reference: { concurrency: 1 },
      },
    );
    const requests = ['a', 'b', 'c', 'd'].map((text) => request(text));
    await expect(one.model.complete(requests)).rejects.toThrow(ConfigError);
    expect(one.ledger.line().calls).toBe(3);
    const again = await one.model.complete(requests.slice(0, 3));
    expect(again.every((answer) => !isFailure(answer) && answer.isCached)).toBe(true);
    expect(one.server.asked).toHaveLength(4);
  });
});

describe('cancelling', () => {
  it('ends at once with the standard error and sends nothing more', async () => {
    const stop = new AbortController();
    const { model, server, ledger } = await bench(
      openaiFormat,
      ({ number }) => {
        if (number === 2) setTimeout(() => stop.abort(), 10);
        return number < 2 ? HI : { hang: true };
      },
      { reference: { concurrency: 2 } },
    );
    const options: CompleteOptions = { signal: stop.signal };
    const all = model.complete(
      Array.from({ length: 50 }, (_, i) => request(`${i}`)),
      options,
    );
    await expect(all).rejects.toMatchObject({ name: 'AbortError' });
    await new Promise((later) => setTimeout(later, 100));
    expect(server.asked.length).toBeLessThanOrEqual(4); // two answered, two under way
    expect(ledger.line().calls).toBe(2);
  });

  it('ends a wait for the server as well', async () => {
    const stop = new AbortController();
    const { model } = await bench(openaiFormat, () => {
      setTimeout(() => stop.abort(), 20);
      return { status: 429, message: 'later', headers: { 'retry-after': '60' } };
    });
    const begun = performance.now();
    await expect(model.complete([request('a')], { signal: stop.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(performance.now() - begun).toBeLessThan(30_000);
  });
});

describe('budget', () => {
  const price = { input: 1e6, output: 1e6 }; // a dollar a token

  it('is refused before a call that might pass it is sent', async () => {
    const ledger = new Ledger({ usd: 200 });
    const { model, server } = await bench(openaiFormat, () => HI, {
      ledger,
      reference: { price, concurrency: 4 },
    });
    const all = model.complete(Array.from({ length: 50 }, (_, i) => request(`${i}`)));
    await expect(all).rejects.toThrow(BudgetError);
    await expect(all).rejects.toThrow(/of \$200 are spent; raise budget.usd/);
    const { usd } = ledger.line();
    expect(usd).toBe(server.paid.input + server.paid.output);
    expect(usd).toBeLessThanOrEqual(200);
    expect(server.paid.calls).toBeGreaterThan(5);
  });

  it('needs a price', async () => {
    const options = { env: { OPENAI_API_KEY: KEY }, ledger: new Ledger({ usd: 1 }) };
    expect(() => openTextModel('openai:gpt-99', options)).toThrow(
      /openai:gpt-99: its price is not known \(the table is of 20.*\) and budget.usd caps what is paid; say it by prices: \{ "openai:gpt-99": /,
    );
    const prices = { 'openai:gpt-99': { input: 1, output: 2 } };
    open.push(openTextModel('openai:gpt-99', { ...options, prices }));
    open.push(openTextModel('openai:gpt-4o-mini-2024-07-18', options));
    open.push(openTextModel('ollama:llama3.2', options)); // this machine costs nothing
  });
});

describe('bad input', () => {
  const options = { env: {}, ledger: new Ledger() };
  it.each([
    [
      'no key',
      'openai:gpt-4o-mini',
      /openai:gpt-4o-mini: needs a key and OPENAI_API_KEY is not set; set OPENAI_API_KEY, or name another variable by apiKey: env:NAME/,
    ],
    [
      'a variable that is not set',
      { provider: 'mistral', model: 'm', apiKey: 'env:MY_KEY' },
      /mistral:m: needs a key and MY_KEY is not set; set MY_KEY$/,
    ],
    [
      'a key in the configuration',
      { provider: 'openai', model: 'm', apiKey: KEY },
      /apiKey: expected a reference such as env:OPENAI_API_KEY: put the key into an environment variable/,
    ],
    ['an unknown provider', 'opena:gpt', /expected PROVIDER:MODEL .*did you mean openai/],
    ['no address', 'openai-compatible:m', /baseUrl is missing; name the server/],
    [
      'a password in the address',
      { provider: 'openai-compatible', model: 'm', baseUrl: 'http://a:b@c/v1' },
      /without a user name or password/,
    ],
    ['an unknown setting', { provider: 'openai', model: 'm', temprature: 1 }, /temprature/],
  ])('says what is wrong with %s', (_name, reference, message) => {
    const attempt = () => openTextModel(reference as never, options);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(message);
    expect(attempt).not.toThrow(KEY);
  });

  it('says that nobody listens, without eight tries', async () => {
    const model = openTextModel(
      { provider: 'openai-compatible', model: 'm', baseUrl: 'http://127.0.0.1:9/v1' },
      options,
    );
    open.push(model);
    const begun = performance.now();
    await expect(model.complete([request('a')])).rejects.toThrow(
      /http:\/\/127.0.0.1:9\/v1 refuses connections; check that it runs and that baseUrl is right$/,
    );
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('shows no key that a server repeats, in any form', async () => {
    const forms = [
      KEY,
      encodeURIComponent(KEY),
      Buffer.from(KEY).toString('base64'),
      'sk-ve***cdef',
    ];
    const { ask } = await bench(compatible, ({ number }) => ({
      status: 400,
      message: `Bearer ${KEY} ${forms[number]} is odd`,
    }));
    for (const form of forms) {
      const message = await failure(ask(form.slice(0, 3) + forms.indexOf(form)));
      expect(message).toContain('is odd');
      for (const secret of forms) expect(message).not.toContain(secret);
    }
  });

  it('ends a batch in which everything fails', async () => {
    const { model, server } = await bench(compatible, () => ({ status: 400, message: 'no' }), {
      reference: { concurrency: 2 },
    });
    const all = model.complete(Array.from({ length: 100 }, (_, i) => request(`${i}`)));
    await expect(all).rejects.toThrow(/"no" \(10 requests in a row failed\)/);
    expect(server.asked.length).toBeLessThan(20);
  });
});

describe("somebody's own fetch", () => {
  it('carries every request, and its failures are told as those of our transport', async () => {
    let sent = 0;
    const counting: typeof fetch = (url, init) => {
      sent++;
      return fetch(url, init);
    };
    const { ask, ledger, server } = await bench(
      openaiFormat,
      ({ number }) => (number === 0 ? { cut: { text: 'Hi' } } : HI),
      { fetch: counting },
    );
    expect(await ask('a')).toMatchObject({ text: 'Hi there' });
    expect(sent).toBe(2);
    expect(ledger.unconfirmed.calls).toBe(1);
    const { baseUrl } = server;
    await server.close();
    const reference = { provider: 'openai-compatible', model: 'gone', baseUrl };
    const nobody = openTextModel(reference, { env: {}, ledger, fetch: counting });
    open.push(nobody);
    await expect(nobody.complete([request('a')])).rejects.toThrow(/v1 refuses connections/);
  });
});

describe('docs/providers.md', () => {
  const page = readFileSync(new URL('../docs/providers.md', import.meta.url), 'utf8');
  it.each(Object.values(providers))(
    'says how $name is named, where it is and what its key is',
    (p) => {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${p.name}:`));
      expect(row).toContain(p.baseUrl ?? 'baseUrl');
      for (const variable of p.keyVariables) expect(row).toContain(variable);
    },
  );

  it.each(Object.values(providers))('gives $name a page of its own', (p) => {
    expect(page).toContain(`(providers/${p.name}.md)`);
    const own = readFileSync(new URL(`../docs/providers/${p.name}.md`, import.meta.url), 'utf8');
    expect(own).toContain(p.baseUrl ?? 'baseUrl');
    for (const variable of p.keyVariables) expect(own).toContain(variable);
    expect(own).toContain(`| ${p.concurrency}, or \`concurrency\``);
    expect(own).toMatch(
      p.logProbs ? /log-probabilities +\| (yes|where)/ : /log-probabilities +\| no/,
    );
    // Every configuration on it is one.
    for (const [, yaml] of own.matchAll(/```yaml\n([^`]*)```/g)) {
      const { taskLm } = parse(yaml!);
      expect(() => parseApiReference(taskLm)).not.toThrow();
      expect(parseApiReference(taskLm).provider).toBe(p.name);
    }
  });

  it('says of when the prices are', () => {
    expect(page).toContain(PRICES_AS_OF);
  });
});

describe('log-probabilities', () => {
  const messages = [{ role: 'user', content: 'Fine film. Sentiment?' }] as const;
  const labels = ['positive', 'negative'];
  const logProbs = [
    [' pos', Math.log(0.5)],
    ['Positive', Math.log(0.25)],
    ['neg', Math.log(0.125)],
    ['The', Math.log(0.0625)],
  ] as const;

  it.each(['openai', 'openai-compatible', 'huggingface', 'aleph-alpha'])(
    'are read from %s',
    async (name) => {
      const format = formats.find(({ provider }) => provider === name)!;
      const { model, server } = await bench(format, () => ({ text: ' pos', logProbs }));
      const request = { messages, maxTokens: 3, alternatives: model.alternatives };
      const [answer] = (await model.complete([request])) as Completion[];
      const scores = labelScores(answer!.alternatives!, labels);
      expect(scores.logProbs[0]).toBeCloseTo(Math.log(0.75));
      expect(scores.logProbs[1]).toBeCloseTo(Math.log(0.125));
      expect(scores.floor).toBeCloseTo(Math.log(0.0625));
      expect(server.asked[0]).toMatchObject({ topLogProbs: 20, maxTokens: 3 });
      const [again] = await model.complete([request]);
      expect(again).toEqual({ ...answer, isCached: true });
      expect(server.asked).toHaveLength(1);
    },
  );

  it('are null for a label that is not told', () => {
    const told = logProbs.map(([token, logProb]) => ({ token, logProb }));
    expect(labelScores(told, ['positive', 'mixed']).logProbs).toEqual([expect.any(Number), null]);
  });

  it('are missing where the server leaves them out', async () => {
    const { model } = await bench(compatible, () => ({ text: 'pos' }));
    const [answer] = await model.complete([{ messages, maxTokens: 3, alternatives: 20 }]);
    expect(answer).toMatchObject({ text: 'pos' });
    expect(answer).not.toHaveProperty('alternatives');
  });

  it('are not offered where the API has none', async () => {
    const { model } = await bench(
      formats.find(({ provider }) => provider === 'anthropic')!,
      () => HI,
    );
    expect(model.alternatives).toBeUndefined();
  });
});
