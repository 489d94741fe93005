/**
 * Losses and gradients of training programs against PyTorch's autograd and PEFT, on the tiny
 * checkpoints (`fixtures/make_gradients.py`).
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loraByModule, loraShapes } from '../src/models/lora.ts';
import { loadPrefiller } from '../src/models/programs.ts';
import { loadBranchTrainer, loadSequenceTrainer } from '../src/models/training.ts';
import { distance, fixtures, tinyModels } from './tiny-models.ts';

type Over = 'labels' | 'vocabulary';

interface Expected {
  readonly losses: number[];
  readonly scores: number[];
}

interface Fixture {
  readonly labels: number[];
  readonly branches?: (Expected & {
    readonly prefixes: number[][];
    readonly gold: number[];
    readonly over: Over;
    /** [2, 3, D]. */
    readonly words: number[];
    readonly gradient: number[];
  })[];
  readonly sequences: (Expected & {
    readonly sequences: number[][];
    readonly gold: number[];
    readonly over: Over;
    /** [3, D]. */
    readonly virtual: number[];
    readonly gradient: number[];
  })[];
  readonly lora: Expected & {
    readonly rank: number;
    readonly alpha: number;
    readonly sequences: number[][];
    readonly gold: number[];
    readonly parameters: Record<
      string,
      { readonly shape: number[]; readonly values: number[]; readonly gradient: number[] }
    >;
  };
}

const MASK = 4;
const placesOf = (name: string, sequences: readonly (readonly number[])[]) =>
  sequences.map((ids) => (isMasked(name) ? ids.indexOf(MASK) : ids.length - 1));
const isMasked = (name: string) => ['bert', 'roberta'].includes(name);

const names = readdirSync(join(fixtures, 'gradients')).map((file) => file.replace('.json', ''));
const models = tinyModels();
afterAll(() => models.close());

async function fixtureOf(name: string): Promise<Fixture> {
  return JSON.parse(await readFile(join(fixtures, 'gradients', `${name}.json`), 'utf8')) as Fixture;
}

