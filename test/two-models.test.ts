/** Whole runs with tiny real checkpoints: one LM writes, another of a different kind answers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/runs/config.ts';
import type { OptimizeResult, RunEvent, StepEvent } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { fixtures } from './tiny-models.ts';

let folder: string;
const before = { ...process.env };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-two-'));
  process.env.WHETSTONE_MODELS = join(folder, 'models');
});
afterEach(async () => {
  process.env = { ...before };
  await rm(folder, { recursive: true, force: true });
});

const model = (name: string) => join(fixtures, 'models', name);

/** Rows of words that the tiny tokenizers know; a row's label is whether its first number is odd. */
function rows(count: number): string {
  const words = (i: number) =>
    Array.from(
      { length: 2 + (i % 6) },
      (_, k) => `w${20 + ((i * 13 + k * (29 + Math.floor(i / 630))) % 70)}`,
    );
  const lines = Array.from(
    { length: count },
    (_, i) => `w${10 + (i % 9)} ${words(i).join(' ')},${i % 2}`,
  );
  return `text,label\n${[...new Set(lines)].join('\n')}\n`;
}

interface Options {
  readonly totalSeconds?: number;
  /** Aborts the run at the first event that it is true of. */
  readonly stopAt?: (event: RunEvent) => boolean;
}

/** A run of `config` on so many examples; what it threw, if it did. */
async function attempt(config: object, examples = 48, { totalSeconds, stopAt }: Options = {}) {
  await writeFile(join(folder, 'data.csv'), rows(examples));
  const path = join(folder, 'whetstone.yaml');
  const task = { data: 'data.csv', labels: { 0: 'w1', 1: 'w2' } };
  const budget = { evaluations: 400, minutes: 1 };
  await writeFile(path, JSON.stringify({ task, budget, ...config }));
  const store = await openStore(join(folder, 'home'));
  const events: RunEvent[] = [];
  const stop = new AbortController();
  const onEvent = (event: RunEvent) => {
    events.push(event);
    if (stopAt?.(event)) stop.abort();
  };
  let [result, error]: [OptimizeResult?, unknown?] = [];
  try {
    const loaded = await loadConfig(path);
    result = await optimize(loaded, { store, totalSeconds, onEvent, signal: stop.signal });
  } catch (thrown) {
    error = thrown;
  }
  const runs = store.listRuns();
  store.close();
  return { result, events, runs, error };
}

/** The same where it must succeed. */
async function run(config: object, examples?: number, options?: Options) {
  const { error, result, ...rest } = await attempt(config, examples, options);
  if (error) throw error;
  return { ...rest, result: result! };
}

const steps = (events: readonly RunEvent[]) =>
  events.filter((event): event is StepEvent => event.kind === 'step');

it.each(['manual', 'random', 'policy-gradient', 'soft-q'])(
  'a causal LM writes for a masked task LM by %s',
  async (name) => {
    const { result, events } = await run({
      taskLm: model('roberta'),
      policyLm: model('llama'),
      method: name === 'manual' ? { name, prompts: ['w3 w4', 'w5'] } : { name, batchSize: 8 },
    });
    expect(result.test.examples).toBeGreaterThan(5);
    expect(steps(events).length).toBeGreaterThan(0);
    expect(result.prompt).toMatch(/^w\d+( w\d+)*$/);
  },
);

it('reads what the policy writes in the policy’s own vocabulary', async () => {
  // Text, not ids, goes from one to the other: their vocabularies have nothing in common.
  const { events } = await run({
    taskLm: join(fixtures, 'gguf', 'gpt2.gguf'),
    policyLm: model('llama'),
    task: { data: 'data.csv', labels: { 0: 'a', 1: 'b' } },
    method: { name: 'policy-gradient', batchSize: 4 },
  });
  for (const { bestPrompt } of steps(events)) expect(bestPrompt).toMatch(/^w\d+( w\d+){4}$/);
});

