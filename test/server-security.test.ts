/**
 * What the studio must refuse: pages of other origins, rebound names, people without the launch address;
 * and what must never come out of it: markup, control characters, secrets.
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../src/runs/config.ts';
import type { OptimizeResult } from '../src/runs/events.ts';
import type * as contract from '../src/server/contract.ts';
import { createRedact } from '../src/server/redact.ts';
import { routes } from '../src/server/routes/index.ts';
import { type TestStudio, testStudio } from './support/studio-server.ts';

const SCORE = { score: 0.5, interval: [0.4, 0.6] as const, examples: 10 };
const RUN = { method: 'random', config: { task: { data: 'rows.csv' }, folder: '/tmp' }, seed: 1, versions: {}, hashes: {} }; // biome-ignore format: one line

let studio: TestStudio;
let run: string;
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'whetstone-page-'));
  const pageFolder = join(folder, 'page');
  mkdirSync(join(pageFolder, 'assets'), { recursive: true });
  writeFileSync(
    join(pageFolder, 'index.html'),
    '<!doctype html><script type="module" src="/assets/a-1.js"></script>\n',
  );
  writeFileSync(join(pageFolder, 'assets', 'a-1.js'), 'export {};\n');
  writeFileSync(join(folder, 'outside.txt'), 'outside\n');
  studio = await testStudio({ pageFolder });
  run = studio.store.createRun(RUN);
  studio.store.appendEvent(run, { kind: 'warning', message: 'one' });
});
afterAll(() => studio.end());

interface Said {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A request with whatever headers, the Host among them, on a connection of its own. */
function raw(
  path: string,
  method: string,
  headers: Record<string, string>,
  body = '',
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: studio.port, path, method, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        const done = () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: text });
        response.on('end', done);
        // A stream that was not refused would never end.
        if (/event-stream/.test(response.headers['content-type'] ?? '')) {
          done();
          asked.destroy();
        }
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

const BODY = JSON.stringify({
  yaml: 'task: { data: rows.csv }',
  run: 'x',
  to: 'text',
  prompts: ['a'],
  set: [],
  methods: ['random'],
  seeds: 1,
});
const addressOf = (path: string) => path.replace(':other', run).replace(':id', run);

/** All that the store holds, and the files beside it. */
function fingerprint(): string {
  const { store } = studio;
  const runs = store.listRuns({ limit: 1000 });
  const all = runs.map((one) => [one, store.events(one.id), store.prompts(one.id)]);
  const files = readdirSync(studio.home, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !/sqlite/.test(name),
  );
  return createHash('sha256')
    .update(JSON.stringify([all, store.comparisons.list(), files.sort()]))
    .digest('hex');
}

const hostileHosts = (port: number) => [
  'evil.test', `evil.test:${port}`, 'localhost', '127.0.0.1', '[::1]', 'localhost:1', `localhost:${port + 1}`, `localhost:0${port}`,
  `localhost:${port}.evil.test`, `localhost.:${port}`, `localhost.evil.test:${port}`, `127.0.0.1.evil.test:${port}`, `evil.test#localhost:${port}`,
  `user@localhost:${port}`, `localhost:${port}@evil.test`, `127.0.0.1:${port}@evil.test:${port}`, `[::ffff:127.0.0.1]:${port}`, `[::ffff:7f00:1]:${port}`,
  `[0:0:0:0:0:0:0:1]:${port}`, `::1:${port}`, `0.0.0.0:${port}`, `0:${port}`, `127.1:${port}`, `127.0.0.2:${port}`, `2130706433:${port}`, `0x7f000001:${port}`,
  `017700000001:${port}`, `127.0.0.1.:${port}`, `127.0.0.1.nip.io:${port}`, `localhost%00.evil.test:${port}`, `localhost%2eevil.test:${port}`, `xn--localhost:${port}`,
  `LOCALHOST.EVIL.TEST:${port}`, `localhost:${port}/`, `http://localhost:${port}`, `//localhost:${port}`, `localhost:${port},evil.test`, `localhost:${port} evil.test`,
  `evil.test, localhost:${port}`, `10.0.0.1:${port}`, `192.168.0.1:${port}`, `169.254.169.254:${port}`, `[fe80::1]:${port}`, `[::]:${port}`, `*:${port}`, `-localhost:${port}`,
  `localhost-:${port}`, `my.localhost:${port}`, `localhost_:${port}`, `l\u00f6calhost:${port}`,
].map((host) => Buffer.from(host, 'utf8').toString('latin1')); // biome-ignore format: a list

