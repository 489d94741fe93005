/** Fluency: what a text's likelihood is, and what its price does to a search. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadLikelihood, loadScorer } from '../src/models/index.ts';
import { contextIds, perplexityOf } from '../src/policy/index.ts';
import type { LoadedConfig } from '../src/runs/config.ts';
import type { OptimizeResult, StepEvent } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { type TinyTask, writeTinyTask } from './support/tiny-task.ts';
import { tinyModels } from './tiny-models.ts';

let tiny: TinyTask;
const before = { ...process.env };
beforeAll(async () => {
  tiny = await writeTinyTask(await mkdtemp(join(tmpdir(), 'whetstone-fluency-')));
  process.env.WHETSTONE_HOME = join(tiny.folder, 'home');
  process.env.WHETSTONE_MODELS = join(tiny.folder, 'home', 'models');
});
afterAll(async () => {
  process.env = before;
  await rm(tiny.folder, { recursive: true, force: true });
});

describe('likelihood', () => {
  const models = tinyModels();
  afterAll(() => models.close());

  it.each(['llama', 'gpt2', 'gemma3', 'qwen3'])(
    '%s: cached beginnings give what whole sequences give, place by place',
    async (name) => {
      const lm = await models.open(join('models', name));
      const likelihood = await loadLikelihood(lm);
      const scorer = await loadScorer(lm, 'logProbs');
      const beginnings = [[7], [9, 12, 30, 8, 11]];
      const texts = [[20, 21, 22, 23], [40], [33, 34]];
      const begun = await likelihood.begin(beginnings);
      const found = await likelihood.run(begun, texts);
      for (const [g, beginning] of beginnings.entries()) {
        for (const [n, text] of texts.entries()) {
          expect(found[g]![n]).toHaveLength(text.length);
          for (const [t, id] of text.entries()) {
            const row = [...beginning, ...text.slice(0, t)];
            const all = await scorer.run([row], [row.length - 1]);
            expect(found[g]![n]![t]).toBeCloseTo(all[id]!, 4);
          }
        }
      }
      await expect(likelihood.run(begun, [Array(80).fill(5)])).rejects.toThrow(/window holds/);
    },
  );
});

describe('perplexity', () => {
  it('is exp of the mean negative log-probability', () => {
    expect(perplexityOf([Math.log(0.5), Math.log(0.125)])).toBeCloseTo(4, 12);
    expect(perplexityOf([])).toBe(1);
  });

  it('of a prompt is read after what a policy reads, and once', async () => {
    const bench = await Workbench.open(tiny.load(), {});
    const meter = await bench.fluency();
    const lm = await bench.policyLm();
    const [reading, empty] = await meter.read(['the mood is', '']);
    const context = contextIds(lm, await bench.policyContext());
    const ids = lm.tokenizer.encode(' the mood is');
    const scorer = await loadScorer(lm, 'logProbs');
    let sum = 0;
    for (const [t, id] of ids.entries()) {
      const row = [...context, ...ids.slice(0, t)];
      sum += (await scorer.run([row], [row.length - 1]))[id]!;
    }
    expect(Math.log(reading!.perplexity)).toBeCloseTo(-sum / 3, 4);
    expect(empty!.perplexity).toBe(1);
    expect((await meter.read(['the mood is']))[0]).toBe(reading);
    await bench.close();
  });
});

async function run(loaded: LoadedConfig): Promise<{ result: OptimizeResult; steps: StepEvent[] }> {
  const store = await openStore();
  const steps: StepEvent[] = [];
  try {
    const onEvent = (event: object) => {
      if ('kind' in event && event.kind === 'step') steps.push(event as StepEvent);
    };
    return { result: await optimize(loaded, { store, onEvent }), steps };
  } finally {
    store.close();
  }
}

describe('fluency in the reward', () => {
  it('takes its price off rewards and leaves accuracy alone', async () => {
    const texts = ['the mood is', 'qz walked hate'];
    const free = await Workbench.open(tiny.load(), {});
    const paid = await Workbench.open(tiny.load('fluency.weight=3'), {});
    const readings = await (await paid.fluency()).read(texts);
    for (const way of ['step', 'evaluate'] as const) {
      const ask = (bench: Workbench) => {
        const environment = bench.environment(bench.task.train, 'float32');
        return way === 'step'
          ? environment.step(texts.map((text) => ({ text })))
          : environment.evaluate(texts);
      };
      const [a, b] = [await ask(free), await ask(paid)];
      for (const [i, { perplexity }] of readings.entries()) {
        const penalty = 3 * Math.log(perplexity);
        expect(b[i]!.reward).toBeCloseTo(a[i]!.reward - penalty, 6);
        expect(b[i]!.fluency).toMatchObject({ taskReward: a[i]!.reward, isOverLimit: false });
        expect(b[i]!.accuracy).toBe(a[i]!.accuracy);
        expect(b[i]!.rewards).toEqual(a[i]!.rewards);
        expect(a[i]!.fluency).toBeUndefined();
      }
    }
    await free.close();
    await paid.close();
  });

  it('weight 0 changes nothing; a large weight moves the choice to the likeliest prompt tried', async () => {
    const plain = await run(tiny.load('seed=2', 'fluency.weight=0'));
    const dear = await run(tiny.load('seed=2', 'fluency.weight=100000'));
    expect(tiny.load('fluency.weight=0').config).toEqual(tiny.load().config);
    expect(plain.result.fluency).toBeUndefined();
    expect(plain.steps[0]).not.toHaveProperty('fluency');

    const bench = await Workbench.open(tiny.load('seed=2'), {});
    const [cheap, costly] = await (await bench.fluency()).read([
      dear.result.prompt,
      plain.result.prompt,
    ]);
    await bench.close();
    expect(cheap!.perplexity).toBeLessThan(costly!.perplexity);
    const price = dear.result.fluency!;
    expect(price.perplexity).toBeCloseTo(cheap!.perplexity, 3);
    expect(price.reward).toBeCloseTo(price.taskReward - 100000 * Math.log(price.perplexity), 3);
    for (const { fluency } of dear.steps) {
      expect(fluency!.best).toBeGreaterThanOrEqual(price.perplexity - 1e-3);
    }
    const last = dear.steps.at(-1)!;
    expect(last.reward).toBeCloseTo(last.fluency!.taskReward - last.fluency!.penalty, 3);
    expect(dear.result.rows!.every((row) => row.perplexity !== undefined)).toBe(true);

    // The limit alone: the same prompts are tried, and those above it are never put forward.
    const limit = price.perplexity + 1;
    const held = await run(tiny.load('seed=2', `fluency.maxPerplexity=${limit}`));
    expect(held.result.fluency!.perplexity).toBeLessThanOrEqual(limit);
    expect(held.result.fluency!.penalty).toBe(0);
  });

  it('says so when no prompt was within the limit', async () => {
    await expect(run(tiny.load('fluency.maxPerplexity=1'))).rejects.toThrow(
      /no prompt had a perplexity of at most fluency.maxPerplexity 1, the least was \d/,
    );
  });

  it('refuses a masked policy LM, which reads nothing from left to right', async () => {
    const masked = join(import.meta.dirname, 'fixtures', 'models', 'roberta');
    const loaded = tiny.load('fluency.weight=1', `policyLm=${masked}`);
    await expect(run(loaded)).rejects.toThrow(/is a masked LM and cannot tell how likely/);
  });
});
