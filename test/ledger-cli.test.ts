/** What a result says it took, and what was planned before: on the command line, against a server here. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { methods } from '../src/methods/index.ts';
import { loadConfig } from '../src/runs/config.ts';
import { optimize } from '../src/runs/optimize.ts';
import { planRun } from '../src/runs/plan.ts';
import { openStore } from '../src/runs/store.ts';
import type { Asked, ProviderServer } from './support/provider-server.ts';
import { chatModel, startChatServer, sumsTask, writeSums } from './support/sums.ts';
import { writeTinyTask } from './support/tiny-task.ts';
import { last, whetstoneIn } from './support/whetstone-process.ts';

let folder: string;
let server: ProviderServer;
let before: { calls: number; input: number; output: number };
beforeAll(async () => {
  server = await startChatServer(answer);
});
afterAll(() => server.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-ledger-'));
  before = { ...server.paid };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A number, a mark, or another prompt; tokens are counted as English text has them. */
function answer({ model, messages, number }: Asked) {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  const texts: Record<string, string> = {
    writer: `\`\`\`\nThink again, number ${number}.\n\`\`\``,
    judge: `It is so.\nScore: ${number % 11}`,
  };
  const text = texts[model] ?? `= ${number % 7}`;
  return { text, input: Math.ceil(characters / 4) + 4 * messages.length, output: 2 };
}

const writeConfig = (config: object = {}, task: object = {}) =>
  writeSums(folder, server, {
    config: {
      task: { ...sumsTask, ...task },
      method: { name: 'manual' },
      budget: { evaluations: 150 },
      methods: { random: { batchSize: 4 } },
      ...config,
    },
  });

const run = async (...args: string[]) => {
  const ended = await whetstoneIn(folder, args);
  expect({ code: ended.code, err: ended.err }).toMatchObject({ code: 0 });
  return last(ended) as unknown as Result;
};

interface Result {
  readonly kind: string;
  readonly ledger: Readonly<Record<string, number>>;
}

const none = { calls: 0, inputTokens: 0, outputTokens: 0, usd: 0, retries: 0, cached: 0 };
const sent = () => ({
  calls: server.paid.calls - before.calls,
  inputTokens: server.paid.input - before.input,
  outputTokens: server.paid.output - before.output,
});

describe('the ledger of a result', () => {
  it.each([
    ['evaluate', ['evaluate', '--prompt', 'Solve it.']],
    ['optimize', ['optimize']],
    ['compare', ['compare', '--methods', 'manual,random', '--seeds', '1']],
  ])('%s: what the server was asked and what it counted', async (_, args) => {
    await writeConfig();
    const { ledger } = await run(...args);
    expect(ledger).toEqual({ ...none, ...sent(), cached: expect.any(Number) });
    expect(ledger.calls).toBeGreaterThan(0);
  });

  it.each([
    ['evaluate', ['evaluate', 'whetstone.yaml', '--prompt', 'so nice']],
    ['optimize', ['optimize', 'whetstone.yaml', '--set', 'budget.evaluations=300']],
    ['compare', ['compare', 'whetstone.yaml', '--methods', 'manual,random', '--seeds', '1', '--set', 'budget.evaluations=300']], // biome-ignore format: one command
  ])('%s: zeros where label words are preferred and nobody was asked in text', async (_, args) => {
    const { path } = await writeTinyTask(folder);
    const given = args.map((arg) => (arg === 'whetstone.yaml' ? path : arg));
    expect((await run(...given)).ledger).toEqual(none);
  });
});

describe('the plan of a run', () => {
  const small = { examplesPerStep: 16 };
  const judged = () => ({
    metrics: [
      { metric: { name: 'judge', model: chatModel(server, 'judge'), maxTokens: 32 } },
      { metric: 'numeric' },
    ],
  });
  it.each<[string, object]>([
    ['manual', {}],
    ['random', { batchSize: 4, ...small }],
    ['few-shot', { shots: 2, draws: 4, batchSize: 2 }],
    ['evolution', { children: 8, population: 4 }],
    ['reflect', { prompts: ['Solve it.'], batchSize: 2, patience: 2 }],
    ['reflect with a judge', { prompts: ['Solve it.'], batchSize: 2, patience: 2 }],
  ])('%s asks for no more than is planned, and for much of it', async (title, own) => {
    const method = { name: title.split(' ')[0], ...own };
    const reward = title.endsWith('judge') ? judged() : 'piecewise';
    await writeConfig({ method, reward }, { maxAnswerTokens: 16 });
    const loaded = await loadConfig(join(folder, 'whetstone.yaml'));
    const plan = await planRun(loaded);
    expect(sent().calls).toBe(0);
    const store = await openStore(join(folder, 'home'));
    const { ledger } = await optimize(loaded, { store });
    store.close();
    const { calls, inputTokens, outputTokens } = ledger!;
    expect(calls).toBeLessThanOrEqual(plan.calls);
    expect(inputTokens + outputTokens).toBeLessThanOrEqual(plan.tokens);
    expect(plan.calls).toBeLessThan(4 * calls);
    const roles = Object.values(plan.byRole);
    expect(roles.reduce((sum, role) => sum + role.calls, 0)).toBe(plan.calls);
    expect(roles.reduce((sum, role) => sum + role.tokens, 0)).toBe(plan.tokens);
    expect(Object.keys(plan.byRole)).toEqual([
      'task',
      ...(title.startsWith('reflect') ? ['reflection'] : []),
      ...(title.endsWith('judge') ? ['judge'] : []),
    ]);
  });

  it.each(Object.keys(methods))(
    '%s has one on an open task LM, in all its fields',
    async (name) => {
      const { load } = await writeTinyTask(folder);
      const plan = await planRun(load(`method={ name: ${name} }`));
      expect(Object.keys(plan)).toEqual(FIELDS);
      expect(plan.byRole.task!.calls).toBeGreaterThan(400);
      expect(plan.tokens).toBeGreaterThan(plan.calls);
      expect(plan.minutes).toBeGreaterThan(0);
      expect(plan.usd).toBe(0);
      expect('reflection' in plan.byRole).toBe(name === 'reflect');
    },
  );

  it('is one line of JSON on the command line', async () => {
    await writeConfig();
    for (const args of [['optimize'], ['compare', '--methods', 'manual,random']]) {
      const plan = await run(...args, '--dry-run');
      expect(plan.kind).toBe('plan');
      expect(Object.keys(plan)).toEqual(FIELDS);
    }
    expect(sent().calls).toBe(0);
  });
});

const FIELDS = ['kind', 'calls', 'tokens', 'usd', 'minutes', 'byRole', 'notes'];