it('refuses a masked LM as policy', async () => {
  const config = { taskLm: model('llama'), policyLm: model('roberta') };
  await expect(run(config)).rejects.toThrow(/needs a causal policy LM, .* is masked/);
});

it('keeps a long description within the policy’s context', async () => {
  const description = Array.from({ length: 500 }, () => 'w7').join(' ');
  const { result } = await run({
    taskLm: model('llama'),
    policyLm: model('llama'),
    task: { data: 'data.csv', labels: { 0: 'w1', 1: 'w2' }, description },
    method: { name: 'policy-gradient', batchSize: 4 },
  });
  expect(result.prompt).toMatch(/^w\d+/);
});

it.each(['policy-gradient', 'soft-q', 'random'])(
  'scores a minibatch of a large train split on each step of %s',
  async (name) => {
    const method = { name, batchSize: 4, examplesPerStep: 16 };
    const lm = model('llama');
    const { events, result } = await run({ taskLm: lm, policyLm: lm, method }, 300);
    const [first, second] = steps(events);
    // 16 examples in blocks of 8, four prompts, none of them known before.
    expect(first!.evaluations).toBeLessThanOrEqual(16 * 4);
    expect(second!.evaluations).toBeGreaterThan(first!.evaluations);
    expect(result.train.examples).toBeGreaterThan(100);
  },
);

it('races finalists where scoring all of them on everything would take long', async () => {
  const lm = model('llama');
  const method = { name: 'random', batchSize: 32, examplesPerStep: 8 };
  const { result } = await run(
    { taskLm: lm, policyLm: lm, method, budget: { evaluations: 500 } },
    4200,
  );
  expect(result.train.examples).toBe(1024);
  expect(result.validation.examples).toBeGreaterThan(500);
  expect(result.rows?.[1]?.method).toMatch(/^best of \d+ human prompts$/);
});

it('shortens the search and the end of it where they must end in time', async () => {
  const lm = model('llama');
  const config = {
    taskLm: lm,
    policyLm: lm,
    method: { name: 'random', batchSize: 4 },
    budget: { minutes: 1, evaluations: 300 },
  };
  const { result, events } = await run(config, 600, { totalSeconds: 0.001 });
  const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  expect(warnings.join()).toMatch(/the search is shortened to 15 s.*100 of 1\d\d test examples/);
  expect(result.rows?.map(({ method }) => method)).toContain('best of 8 human prompts');
  expect(result.test.examples).toBe(100);
});

it('measures what a race of human prompts had when its budget ended', async () => {
  const lm = model('llama');
  const method = { name: 'manual', prompts: ['w3', 'w4', 'w5'] };
  const { result } = await run(
    { taskLm: lm, policyLm: lm, method, budget: { evaluations: 36 } },
    120,
  );
  expect(['w3', 'w4', 'w5']).toContain(result.prompt);
});

describe('Ctrl-C', () => {
  const config = () => ({
    taskLm: model('llama'),
    policyLm: model('llama'),
    method: { name: 'random', batchSize: 8 },
  });

  it.each(['scoring human prompts', 'scoring finalists', 'opening the sealed'])(
    'while it is %s ends the run and records that',
    async (phase) => {
      const { events, runs, error } = await attempt(config(), 48, {
        stopAt: (event) => event.kind === 'progress' && event.phase.startsWith(phase),
      });
      expect(error).toMatchObject({ name: 'AbortError' });
      expect(runs).toMatchObject([{ state: 'interrupted' }]);
      expect(events.map(({ kind }) => kind)).not.toContain('result');
    },
  );

  it('while it searches measures what was found', async () => {
    const { result, runs, error } = await attempt(config(), 48, {
      stopAt: ({ kind }) => kind === 'step',
    });
    expect(error).toBeUndefined();
    expect(result?.prompt).toMatch(/^w\d+/);
    expect(runs).toMatchObject([{ state: 'done' }]);
  });
});