const hostileOrigins = (port: number) => [
  'null', 'file://', 'about:blank', 'data:', 'http://evil.test', 'https://evil.test', `http://evil.test:${port}`, 'http://localhost', 'http://127.0.0.1', `https://127.0.0.1:${port}`,
  `http://127.0.0.1:${port + 1}`, `http://127.0.0.1:${port}0`, `http://127.0.0.1:0${port}`, `http://127.0.0.1:${port}/`, `http://127.0.0.1:${port}.evil.test`, `http://127.0.0.1.evil.test:${port}`,
  `http://evil127.0.0.1:${port}`, `http://localhost:${port}`, `http://[::1]:${port}`, `http://[::ffff:127.0.0.1]:${port}`, `http://user@127.0.0.1:${port}`, `http://127.0.0.1:${port}@evil.test`,
  `http://2130706433:${port}`, `http://0x7f.1:${port}`, `http://0.0.0.0:${port}`, `http://127.1:${port}`, `http://127.0.0.2:${port}`, `ws://127.0.0.1:${port}`, `ftp://127.0.0.1:${port}`, 'chrome-extension://abcdefgh',
  'moz-extension://abcdefgh', 'vscode-webview://abc', 'app://.', 'capacitor://localhost', 'ionic://localhost', `http://127.0.0.1:${port},http://evil.test`, `http://evil.test http://127.0.0.1:${port}`, `HTTP://127.0.0.1:${port}`,
  `http://127.0.0.1:${port}#`, `http://127.0.0.1:${port}?`, `http:127.0.0.1:${port}`, `//127.0.0.1:${port}`, `127.0.0.1:${port}`, `http://127.0.0.1:${port}\\.evil.test`, `http://127.0.0.1:${port}%00`, '*', 'undefined', ' ', 'http://', `http://127.0.0.1.:${port}`,
]; // biome-ignore format: a list

