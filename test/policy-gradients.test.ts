/** The objectives of GRPO and its kin on tiny checkpoints with LoRA, against PyTorch and by hand. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { imitation, objectives } from '../src/methods/objectives.ts';
import {
  type CompletionTensors,
  loadCompletionReader,
  loadCompletionTrainer,
} from '../src/models/completions.ts';
import { loadGenerator } from '../src/models/generate.ts';
import { freshLora, loraByModule, loraShapes } from '../src/models/lora.ts';
import { adam, evaluate, input, type Parameters, type Value, value } from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';
import { distance, fixtures, tinyModels } from './tiny-models.ts';

interface Fixture {
  readonly rank: number;
  readonly alpha: number;
  readonly clip: [number, number];
  readonly klWeight: number;
  readonly groups: { prompt: number[]; texts: number[][] }[];
  /** One a text, in order; the vectors have one number a token. */
  readonly advantages: number[];
  readonly oldLogProbs: number[][];
  readonly refLogProbs: number[][];
  readonly logProbs: number[][];
  readonly parameters: Record<string, number[]>;
  readonly objectives: Record<
    keyof typeof objectives,
    { loss: number; kl: number; gradients: Record<string, number[]> }
  >;
}

const all = JSON.parse(readFileSync(join(fixtures, 'policy-gradients.json'), 'utf8')) as Record<
  string,
  Fixture
>;
const models = tinyModels();
afterAll(() => models.close());

async function opened(name: string) {
  const wanted = all[name]!;
  const model = await models.open(`models/${name}`);
  const lora = { rank: wanted.rank, alpha: wanted.alpha, layers: 'all' } as const;
  const places = loraByModule(model.architecture, model.config, lora);
  expect(places.map(({ key }) => key).sort()).toEqual(Object.keys(wanted.parameters).sort());
  const stack = (of: Record<string, number[]>) =>
    Object.fromEntries(
      Object.keys(loraShapes(model.architecture, model.config, lora)).map((n) => {
        const layers = places.filter((p) => p.name === n).sort((a, b) => a.layer - b.layer);
        return [n, Float32Array.from(layers.flatMap(({ key }) => of[key]!))];
      }),
    );
  const byGroup = <T>(values: readonly T[]): T[][] => {
    let from = 0;
    return wanted.groups.map(({ texts }) => {
      from += texts.length;
      return values.slice(from - texts.length, from);
    });
  };
  const total = wanted.oldLogProbs.flat().length;
  const signals = {
    advantages: byGroup(wanted.advantages),
    oldLogProbs: byGroup(wanted.oldLogProbs),
    refLogProbs: byGroup(wanted.refLogProbs),
    weights: byGroup(wanted.oldLogProbs.map((row) => row.map(() => 1 / total))),
  };
  return { wanted, model, lora, stack, signals };
}

