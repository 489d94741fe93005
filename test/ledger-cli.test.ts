/** What a result says it took, and what was planned before: on the command line, against a server here. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { methods } from '../src/methods/index.ts';
import type { Role } from '../src/providers/index.ts';
import { type LoadedConfig, loadConfig } from '../src/runs/config.ts';
import { optimize } from '../src/runs/optimize.ts';
import { type CallPlan, planRun } from '../src/runs/plan.ts';
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
    labeller: number % 3 === 0 ? 'bad' : 'good',
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

/** Dollars per million tokens, of each model its own. */
const PRICES = {
  calculator: { input: 10, output: 30 },
  writer: { input: 20, output: 60 },
  judge: { input: 5, output: 15 },
  labeller: { input: 2, output: 8 },
};
const prices = Object.fromEntries(
  Object.entries(PRICES).map(([name, price]) => [`openai-compatible:${name}`, price]),
);
const ROLE_OF: Readonly<Record<string, string>> = { writer: 'reflection', judge: 'judge' };

/** What the server was asked since, by role, as it counts and as it is paid. */
function takenByRole(
  first: number,
): Record<string, { calls: number; tokens: number; usd: number }> {
  const sums: ReturnType<typeof takenByRole> = {};
  for (const one of server.asked.slice(first)) {
    const { input, output } = answer(one);
    const price = PRICES[one.model as keyof typeof PRICES];
    const role = ROLE_OF[one.model] ?? 'task';
    sums[role] ??= { calls: 0, tokens: 0, usd: 0 };
    sums[role].calls += 1;
    sums[role].tokens += input + output;
    sums[role].usd += (input * price.input + output * price.output) / 1e6;
  }
  return sums;
}

/** The run's ledger, its every figure held against the plan that was made before. */
async function heldAgainstPlan(loaded: LoadedConfig): Promise<{ plan: CallPlan; calls: number }> {
  const first = server.asked.length;
  const plan = await planRun(loaded);
  expect(server.asked.length).toBe(first);
  const store = await openStore(join(folder, 'home'));
  const { ledger } = await optimize(loaded, { store });
  store.close();
  const { calls, inputTokens, outputTokens, usd } = ledger!;
  expect(calls).toBeGreaterThan(0);
  expect(calls).toBeLessThanOrEqual(plan.calls);
  expect(inputTokens + outputTokens).toBeLessThanOrEqual(plan.tokens);
  expect(usd!).toBeLessThanOrEqual(plan.usd!);
  const taken = takenByRole(first);
  const sum = Object.values(taken).reduce((all, role) => all + role.usd, 0);
  expect(usd!).toBeCloseTo(sum, 9);
  expect(Object.keys(plan.byRole).sort()).toEqual(Object.keys(taken).sort());
  for (const [role, { calls, tokens, usd }] of Object.entries(taken)) {
    const planned = plan.byRole[role as Role]!;
    expect({ role, calls, tokens, usd, planned }).toSatisfy(
      () => calls <= planned.calls && tokens <= planned.tokens && usd <= planned.usd!,
    );
  }
  for (const key of ['calls', 'tokens', 'usd'] as const) {
    const whole = Object.values(plan.byRole).reduce((all, role) => all + role[key]!, 0);
    expect(plan[key]).toBeCloseTo(whole, 9);
  }
  return { plan, calls };
}

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

  it('a run that was interrupted: what it has paid until then', async () => {
    await writeConfig({ method: { name: 'random' } });
    const ended = await whetstoneIn(folder, ['optimize'], {
      onLine: ({ kind }, child) => kind === 'step' && child.kill('SIGINT'),
    });
    expect(ended.code).toBe(130);
    const { calls, inputTokens, outputTokens } = sent();
    expect(calls).toBeGreaterThan(0);
    expect(last(await whetstoneIn(folder, ['runs', 'show', 'last']))).toMatchObject({
      run: { state: 'interrupted' },
      paid: { calls, tokens: inputTokens + outputTokens },
    });
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
    await writeConfig({ method, reward, prices, budget: { evaluations: 150, usd: 100 } }, { maxAnswerTokens: 16 }); // biome-ignore format: one call
    const { plan, calls } = await heldAgainstPlan(await loadConfig(join(folder, 'whetstone.yaml')));
    expect(plan.calls).toBeLessThan(4 * calls);
    expect(Object.keys(plan.byRole)).toEqual([
      'task',
      ...(title.startsWith('reflect') ? ['reflection'] : []),
      ...(title.endsWith('judge') ? ['judge'] : []),
    ]);
  });

  it.each([
    ['one prompt', ['policy.context=[description]']],
    [
      'a prompt for each input',
      ['task.conversation=chat', 'policy.context=[conversation]', 'method.warmWeight=reward'],
    ],
  ])('grpo, %s: a local policy, a task LM behind an API', async (_, each) => {
    const { load } = await writeTinyTask(folder);
    const rows = Array.from({ length: 40 }, (_, i) => ({
      text: ['nice film', 'dull film', 'slow walk'][i % 3] + ' very'.repeat(i),
      label: i % 2 ? 'p' : 'n',
      chat: [{ role: 'user', content: i % 4 < 2 ? 'feel' : 'tone' }],
    }));
    await writeFile(join(folder, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
    const { plan, calls } = await heldAgainstPlan(
      load(
        'task.data=rows.jsonl',
        `taskLm=${JSON.stringify(chatModel(server, 'labeller'))}`,
        `prices=${JSON.stringify(prices)}`,
        'method={ name: grpo, groups: 2, groupSize: 4, promptTokens: 4, warmSteps: 2, prompts: [it was, very nice], validateEvery: 2 }',
        'budget={ evaluations: 200, usd: 100 }',
        ...each,
      ),
    );
    expect(Object.keys(plan.byRole)).toEqual(['task']);
    expect(plan.calls).toBeLessThan(6 * calls);
  });

  it.each(Object.keys(methods))(
    '%s has one on an open task LM, in all its fields',
    async (name) => {
      const { load } = await writeTinyTask(folder);
      const plan = await planRun(load(`method={ name: ${name} }`, 'budget.evaluations=2000'));
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
