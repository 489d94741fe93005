/** Text tasks as people run them: the command line as a process, a server on this machine. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { taskKinds } from '../src/tasks/kinds/index.ts';
import { packageRoot } from '../src/util/package-root.ts';
import type { Asked, ProviderServer } from './support/provider-server.ts';
import { calculate, startChatServer, sumsTask, writeSums } from './support/sums.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
const KEY = 'sk-not-to-be-seen-4711';

let folder: string;
let server: ProviderServer;
/** Requests before the test. */
let sent: number;
const asked = () => server.asked.slice(sent);
beforeAll(async () => {
  server = await startChatServer(answer);
});
afterAll(() => server.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-text-cli-'));
  sent = server.asked.length;
});

/** A calculator, and a writer who tells it to be careful. */
function answer(asked: Asked) {
  if (asked.model === 'writer') return { text: '```\nSolve it carefully: times first.\n```' };
  return calculate(asked);
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function whetstone(...args: string[]): Promise<Outcome> {
  if (!existsSync(built)) throw new Error('build first: npm run build');
  const env = { ...process.env, WHETSTONE_HOME: join(folder, 'home'), NO_COLOR: '1', MY_KEY: KEY };
  const child = spawn(process.execPath, [built, ...args], { cwd: folder, env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const lastLine = (text: string) => JSON.parse(text.trim().split('\n').at(-1) ?? '');

const writeTask = (config: object = {}) =>
  writeSums(folder, server, {
    model: { apiKey: 'env:MY_KEY' },
    config: {
      method: { name: 'reflect', prompts: ['Solve the problem.'] },
      budget: { evaluations: 300 },
      ...config,
    },
  });

describe('optimize', () => {
  it('goes from a configuration to a result whose ledger is what the server was asked', async () => {
    await writeTask();
    const { code, out, err } = await whetstone('optimize', '--json');
    expect({ code, err }).toEqual({ code: 0, err: expect.any(String) });
    const result = lastLine(out);
    expect(result).toMatchObject({
      kind: 'result',
      method: 'reflect',
      prompt: 'Solve it carefully: times first.',
      metric: 'numeric',
      test: { score: 1, examples: 12 },
    });
    expect(result.ledger).toMatchObject({ calls: asked().length, usd: 0 });
    expect(asked()[0]!.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(out + err).not.toContain(KEY);
    const shown = await whetstone('runs', 'show', 'last', '--json');
    expect(shown.code).toBe(0);
    expect(shown.out).toContain('env:MY_KEY');
    expect(shown.out).not.toContain(KEY);
    const again = await whetstone('evaluate', '--run', 'last', '--split', 'validation', '--json');
    expect(lastLine(again.out)).toMatchObject({ kind: 'result', score: 1, metric: 'numeric' });
  });

  it('sends nothing on a dry run, and says what it would ask for', async () => {
    await writeTask();
    const { code, out } = await whetstone('optimize', '--dry-run', '--json');
    expect(code).toBe(0);
    const plan = lastLine(out);
    expect(plan).toMatchObject({ kind: 'plan', usd: 0 });
    const { task, reflection } = plan.byRole;
    expect(plan.calls).toBe(task.calls + reflection.calls);
    expect(plan.calls).toBeGreaterThan(300);
    expect(plan.tokens).toBeGreaterThan(plan.calls);
    expect(plan.minutes).toBeGreaterThan(0);
    expect(asked()).toHaveLength(0);
    const enough = ['--set', 'budget.evaluations=1000'];
    const people = await whetstone('compare', '--dry-run', '--methods', 'manual,random', ...enough);
    expect(people.out).toMatch(/^task .*\d/m);
    expect(asked()).toHaveLength(0);
  });

  it('stays under a cap of tokens over all roles', async () => {
    await writeTask({ budget: { evaluations: 5000, tokens: 45_000 }, method: { name: 'random' } });
    const { code, out, err } = await whetstone('optimize', '--json');
    expect({ code, err }).toMatchObject({ code: 0 });
    const { inputTokens, outputTokens } = lastLine(out).ledger;
    expect(inputTokens + outputTokens).toBeLessThanOrEqual(45_000);
    expect(asked().length).toBeGreaterThan(300);
  }, 180_000);
});

describe('bad input', () => {
  it.each([
    [
      'a kind that is not there',
      { kind: 'arithmetics' },
      /task\.kind: expected classification or sentiment or .*arithmetic/,
    ],
    [
      'a gold column that is not there',
      { kind: 'arithmetic', gold: 'answr' },
      /no column "answr" \(task\.gold\)/,
    ],
    ['a metric that is not there', { kind: 'arithmetic', metric: 'numerik' }, /task\.metric/],
    [
      'a metric that does not fit the golds',
      { kind: 'arithmetic', gold: 'problem', input: 'answer', metric: 'json' },
      /sums\.jsonl: row 1.*metric json needs/,
    ],
    [
      'labels of free text',
      { kind: 'arithmetic', labels: { a: 'b' } },
      /task\.labels: .*arithmetic has none/,
    ],
    [
      'a question without a slot',
      { kind: 'arithmetic', question: 'answer' },
      /the template has no slot \{question\}/,
    ],
    [
      'a template without a prompt',
      { kind: 'arithmetic', template: '[user]\n{input}' },
      /the slot \{prompt\} is missing/,
    ],
  ])('%s is refused before anything is asked', async (_, task, message) => {
    await writeTask({ task: { data: 'sums.jsonl', input: 'problem', gold: 'answer', ...task } });
    const { code, err } = await whetstone('optimize');
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(asked()).toHaveLength(0);
  });

  it.each([
    [
      'an empty gold',
      '{"problem":"1 + 1 + 1","answer":""}',
      /row 41 has nothing in column "answer"/,
    ],
    [
      'an empty list',
      '{"problem":"1 + 1 + 1","answer":[]}',
      /row 41 has an empty list in column "answer"/,
    ],
    [
      'a conversation of a wrong role',
      '{"problem":"1 + 1 + 1","answer":3,"chat":[{"role":"robot","content":"x"}]}',
      /row 41 has no conversation in column "chat".* at 0\.role/,
    ],
    [
      'a conversation that is no list',
      '{"problem":"1 + 1 + 1","answer":3,"chat":"hello"}',
      /row 41 has no conversation in column "chat"/,
    ],
  ])('%s is refused with its row', async (_, line, message) => {
    await writeTask({
      task: { ...sumsTask, ...(line.includes('chat') ? { conversation: 'chat' } : {}) },
    });
    const path = join(folder, 'sums.jsonl');
    const rows = (await readFile(path, 'utf8')).trim().split('\n');
    const filled = rows.map((row) =>
      line.includes('chat') ? row.replace('}', ',"chat":[]}') : row,
    );
    await writeFile(path, [...filled, line].join('\n'));
    const { code, err } = await whetstone('optimize');
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(asked()).toHaveLength(0);
  });

  it('commands that read logits say that this task has none', async () => {
    await writeTask();
    const { code, err } = await whetstone('inspect', 'Solve it.');
    expect(code).toBe(2);
    expect(err).toMatch(/kind arithmetic is answered in text/);
  });
});

describe('init --kind', () => {
  const kinds = Object.values(taskKinds).filter(({ answers }) => answers === 'text');
  it.each(kinds.map(({ name }) => name))(
    '%s: a configuration and data that can be planned',
    async (kind) => {
      expect(await whetstone('init', '--kind', kind)).toMatchObject({ code: 0, err: '' });
      const { code, out, err } = await whetstone('optimize', '--dry-run', '--json');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(lastLine(out)).toMatchObject({ kind: 'plan', usd: 0 });
    },
  );
});
