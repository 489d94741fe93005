/**
 * Losses and gradients of training programs against PyTorch's autograd and PEFT, on the tiny
 * checkpoints (`fixtures/make_gradients.py`).
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadPrefiller } from '../src/models/programs.ts';
import { loadBranchTrainer } from '../src/models/training.ts';
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
}

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

describe.each(names.filter((name) => !['bert', 'roberta'].includes(name)))('%s', (name) => {
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
      expect(relative(got.gradient, wanted.gradient)).toBeLessThan(1e-5);
    },
  );
});