/** Largest difference relative to the largest value. */
function relative(got: Float32Array, expected: readonly number[]): number {
  expect(got.length).toBe(expected.length);
  const wanted = Float32Array.from(expected);
  return distance(got, wanted) / wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

describe.each(names.filter((name) => !isMasked(name)))('%s', (name) => {
  it.each(['labels', 'vocabulary'] as const)(
    'has autograd’s gradient of branches after cached prefixes, loss over %s',
    async (over) => {
      const model = await models.open(join('models', name));
      const { labels, branches } = await fixtureOf(name);
      const wanted = branches!.find((b) => b.over === over)!;
      const cache = await (await loadPrefiller(model)).run(wanted.prefixes);
      const trainer = await loadBranchTrainer(model, { over });
      const words = { words: Float32Array.from(wanted.words), rows: 2, length: 3 };
      const got = await trainer.run(cache, words, { labels, gold: wanted.gold });
      expect(relative(got.losses, wanted.losses)).toBeLessThan(1e-5);
      expect(relative(got.scores, wanted.scores)).toBeLessThan(1e-5);
      expect(relative(got.gradient, wanted.gradient)).toBeLessThan(5e-5);
    },
  );
});

const both = names.flatMap((name) => [
  { name, recomputes: false },
  { name, recomputes: true },
]);

describe.each(both)('$name, whole sequences, recomputes: $recomputes', ({ name, recomputes }) => {
  it.each([0, 1])('has autograd’s gradient of virtual tokens, case %i', async (at) => {
    const model = await models.open(join('models', name));
    const { labels, sequences } = await fixtureOf(name);
    const wanted = sequences[at]!;
    const options = { virtualTokens: 3, over: wanted.over, recomputes };
    const trainer = await loadSequenceTrainer(model, options);
    const got = await trainer.run(
      wanted.sequences,
      { labels, gold: wanted.gold, places: placesOf(name, wanted.sequences) },
      { virtual: Float32Array.from(wanted.virtual) },
    );
    expect(relative(got.losses, wanted.losses)).toBeLessThan(1e-5);
    expect(relative(got.scores, wanted.scores)).toBeLessThan(1e-5);
    expect(relative(got.gradients.virtual!, wanted.gradient)).toBeLessThan(5e-5);
  });

  it('has PEFT’s LoRA: names, scores and gradients', async () => {
    const model = await models.open(join('models', name));
    const { labels, lora } = await fixtureOf(name);
    const options = { rank: lora.rank, alpha: lora.alpha, layers: 'qv' } as const;
    const places = loraByModule(model.architecture, model.config, options);
    expect(places.map(({ key }) => key).sort()).toEqual(Object.keys(lora.parameters).sort());
    const stack = (of: 'values' | 'gradient') =>
      Object.fromEntries(
        Object.entries(loraShapes(model.architecture, model.config, options)).map(([n, shape]) => {
          const layers = places.filter((p) => p.name === n).sort((a, b) => a.layer - b.layer);
          for (const { key } of layers) {
            expect(lora.parameters[key]!.shape).toEqual(shape.slice(1));
          }
          return [n, Float32Array.from(layers.flatMap(({ key }) => lora.parameters[key]![of]))];
        }),
      );
    const trainer = await loadSequenceTrainer(model, { lora: options, recomputes });
    const answers = { labels, gold: lora.gold, places: placesOf(name, lora.sequences) };
    const got = await trainer.run(lora.sequences, answers, stack('values'));
    expect(relative(got.losses, lora.losses)).toBeLessThan(1e-5);
    expect(relative(got.scores, lora.scores)).toBeLessThan(1e-5);
    for (const [n, wanted] of Object.entries(stack('gradient'))) {
      expect(relative(got.gradients[n]!, [...wanted])).toBeLessThan(5e-5);
    }
  });
});

describe.each(['llama', 'gpt2'])('%s, label words of several tokens', (name) => {
  it.each(['labels', 'vocabulary'] as const)(
    'are read token by token, loss over %s',
    async (over) => {
      const model = await models.open(join('models', name));
      const { sequences: fixture } = await fixtureOf(name);
      const { sequences, gold } = { sequences: fixture[0]!.sequences, gold: [0, 2] };
      const given = sequences.slice(0, 2).map((ids) => ids.filter((id) => id !== MASK));
      const words = [[7, 9], [11], [7, 12, 13]];
      const places = given.map((ids) => ids.length - 1);
      const learnt = { virtual: Float32Array.from(fixture[0]!.virtual) };
      const trainer = await loadSequenceTrainer(model, { virtualTokens: 3, words, over });
      const got = await trainer.run(given, { labels: [], gold, places }, learnt);

      // One token after another, by the program for single tokens.
      const single = await loadSequenceTrainer(model, { virtualTokens: 3, over: 'vocabulary' });
      const logProbOf = async (ids: readonly number[], word: readonly number[]) => {
        let score = 0;
        const slope = new Float32Array(learnt.virtual.length);
        for (const [i, token] of word.entries()) {
          const read = [...ids, ...word.slice(0, i)];
          const answers = { labels: [token], gold: [0], places: [read.length - 1] };
          const { losses, gradients } = await single.run([read], answers, learnt);
          score -= losses[0]!;
          gradients.virtual!.forEach((d, at) => {
            slope[at]! -= d;
          });
        }
        return { score, slope };
      };
      const total = new Float32Array(learnt.virtual.length);
      for (const [e, ids] of given.entries()) {
        const each = await Promise.all(words.map((word) => logProbOf(ids, word)));
        const scores = each.map(({ score }) => score);
        expect(relative(got.scores.subarray(3 * e, 3 * e + 3), scores)).toBeLessThan(1e-5);
        const sum = Math.log(scores.reduce((a, score) => a + Math.exp(score), 0));
        const base = over === 'labels' ? sum : 0;
        expect(got.losses[e]).toBeCloseTo(base - scores[gold[e]!]!, 4);
        for (const [c, { slope }] of each.entries()) {
          const share = over === 'labels' ? Math.exp(scores[c]! - sum) : 0;
          const weight = share - (c === gold[e] ? 1 : 0);
          slope.forEach((d, at) => {
            total[at]! += weight * d;
          });
        }
      }
      expect(relative(got.gradients.virtual!, [...total])).toBeLessThan(1e-4);
    },
  );
});