describe('every route', () => {
  const each = routes.map(({ method, path }) => [method.toUpperCase(), path] as const);

  it.each(each)('%s %s refuses 50 hostile Hosts', async (method, path) => {
    const before = fingerprint();
    const hosts = hostileHosts(studio.port);
    expect(new Set(hosts).size).toBe(50);
    for (const host of hosts) {
      const headers = { host, cookie: studio.cookie, 'content-type': 'application/json' };
      const said = await raw(addressOf(path), method, headers, method === 'POST' ? BODY : '');
      expect([host, said.status]).toEqual([host, 421]);
      expect(Object.keys(said.headers).filter((name) => /^access-control/i.test(name))).toEqual([]);
    }
    expect(fingerprint()).toBe(before);
  });

  it.each(each)('%s %s refuses 50 hostile Origins', async (method, path) => {
    const before = fingerprint();
    const origins = hostileOrigins(studio.port);
    expect(new Set(origins).size).toBe(50);
    for (const origin of origins) {
      const headers = {
        host: `127.0.0.1:${studio.port}`,
        origin,
        cookie: studio.cookie,
        'content-type': 'application/json',
      };
      const said = await raw(addressOf(path), method, headers, method === 'POST' ? BODY : '');
      expect([origin, said.status]).toEqual([origin, 403]);
      expect(Object.keys(said.headers).filter((name) => /^access-control/i.test(name))).toEqual([]);
    }
    expect(fingerprint()).toBe(before);
  });

  it.each(each)('%s %s refuses what other sites send, and other types', async (method, path) => {
    const before = fingerprint();
    const usual = { host: `127.0.0.1:${studio.port}`, cookie: studio.cookie };
    for (const site of ['cross-site', 'same-site', 'weird', '']) {
      const headers = { ...usual, 'sec-fetch-site': site, 'content-type': 'application/json' };
      expect(
        (await raw(addressOf(path), method, headers, method === 'POST' ? BODY : '')).status,
      ).toBe(403);
    }
    if (method === 'GET') return;
    for (const [type, text] of [
      ['text/plain', BODY],
      ['application/x-www-form-urlencoded', 'yaml=x'],
      ['multipart/form-data; boundary=x', '--x--'],
    ]) {
      const origin = `http://127.0.0.1:${studio.port}`;
      const said = await raw(
        addressOf(path),
        'POST',
        { ...usual, origin, 'content-type': type! },
        text,
      );
      expect([415, 404]).toContain(said.status);
    }
    expect(fingerprint()).toBe(before);
  });

  it.each(each)('%s %s wants the cookie', async (method, path) => {
    const before = fingerprint();
    const token = studio.launchUrl.split('token=')[1]!;
    const [name, value] = studio.cookie.split('=') as [string, string];
    const tries: Record<string, string>[] = [
      {}, { cookie: '' }, { cookie: `${name}=` }, { cookie: `${name}=${token}` }, { cookie: `${name}=${value.slice(0, -1)}` }, { cookie: `${name}=${value}x` },
      { cookie: `whetstone-1=${value}` }, { cookie: `x${name}=${value}` }, { authorization: `Bearer ${value}` }, { authorization: `Bearer ${token}` }, { referer: studio.launchUrl }, { 'x-token': token },
    ]; // biome-ignore format: a list
    for (const headers of tries) {
      const all = {
        host: `127.0.0.1:${studio.port}`,
        'content-type': 'application/json',
        ...headers,
      };
      const said = await raw(addressOf(path), method, all, method === 'POST' ? BODY : '');
      expect([headers, said.status]).toEqual([headers, 401]);
      const inQuery = await raw(
        `${addressOf(path)}?token=${token}`,
        method,
        all,
        method === 'POST' ? BODY : '',
      );
      expect(inQuery.status).toBe(401);
    }
    expect(fingerprint()).toBe(before);
  });

  it.each(each.filter(([method]) => method === 'GET'))('%s %s changes nothing', async (_, path) => {
    const before = fingerprint();
    const headers = { host: `127.0.0.1:${studio.port}`, cookie: studio.cookie };
    const said = await raw(addressOf(path), 'GET', headers);
    expect(said.status).not.toBe(401);
    expect(fingerprint()).toBe(before);
  });
});

describe('the launch address', () => {
  it('is good once, by GET alone, and gives a cookie that scripts cannot read', async () => {
    const other = await testStudio();
    try {
      // The helper has used it.
      const again = await fetch(other.launchUrl, { redirect: 'manual' });
      expect([again.status, again.headers.get('set-cookie')]).toEqual([401, null]);
      const known = await fetch(other.launchUrl, {
        redirect: 'manual',
        headers: { cookie: other.cookie },
      });
      expect([known.status, known.headers.get('location')]).toEqual([303, '/']);
    } finally {
      await other.end();
    }
  });

  it('has at least 128 random bits and is not guessed', async () => {
    const token = studio.launchUrl.split('token=')[1]!;
    expect(Buffer.from(token, 'base64url').length).toBeGreaterThanOrEqual(16);
    for (let i = 0; i < 200; i++) {
      const guess = createHash('sha256').update(`${i}`).digest('base64url');
      const said = await fetch(`${studio.url}/launch?token=${guess}`, { redirect: 'manual' });
      expect([said.status, said.headers.get('set-cookie')]).toEqual([401, null]);
    }
  });

  it('tells a person without the cookie what to do, in a page without scripts', async () => {
    const said = await fetch(studio.url, { headers: { accept: 'text/html' } });
    const page = await said.text();
    expect(said.status).toBe(401);
    expect(page).toContain('Open the launch address');
    expect(page).not.toMatch(/<script|<style|\sstyle=|\son[a-z]+=/i);
  });
});

