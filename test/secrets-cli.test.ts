/**
 * Forty keys: such as people put where they do not belong, and such as a configuration names: nothing of them may
 * lie in the store, its log, artefacts, exports or what is printed, even where the server says them again.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formsOf } from '../src/providers/secrets.ts';
import { testStudio } from './support/studio-server.ts';
import { sums } from './support/text-models.ts';
import { last, whetstoneIn } from './support/whetstone-process.ts';

const KEY = 'first-key-of-the-header-93';
/** In options that the server is sent: words, and such as have other forms in addresses and in JSON. */
const OWN = Array.from({ length: 19 }, (_, i) =>
  i % 3 === 0 ? `pa"ss<${i}>/100%&+=` : i % 3 === 1 ? `sk-own${i}key${i}own${i}` : `own-key-${i}-57`,
); // biome-ignore format: one line
const own = Object.fromEntries(OWN.map((_, i) => [`password${i}`, `env:SESSION_PASS_${i}`]));
const env = {
  MY_KEY: KEY,
  ...Object.fromEntries(OWN.map((value, i) => [`SESSION_PASS_${i}`, value])),
};

/** Bodies that it was sent. */
const bodies: string[] = [];
const server = http.createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    bodies.push(body);
    response.setHeader('content-type', 'application/json');
    // One in five is refused in words that hold all keys.
    if (bodies.length % 5 === 2) {
      response.statusCode = 500;
      const message = `no: ${request.headers.authorization} ${OWN.flatMap(formsOf).join(' ')}`;
      response.end(JSON.stringify({ error: { message } }));
      return;
    }
    const message = { role: 'assistant', content: '= 7' };
    response.end(
      JSON.stringify({
        id: 'x',
        model: 'm',
        created: 1,
        choices: [{ index: 0, message, finish_reason: 'stop' }],
        usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
      }),
    );
  });
});

let folder: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'whetstone-secrets-'));
  const rows = sums(40).map((row) => JSON.stringify(row));
  await writeFile(join(folder, 'sums.jsonl'), `${rows.join('\n')}\n`);
});
afterAll(() => {
  server.close();
});

function yaml(taskLm: object): string {
  const model = {
    provider: 'openai-compatible',
    model: 'm',
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    apiKey: 'env:MY_KEY',
  };
  return JSON.stringify({
    task: { kind: 'arithmetic', data: 'sums.jsonl', input: 'problem', gold: 'answer' },
    taskLm: { ...model, ...taskLm },
    method: { name: 'manual', prompts: ['Add.', 'Count.'] },
    budget: { evaluations: 100 },
  });
}

/** Every file below the folder but the configuration that a person wrote. */
function allBytes(): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name !== 'whetstone.yaml' && statSync(join(folder, name)).isFile()); // biome-ignore format: one line
  return files.map((name) => readFileSync(join(folder, name), 'latin1')).join('\n');
}

function expectNone(text: string, secrets: readonly string[]): void {
  for (const form of secrets.flatMap(formsOf)) expect(text.includes(form), form).toBe(false);
}

it('keys that are named reach the server, and nothing that is kept or printed', async () => {
  await writeFile(join(folder, 'whetstone.yaml'), yaml({ options: { session: own } }));
  const run = await whetstoneIn(folder, ['optimize'], { env });
  expect({ code: run.code, err: run.err }).toMatchObject({ code: 0 });
  const sent = bodies.map((body) => (JSON.parse(body) as { session: object }).session);
  expect(sent.length).toBeGreaterThan(20);
  for (const each of sent) expect(Object.values(each)).toEqual(OWN);
  const said = [JSON.stringify(run.lines), run.err];
  for (const args of [
    ['runs', 'show', 'last', '--events'],
    ['runs', 'list'],
    ...['json', 'markdown', 'html', 'promptfoo', 'ai-sdk', 'langchain', 'openai', 'text'].map(
      (to) => ['export', 'last', '--to', to, '--out', `out-${to}`],
    ),
  ]) {
    const ended = await whetstoneIn(folder, args, { env });
    expect([args, ended.code, ended.err]).toEqual([args, 0, expect.any(String)]);
    said.push(JSON.stringify(ended.lines), ended.err);
  }
  expect(said.join('')).toContain('env:SESSION_PASS_18');
  expectNone(said.join('\n'), [KEY, ...OWN]);
  expectNone(allBytes(), [KEY, ...OWN]);
  expect(existsSync(join(folder, 'home', 'runs.sqlite'))).toBe(true);
});

it('keys that are written out are refused before anything is recorded or sent', async () => {
  const look = (i: number) => `kjh${i}kjh4kjh5kjh6kjh7kjh${i}`;
  const secrets = Array.from({ length: 20 }, (_, i) => (i % 4 === 1 ? look(i) : `sword-fish-${i}`));
  const before = bodies.length;
  // Four in each place: by the key's name, by their look, in headers, in addresses.
  const planted = [0, 4, 8, 12, 16].map((at): object => {
    const [a, b, c, d] = secrets.slice(at) as [string, string, string, string];
    const where: readonly object[] = [
      { password: a, anything: b, deep: { apiKey: c, secret: d } },
      { extra: [{ headers: { 'X-Auth-Token': a, Other: b, Authorization: c, 'X-Api-Key': d } }] },
      { headers: { Cookie: a, 'X-Trace': b, 'Proxy-Authorization': `Basic ${c}`, token: d } },
      { access_token: a, list: [b], client_secret: c, auth: { passphrase: d } },
    ];
    if (at < 16) return { options: where[at / 4] };
    const url = `http://me:${a}@127.0.0.1:1/v1?key=${b}&token=${c}`;
    return { baseUrl: url, options: { password: d } };
  });
  const studio = await testStudio({ folder, env });
  const said: string[] = [];
  try {
    for (const one of planted) {
      await writeFile(join(folder, 'whetstone.yaml'), yaml(one));
      const ended = await whetstoneIn(folder, ['optimize'], { env });
      expect([one, ended.code, last(ended).code]).toEqual([one, 2, 'config']);
      const set = `--set=taskLm=${JSON.stringify((JSON.parse(yaml(one)) as { taskLm: object }).taskLm)}`;
      const branch = await whetstoneIn(folder, ['runs', 'branch', 'last', '--step', '0', set], { env }); // biome-ignore format: one line
      expect(branch.code).toBe(2);
      const started = await studio.ask('/api/runs', { method: 'POST', body: { yaml: yaml(one) } });
      expect(started.status).toBe(400);
      const plan = await studio.ask('/api/plan', { method: 'POST', body: { yaml: yaml(one) } });
      for (const each of [ended, branch]) said.push(JSON.stringify(each.lines), each.err);
      said.push(await started.text(), await plan.text());
    }
  } finally {
    await studio.end();
  }
  expect(bodies.length).toBe(before);
  expectNone(said.join('\n'), secrets);
  expectNone(allBytes(), secrets);
}, 120_000);
