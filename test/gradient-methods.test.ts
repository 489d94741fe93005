/** soft-prompt and fine-tune as whole runs on a tiny checkpoint: what they learn, save and say. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSoftPrompt } from '../src/methods/soft-prompt-file.ts';
import { openWeights } from '../src/models/open-weights.ts';
import { parseConfig } from '../src/runs/config.ts';
import { evaluate } from '../src/runs/evaluate.ts';
import type { OptimizeResult, RunEvent, StepEvent } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import { fixtures, tinyModels } from './tiny-models.ts';

let folder: string;
let store: RunStore;
const before = process.env.WHETSTONE_MODELS;
const models = tinyModels();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-gradient-'));
  process.env.WHETSTONE_MODELS = join(folder, 'models');
  store = await openStore(join(folder, 'home'));
  // The label shows in the first word, which a reader of gradients can find.
  const rows = Array.from({ length: 48 }, (_, i) => {
    const words = [i % 2 ? 'w11' : 'w22', `w${30 + (i % 13)}`, `w${50 + (i % 7)}`];
    return `${words.slice(0, 2 + (i % 2)).join(' ')} w${60 + i},${i % 2}`;
  });
  for (const name of ['llama', 'gpt2', 'roberta']) {
    await cp(join(fixtures, 'models', name), join(folder, name), { recursive: true });
  }
  // The tiny checkpoints come without this file, and only a masked LM needs it.
  await writeFile(join(folder, 'roberta', 'tokenizer_config.json'), '{"mask_token":"<mask>"}');
  await writeFile(join(folder, 'data.csv'), ['text,label', ...rows].join('\n'));
});

afterAll(async () => {
  store.close();
  await models.close();
  if (before === undefined) delete process.env.WHETSTONE_MODELS;
  else process.env.WHETSTONE_MODELS = before;
  await rm(folder, { recursive: true, force: true });
});

interface More {
  readonly labels?: Readonly<Record<string, string>>;
  readonly budget?: object;
}

function configure(model: string, method: Record<string, unknown>, { labels, ...more }: More = {}) {
  const isMasked = model === 'roberta';
  const text = JSON.stringify({
    task: {
      data: 'data.csv',
      input: 'text',
      gold: 'label',
      labels: labels ?? { '0': 'w1', '1': 'w2' },
      template: isMasked ? '{input} {prompt} {mask} w3' : '{input} {prompt}',
    },
    taskLm: join(folder, model),
    policyLm: join(folder, model),
    method,
    budget: { minutes: 5 },
    precision: { search: 'float32' },
    ...more,
  });
  const config = parseConfig(text);
  return { config, path: join(folder, 'w.yaml'), folder };
}

async function run(model: string, method: Record<string, unknown>, more: More = {}) {
  const events: RunEvent[] = [];
  const loaded = configure(model, method, more);
  const result = await optimize(loaded, { store, onEvent: (event) => events.push(event) });
  const steps = events.filter((event): event is StepEvent => event.kind === 'step');
  return { result, steps, loaded, events };
}

const quick = { name: 'soft-prompt', virtualTokens: 3, steps: 12, restarts: 1, learningRate: 0.05 };

function learns(steps: readonly StepEvent[], { train }: OptimizeResult) {
  const losses = steps.map(({ quantities }) => quantities!.loss!);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! * 0.8);
  expect(train.score).toBeGreaterThan(0.6);
}

describe('soft-prompt', () => {
  it.each([
    ['llama', { place: 'after' }],
    ['llama', { place: 'before', over: 'vocabulary' }],
    ['gpt2', { place: 'after', init: 'vocabulary', prompt: 'w7' }],
    ['gpt2', { place: 'before', init: 'random' }],
    ['roberta', { place: 'after' }],
    ['llama', { encoder: 'mlp', encoderWidth: 16, learningRate: 0.01 }],
    ['llama', { encoder: 'lstm', encoderWidth: 16, learningRate: 0.01 }],
  ])('learns with %s and %j, and the saved file scores the same', async (model, options) => {
    const { result, steps, loaded } = await run(model, { ...quick, ...options });
    learns(steps, result);
    expect(result.kindOfResult).toBe('soft-prompt');
    const again = await evaluate(loaded, {
      subject: { file: result.files![0]!, method: 'soft-prompt' },
      split: 'test',
    });
    expect(again).toMatchObject({ score: result.test.score, examples: result.test.examples });
    const byRun = { run: store.getRun(result.runId) };
    expect((await evaluate(loaded, { subject: byRun, split: 'test' })).score).toBe(again.score);
  });

  it('saves a folder as PEFT wants it', async () => {
    const { result } = await run('llama', { ...quick, steps: 1, place: 'before' });
    const peft = await openWeights(
      result.files!.find((f) => f.endsWith('adapter_model.safetensors'))!,
    );
    expect([...peft.tensors.values()]).toMatchObject([
      { name: 'prompt_embeddings', shape: [3, 32] },
    ]);
    await peft.close();
  });

  it('has patience until it has looked at validation, however seldom it looks', async () => {
    const { steps } = await run('llama', { ...quick, steps: 12, validateEvery: 4, patience: 2 });
    expect(steps.length).toBeGreaterThanOrEqual(8);
    expect(steps.length % 4).toBe(0);
  });

  it('finds a learning rate by itself', async () => {
    const { steps } = await run('llama', { ...quick, learningRate: 'auto', steps: 2 });
    const rates = steps.map(({ quantities }) => quantities!.learningRate!);
    expect(new Set(rates)).toEqual(new Set([3e-3, 3e-2, 0.3]));
    expect(steps).toHaveLength(3 * 8 + 2);
  });

  it('keeps to the budget, counts a backward pass as two, and proposes what it has', async () => {
    const { result, steps } = await run(
      'llama',
      { ...quick, steps: 1000 },
      { budget: { evaluations: 600 } },
    );
    expect(result.evaluations).toBeGreaterThanOrEqual(600);
    expect(result.evaluations).toBeLessThan(600 + 200);
    expect(steps.length).toBeGreaterThan(1);
    expect(result.kindOfResult).toBe('soft-prompt');
  });

  it('ends a start whose loss is not finite, and keeps the best of before', async () => {
    const { result, events } = await run('llama', { ...quick, learningRate: 1e38, restarts: 2 });
    const warnings = events.filter((event) => event.kind === 'warning');
    expect(warnings.map(({ message }) => message).join()).toMatch(/start 1, step \d+: the loss is/);
    expect(warnings.map(({ message }) => message).join()).toMatch(/start 2, step \d+: the loss is/);
    const saved = await readSoftPrompt(result.files![0]!, await models.open('models/llama'));
    expect(saved.virtual.every(Number.isFinite)).toBe(true);
  });

  it('refuses a file for a model of another width', async () => {
    const { result } = await run('llama', { ...quick, steps: 1 });
    const subject = { file: result.files![0]!, method: 'soft-prompt' } as const;
    const attempt = evaluate(configure('gpt2', quick), { subject, split: 'validation' });
    await expect(attempt).rejects.toThrow(/width 32 .* has 24/);
  });
});

describe('fine-tune', () => {
  it.each([
    ['llama', { layers: 'qv' }],
    ['gpt2', { layers: 'all' }],
  ])('learns with %s and %j, and the saved file scores the same', async (model, options) => {
    const method = { name: 'fine-tune', prompt: 'w9', steps: 12, learningRate: 0.02, ...options };
    const { result, steps, loaded } = await run(model, method);
    learns(steps, result);
    expect(result.kindOfResult).toBe('weights');
    const subject = { file: result.files![0]!, method: 'fine-tune' } as const;
    const again = await evaluate(loaded, { subject, split: 'test' });
    expect(again).toMatchObject({ score: result.test.score, examples: result.test.examples });
  });
});

it.each([
  [{ ...quick, place: 'after' }],
  [{ name: 'fine-tune', prompt: 'w9', steps: 12, learningRate: 0.02 }],
])('label words of several tokens are learnt, too: %j', async (method) => {
  const labels = { '0': 'w1 w5', '1': 'w2' };
  const { result, steps, loaded } = await run('llama', method, { labels });
  learns(steps, result);
  const subject = { file: result.files![0]!, method: method.name as 'soft-prompt' };
  const again = await evaluate(loaded, { subject, split: 'test' });
  expect(again).toMatchObject({ score: result.test.score, examples: result.test.examples });
});