describe('files of the page', () => {
  it('come with right types, hashed ones for good', async () => {
    const index = await studio.ask('/');
    expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(index.headers.get('cache-control')).toBe('no-cache');
    const own = await studio.ask(`/runs/${run}`);
    expect(await own.text()).toBe(await index.text());
    const script = await studio.ask('/assets/a-1.js');
    expect(script.headers.get('content-type')).toContain('text/javascript');
    expect(script.headers.get('cache-control')).toContain('immutable');
    expect((await studio.ask('/assets/none.js')).status).toBe(404);
  });

  it.each([
    '/../outside.txt',
    '/..%2foutside.txt',
    '/%2e%2e/outside.txt',
    '/assets/../../outside.txt',
    '/assets/..%2f..%2foutside.txt',
    '/..%5coutside.txt',
    '/....//outside.txt',
    '//etc/passwd.txt',
    '/assets/%00a-1.js',
    '/%252e%252e%252foutside.txt',
    '/.%2e/outside.txt',
    '/assets/a-1.js/../../../outside.txt',
    '/file:///etc/passwd.txt',
    '/C:%5cx.txt',
    '/assets/a-1.js%00.txt',
  ])('never lie outside: %s', async (path) => {
    const headers = { host: `127.0.0.1:${studio.port}`, cookie: studio.cookie };
    const said = await raw(path, 'GET', headers);
    expect([400, 404]).toContain(said.status);
    expect(said.body).not.toContain('outside\n');
  });

  it('hold no inline script or style where the page is built', () => {
    const built = join(import.meta.dirname, '..', 'dist', 'studio', 'index.html');
    const page = statSync(built, { throwIfNoEntry: false }) ? readFileSync(built, 'utf8') : '';
    for (const [tag] of page.matchAll(/<script[^>]*>/g)) expect(tag).toContain('src=');
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
  });
});

const SHELLS = [
  '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'><svg/onload=alert(1)>", '</script><script>x</script>', '<iframe src=javascript:alert(1)>', '{{constructor.constructor("alert(1)")()}}', '#{alert(1)}', '<a href="javascript:alert(1)">x</a>',
  '\u001b[31mred\u001b[0m', '\u001b]8;;http://evil.test\u0007link\u001b]8;;\u0007', '\u001b]52;c;aGk=\u0007', '\u001b[2J\u001b[H', '\u009b31m', '\u0000\u0001\u0007\u007f', '\u202eevil\u202c', '\u2028alert(1)\u2029', '\r\nSet-Cookie: a=b', 'data: x\n\nevent: state\ndata: "done"\n\n',
  '<!--', ']]>', '&lt;script&gt;', '\\u003cscript\\u003e', '<math><mtext></p><style><img src onerror=alert(1)>', '\ufeff<script>', 'id: 99\nretry: 1\n\n',
]; // biome-ignore format: a list