function relative(got: Float32Array, wanted: Float32Array): number {
  return distance(got, wanted) / wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

describe.each(Object.keys(all))('%s', (name) => {
  it('reads texts after prompts as PyTorch does', async () => {
    const { wanted, model, lora, stack } = await opened(name);
    const reader = await loadCompletionReader(model, lora);
    const got = await reader.read(wanted.groups, stack(wanted.parameters));
    await reader.unload();
    got.flat().forEach((row, i) => {
      expect(distance(row, Float32Array.from(wanted.logProbs[i]!))).toBeLessThan(1e-4);
    });
  });

  it.each(['grpo', 'rloo', 'reinforce'] as const)('has autograd’s gradient of %s', async (kind) => {
    const { wanted, model, lora, stack, signals } = await opened(name);
    const objective = objectives[kind].objective(wanted);
    const trainer = await loadCompletionTrainer(model, lora, objective);
    const got = await trainer.run(wanted.groups, signals, stack(wanted.parameters));
    await trainer.unload();
    const { loss, kl, gradients } = wanted.objectives[kind];
    expect(Math.abs(got.quantities.loss! - loss)).toBeLessThan(1e-5);
    expect(Math.abs(got.quantities.kl! - kl)).toBeLessThan(1e-5);
    if (kind !== 'reinforce') expect(got.quantities.clipped).toBeGreaterThan(0);
    for (const [n, values] of Object.entries(stack(gradients))) {
      expect(relative(got.gradients[n]!, values)).toBeLessThan(1e-4);
    }
  });

  it('reads a common beginning once, with the gradient of prompts that are read apart', async () => {
    const { wanted, model, lora, stack } = await opened(name);
    const [a, b] = wanted.groups;
    const start = a!.prompt.slice(0, 4);
    const groups = [
      { prompt: [...start, 7], texts: a!.texts.slice(0, 1) },
      { prompt: [...start, ...b!.prompt.slice(0, 3)], texts: b!.texts },
      { prompt: [...start, 3, 5], texts: a!.texts },
      { prompt: [...start, 8, 2, 6], texts: a!.texts.slice(0, 2) },
    ];
    const signals = {
      advantages: groups.map(({ texts }, g) => texts.map((_, i) => (i % 2 ? -1 : 0.5) * (g + 1))),
      oldLogProbs: groups.map(({ texts }) => texts.map((ids) => ids.map(() => -3))),
      weights: groups.map(({ texts }, g) => texts.map((ids, i) => ids.map(() => 0.01 * (g + i + 1)))), // biome-ignore format: one line
    };
    const objective = objectives.reinforce.objective({ ...wanted, klWeight: 0 });
    const trainer = await loadCompletionTrainer(model, lora, objective);
    const parameters = stack(wanted.parameters);
    const together = await trainer.run(groups, signals, parameters);
    const sums: Record<string, Float32Array> = {};
    for (const [g, group] of groups.entries()) {
      const only = <T>(rows: readonly T[]) => [rows[g]!];
      const apart = await trainer.run(
        [group],
        {
          advantages: only(signals.advantages),
          oldLogProbs: only(signals.oldLogProbs),
          weights: only(signals.weights),
        },
        parameters,
      );
      group.texts.forEach((_, i) => {
        expect(distance(together.logProbs[g]![i]!, apart.logProbs[0]![i]!)).toBeLessThan(1e-5);
      });
      for (const [n, values] of Object.entries(apart.gradients)) {
        sums[n] = values.map((x, i) => x + (sums[n]?.[i] ?? 0));
      }
    }
    await trainer.unload();
    for (const [n, values] of Object.entries(together.gradients)) {
      expect(relative(values, sums[n]!)).toBeLessThan(1e-4);
    }
  });

  it('adds up what it does in several passes', async () => {
    const { wanted, model, lora, stack, signals } = await opened(name);
    // Logits of 96 words: a pass holds 170,000 tokens, so groups of unlike sizes make two passes.
    const [a, b] = wanted.groups;
    const groups = [a!, { ...b!, texts: b!.texts.slice(0, 2) }];
    const cut = <T>(rows: readonly (readonly T[])[]) => [rows[0]!, rows[1]!.slice(0, 2)];
    const some = {
      advantages: cut(signals.advantages),
      oldLogProbs: cut(signals.oldLogProbs),
      weights: cut(signals.weights),
    };
    const objective = objectives.grpo.objective({ ...wanted, klWeight: 0 });
    const trainer = await loadCompletionTrainer(model, lora, objective);
    const parameters = stack(wanted.parameters);
    const both = await trainer.run(groups, some, parameters);
    const each: Awaited<ReturnType<typeof trainer.run>>[] = [];
    for (const g of [0, 1]) {
      const only = <T>(rows: readonly T[]) => [rows[g]!];
      each.push(
        await trainer.run(
          only(groups),
          {
            advantages: only(some.advantages),
            oldLogProbs: only(some.oldLogProbs),
            weights: only(some.weights),
          },
          parameters,
        ),
      );
    }
    await trainer.unload();
    expect(both.quantities.loss).toBeCloseTo(
      each[0]!.quantities.loss! + each[1]!.quantities.loss!,
      6,
    );
    for (const [n, values] of Object.entries(both.gradients)) {
      const sum = values.map((_, i) => each[0]!.gradients[n]![i]! + each[1]!.gradients[n]![i]!);
      expect(relative(values, sum)).toBeLessThan(1e-5);
    }
  });
});

describe('learning', () => {
  it.each(['grpo', 'rloo', 'reinforce'] as const)(
    '%s writes more of what is rewarded',
    async (kind) => {
      const model = await models.open('models/llama');
      const lora = { rank: 4, alpha: 8, layers: 'all' } as const;
      const shapes = loraShapes(model.architecture, model.config, lora);
      const { objective, advantages } = objectives[kind];
      const generator = await loadGenerator(model, { lora });
      const made = objective({ clip: [0.2, 0.28], klWeight: 0 });
      const trainer = await loadCompletionTrainer(model, lora, made);
      const optimizer = adam({ learningRate: 0.01 });
      let parameters: Parameters = freshLora(shapes, createRng(1));
      let state = optimizer.init(parameters);
      const means: number[] = [];
      for (let step = 0; step < 25; step++) {
        const requests = Array.from({ length: 16 }, (_, i) => ({
          prompt: [7, 8, 9],
          maxTokens: 5,
          seed: 16 * step + i,
        }));
        const texts = await generator.run(requests, { adapter: parameters, endIds: [] });
        const rewards = texts.map(({ ids }) => ids.filter((id) => id < 48).length / ids.length);
        means.push(rewards.reduce((a, b) => a + b, 0) / rewards.length);
        const { gradients } = await trainer.run(
          [{ prompt: [7, 8, 9], texts: texts.map(({ ids }) => ids) }],
          {
            advantages: [advantages(rewards)],
            oldLogProbs: [texts.map(({ logProbs }) => logProbs)],
            weights: [texts.map(({ ids }) => ids.map(() => 1 / 80))],
          },
          parameters,
        );
        [parameters, state] = optimizer.update(parameters, gradients, state);
      }
      await trainer.unload();
      await generator.unload();
      expect(means[0]).toBeLessThan(0.75);
      expect(means.slice(-5).reduce((a, b) => a + b, 0) / 5).toBeGreaterThan(means[0]! + 0.2);
    },
  );
});

describe('by hand', () => {
  /** Two texts of two and one tokens; every token counts a third. */
  const old = [-1, -2, -1.5];
  const numbers = {
    logProbs: [-1 + Math.log(1.5), -2 + Math.log(0.5), -1.5],
    oldLogProbs: old,
    refLogProbs: [-1, -2, -2.5],
    advantages: [2, -1],
    weights: [1 / 3, 1 / 3, 1 / 3],
  };
  const tensors: CompletionTensors = {
    logProbs: input('logProbs', ['S']),
    oldLogProbs: input('oldLogProbs', ['S']),
    refLogProbs: input('refLogProbs', ['S']),
    text: input('text', ['S'], 'int64'),
    advantages: input('advantages', ['R']),
    weights: input('weights', ['S']),
  };
  const at = (kind: keyof typeof objectives, klWeight = 0): Record<string, Value> => {
    const made = objectives[kind].objective({ clip: [0.2, 0.3], klWeight })(tensors);
    const given = Object.entries(numbers).map(([n, v]) => [n, value(v, [v.length])]);
    return evaluate(made, { ...Object.fromEntries(given), text: value([0, 0, 1], [3]) });
  };

  it('grpo clips token by token', () => {
    // min(1.5·2, 1.3·2) = 2.6; min(0.5·2, 0.8·2) = 1; min(−1, −1) = −1
    const { loss, clipped, ratio } = at('grpo');
    expect(loss!.data[0]).toBeCloseTo(-(2.6 + 1 - 1) / 3, 6);
    expect(clipped!.data[0]).toBeCloseTo(1 / 3, 6);
    expect(ratio!.data[0]).toBeCloseTo((1.5 + 0.5 + 1) / 3, 6);
  });

  it('rloo clips text by text', () => {
    // The first text's ratio is 1.5 · 0.5 = 0.75: 0.75·2 is less than 0.8·2.
    expect(at('rloo').loss!.data[0]).toBeCloseTo(-((2 / 3) * 1.5 - 1 / 3), 6);
  });

  it('reinforce weighs log-probabilities', () => {
    const [a, b, c] = numbers.logProbs;
    expect(at('reinforce').loss!.data[0]).toBeCloseTo(-(2 * a! + 2 * b! - c!) / 3, 6);
  });

  it('k3 is zero where nothing has moved, and never below', () => {
    const k3 = numbers.logProbs.map((x, i) => {
      const apart = numbers.refLogProbs[i]! - x;
      return Math.exp(apart) - apart - 1;
    });
    expect(Math.min(...k3)).toBeGreaterThan(0);
    const { kl, loss } = at('grpo', 0.5);
    expect(kl!.data[0]).toBeCloseTo(k3.reduce((a, b) => a + b, 0) / 3, 6);
    expect(loss!.data[0]).toBeCloseTo(at('grpo').loss!.data[0]! + 0.5 * kl!.data[0]!, 6);
  });

  it('imitation is the mean surprise of the texts', () => {
    const made = imitation({ ...tensors });
    const given = { ...numbers, advantages: [1, 1] };
    const values = Object.entries(given).map(([n, v]) => [n, value(v, [v.length])]);
    const out = evaluate(made, { ...Object.fromEntries(values), text: value([0, 0, 1], [3]) });
    const mean = numbers.logProbs.reduce((a, b) => a + b, 0) / 3;
    expect(out.loss!.data[0]).toBeCloseTo(-mean, 6);
  });
});
