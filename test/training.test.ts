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
