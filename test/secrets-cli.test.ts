/**
 * Keys that people put where they do not belong, and keys that a configuration names: nothing of them may
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
const OWN = 'second-key-in-options-57';
const env = { MY_KEY: KEY, SESSION_PASS: OWN };

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
    // One in five is refused in words that hold both keys.
    if (bodies.length % 5 === 2) {
      response.statusCode = 500;
      const message = `no: ${request.headers.authorization} ${formsOf(OWN).join(' ')}`;
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
  await writeFile(
    join(folder, 'whetstone.yaml'),
    yaml({ options: { session: { password: 'env:SESSION_PASS' } } }),
  );
  const run = await whetstoneIn(folder, ['optimize'], { env });
  expect({ code: run.code, err: run.err }).toMatchObject({ code: 0 });
  expect(bodies.every((body) => body.includes(OWN))).toBe(true);
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
  expect(said.join('')).toContain('env:SESSION_PASS');
  expectNone(said.join('\n'), [KEY, OWN]);
  expectNone(allBytes(), [KEY, OWN]);
  expect(existsSync(join(folder, 'home', 'runs.sqlite'))).toBe(true);
});

it('keys that are written out are refused before anything is recorded or sent', async () => {
  const secrets = [
    'swordfish',
    'kjh3kjh4kjh5kjh6kjh7kjh8',
    'tok-31337',
    'c00kie-jar',
    'pass-in-url',
  ];
  const before = bodies.length;
  const planted: readonly object[] = [
    { options: { password: secrets[0] } },
    { options: { anything: secrets[1] } },
    { options: { extra: [{ headers: { 'X-Auth-Token': secrets[2] } }] } },
    { options: { headers: { Cookie: secrets[3] } } },
    { baseUrl: `http://me:${secrets[4]}@127.0.0.1:1/v1` },
  ];
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