it('gives 500 hostile texts back as JSON text, in whatever place they stood', async () => {
  const { store } = studio;
  const texts = Array.from({ length: 500 }, (_, i) => `${SHELLS[i % SHELLS.length]}${i}`);
  const id = store.createRun({ ...RUN, config: { ...RUN.config, task: { name: texts[0] }, note: texts }, versions: { [texts[1]!]: texts[2]! } }); // biome-ignore format: one line
  store.appendEvents(id, texts.map((text, i) => ({
    kind: 'step', step: i, reward: 0, bestPrompt: text, bestReward: i, promptsPerSecond: 1, evaluations: i,
    episode: { prompt: text, input: text, answer: text, gold: text, reward: 0 }, quantities: { [text]: 1 },
  }))); // biome-ignore format: short
  store.appendEvents(
    id,
    texts.map((message) => ({ kind: 'warning', message })),
  );
  for (const text of texts) store.putPrompt(id, { text, tokens: [], scores: {} });
  store.finishRun(id, { state: 'failed', error: texts[3]! });
  const paths = [
    `/api/runs`,
    `/api/runs/${id}`,
    `/api/runs/${id}/series?points=500`,
    `/api/runs/${id}/log?limit=1000`,
    `/api/runs/${id}/prompts?limit=500`,
  ];
  for (const path of paths) {
    const response = await studio.ask(path);
    const body = await response.text();
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(body).not.toMatch(/[\u0000-\u001f]/);
    JSON.parse(body);
  }
  const log = await studio.get<contract.Page<contract.LogEntry>>(
    `/api/runs/${id}/log?kinds=step&limit=1000`,
  );
  expect(log.items.map(({ event }) => event.bestPrompt)).toEqual(texts);
  const page = await studio.get<contract.Page<contract.PromptRow>>(
    `/api/runs/${id}/prompts?limit=500`,
  );
  // SQLite ends a text at U+0000, so that prompts that begin with it are one.
  const whole = texts.filter((text) => !text.includes('\u0000'));
  expect(page.items.map(({ text }) => text)).toEqual(expect.arrayContaining(whole));
  const detail = await studio.get<contract.RunDetail>(`/api/runs/${id}`);
  expect(detail).toMatchObject({
    task: texts[0],
    error: texts[3],
    lastEpisode: { answer: texts[499] },
  });
  const stream = await studio.ask(`/api/runs/${id}/stream`);
  const reader = stream.body!.getReader();
  let said = '';
  while (!/^event: state$/m.test(said))
    said += new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  const names = [...said.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
  expect(names.filter((name) => name === 'run')).toHaveLength(1000);
  expect(names.filter((name) => name === 'state')).toHaveLength(1);
  // Texts of errors are texts, too: an address that does not exist is not echoed as a page.
  const missing = await studio.ask(`/api/${encodeURIComponent(SHELLS[0]!)}`, {
    headers: { accept: 'text/html' },
  });
  expect(missing.headers.get('content-type')).toMatch(/^application\/json/);
});

describe('secrets', () => {
  /** 40 of them: by name, by look, in addresses, in headers, as services echo them. */
  const secret = (i: number) =>
    createHash('sha256').update(`secret ${i}`).digest('hex').slice(0, 32);
  const env = Object.fromEntries([
    ...['OPENAI_API_KEY', 'MY_TOKEN', 'DB_PASSWORD', 'APP_SECRET', 'AWS_SECRET_ACCESS_KEY', 'GH_CREDENTIALS', 'KEY_PASSPHRASE', 'ANTHROPIC_API_KEY', 'HF_TOKEN', 'X_KEY'].map((name, i) => [name, secret(i)]),
    ...Array.from({ length: 10 }, (_, i) => [`PLAIN_${i}`, secret(10 + i)]),
  ]); // biome-ignore format: a list
  const planted = [
    ...Array.from({ length: 20 }, (_, i) => secret(i)),
    ...Array.from({ length: 5 }, (_, i) => `sk-${secret(20 + i)}`),
    ...Array.from({ length: 5 }, (_, i) => `Bearer ${secret(25 + i)}`),
    ...Array.from({ length: 5 }, (_, i) => `https://user:${secret(30 + i)}@api.test/v1`),
    ...Array.from({ length: 5 }, (_, i) => Buffer.from(secret(i)).toString('base64')),
  ];
  const hidden = planted.map((text) => /[0-9a-f]{32}|[A-Za-z0-9+/]{40,}/.exec(text)![0]);

  it('are found in no answer of the server', async () => {
    expect(planted).toHaveLength(40);
    const other = await testStudio({ env });
    try {
      const { store } = other;
      const id = store.createRun({
        ...RUN,
        config: { ...RUN.config, headers: planted, url: planted[30] },
      });
      store.appendEvents(
        id,
        planted.map((message) => ({
          kind: 'warning',
          message: `the server answered 401: ${message}`,
        })),
      );
      store.appendEvents(
        id,
        planted.map((text, step) => ({
          kind: 'step',
          step,
          reward: 0,
          bestPrompt: text,
          bestReward: step,
          promptsPerSecond: 1,
          evaluations: 1,
        })),
      );
      const result = { kind: 'result', method: 'random', kindOfResult: 'text', prompt: planted[0], promptTokens: [], train: SCORE, validation: SCORE, test: SCORE, evaluations: 1, seconds: 1, runId: id, rows: [{ method: 'x', prompt: planted[1], validation: SCORE, test: SCORE }] } as OptimizeResult; // biome-ignore format: one line
      store.finishRun(id, { state: 'done', result });
      const failed = store.createRun(RUN);
      store.finishRun(failed, { state: 'failed', error: planted.join(' ') });
      let said = '';
      const paths = [
        '/api/runs',
        `/api/runs/${id}`,
        `/api/runs/${failed}`,
        `/api/runs/${id}/log?limit=1000`,
        `/api/runs/${id}/series`,
        `/api/runs/${id}/prompts`,
        `/api/runs/${id}/examples`,
        '/api/about',
        '/api/schema',
        '/api/models',
        '/api/comparisons',
        '/api/openapi.json',
      ];
      for (const path of paths) said += await (await other.ask(path)).text();
      for (const text of planted) {
        for (const [path, body] of [
          ['/api/plan', { yaml: `taskLm: ${JSON.stringify(text)}\nsecret: ${text}` }],
          ['/api/runs', { yaml: `task: { data: "${text}" }` }],
          ['/api/runs', { yaml: `task: ${text}` }],
          [`/api/runs/${id}/branch`, { set: [`taskLm=${text}`] }],
          ['/api/exports', { run: id, to: text }],
        ] as const) {
          said += await (await other.ask(path, { method: 'POST', body })).text();
        }
      }
      const stream = await other.ask(`/api/runs/${id}/stream`);
      const reader = stream.body!.getReader();
      while (!said.includes('event: state'))
        said += new TextDecoder().decode((await reader.read()).value);
      await reader.cancel();
      expect(said).toContain('the server answered 401: [key]');
      expect(hidden.filter((text) => said.includes(text))).toEqual([]);
      // A configuration with a key in it is kept nowhere.
      const kept = readdirSync(other.home, { recursive: true, encoding: 'utf8' }).filter((name) =>
        /yaml|log/.test(name),
      );
      expect(kept).toEqual([]);
    } finally {
      await other.end();
    }
  });

  it('are told from words and numbers', () => {
    const redact = createRedact({
      HOME: '/home/someone',
      LANG: 'en_GB.UTF-8',
      TOKEN: 'short',
      SHELL: '/bin/bash',
      KEYBOARD: '/usr/share/keys/us',
    });
    const text = 'It was great, see https://example.test/a@b and en_GB.UTF-8, 20261125-040000-ab12';
    expect(redact(text)).toBe(text);
  });
});

describe("code of a user's own", () => {
  const task = {
    data: 'rows.csv',
    input: 'text',
    template: '{prompt} {input}',
  };
  const own = { ...task, metric: { name: 'function', path: './own.js' } };
  const made = (taskOf: object) =>
    studio.store.createRun({
      ...RUN,
      config: { ...parseConfig(JSON.stringify({ task: taskOf })), folder: studio.folder },
      origin: {},
    });

  it.each([
    'task.metric=function',
    'task={data: rows.csv, metric: {name: function, path: ./own.js}}',
    'task={data: rows.csv, metric: function}',
    ' task ={"metric":"function"}',
    'task.metric.name=function',
  ])('is not brought in by a branch: %s', async (set) => {
    const id = made(task);
    studio.store.finishRun(id, { state: 'paused' });
    const body = { set: [set], step: 0 };
    const said = await studio.ask(`/api/runs/${id}/branch`, { method: 'POST', body });
    expect([said.status, await said.text()]).toEqual([400, expect.stringContaining('module of your own')]); // biome-ignore format: one line
  });

  it('is not run by an export, a resumption or the playground', async () => {
    const id = made(own);
    studio.store.finishRun(id, { state: 'paused' });
    for (const [path, body] of [
      ['/api/exports', { run: id, to: 'text' }],
      [`/api/runs/${id}/resume`, {}],
      [`/api/runs/${id}/branch`, { set: [] }],
      ['/api/playground', { run: id, prompts: ['x'] }],
    ] as const) {
      const said = await studio.ask(path, { method: 'POST', body });
      expect([path, said.status]).toEqual([path, 400]);
      expect(await said.text()).toContain('module of your own');
    }
  });
});

// Quadratic, it takes minutes and runs into the test's limit.
it('takes long hostile texts out in a time that does not grow with their square', {
  timeout: 20_000,
}, () => {
  const redact = createRedact({});
  for (const text of ['a.', 'sk-', 'a://', 'Bearer ', 'x@']) {
    expect(redact(text.repeat(50_000)).length).toBeGreaterThan(0);
  }
});
