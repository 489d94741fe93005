/**
 * Every architecture against Hugging Face transformers, on tiny checkpoints with random weights that
 * `fixtures/make_models.py` makes; and every way to compute against every other: cached prefixes,
 * batches of any composition, single labels.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LanguageModel } from '../src/models/language-model.ts';
import { loadBrancher, loadPrefiller, loadScorer } from '../src/models/programs.ts';
import { Engine } from '../src/tensor/index.ts';

const fixtures = join(import.meta.dirname, 'fixtures', 'models');
const names = await readdir(fixtures);

let engine: Engine;
let cacheFolder: string;
const models = new Map<string, LanguageModel>();

beforeAll(async () => {
  engine = new Engine({ threads: 1 });
  cacheFolder = await mkdtemp(join(tmpdir(), 'whetstone-architectures-'));
});

afterAll(async () => {
  for (const model of models.values()) await model.close();
  await engine.close();
  await rm(cacheFolder, { recursive: true, force: true });
});

describe.each(names)('%s', (name) => {
  it('gives the logits of transformers at every token', async () => {
    const model = await open(name);
    const { sequences, logits } = await expected(name);
    const scorer = await loadScorer(model, 'logits');
    const rows = sequences.flatMap((ids) => ids.map(() => ids));
    const places = sequences.flatMap((ids) => ids.map((_, place) => place));
    const got = await scorer.run(rows, places);
    expect(got.length).toBe(logits.length);
    expect(distance(got, logits)).toBeLessThan(1e-4);
  });

  it('scores a sequence alike alone and among others', async () => {
    const model = await open(name);
    const { sequences } = await expected(name);
    const scorer = await loadScorer(model, 'logProbs');
    const last = sequences.map((ids) => ids.length - 1);
    const together = await scorer.run(sequences, last);
    for (const [i, ids] of sequences.entries()) {
      const alone = await scorer.run([ids], [last[i]!]);
      expect(distance(alone, rowOf(together, i, sequences.length))).toBeLessThan(1e-5);
    }
  });

  it('gives label logits that are those of the whole vocabulary', async () => {
    const model = await open(name);
    const { sequences } = await expected(name);
    const labels = [7, 3, 100];
    const last = sequences.map((ids) => ids.length - 1);
    const all = await (await loadScorer(model, 'logits')).run(sequences, last);
    const some = await (await loadScorer(model, 'labels')).run(sequences, last, labels);
    const wanted = sequences.flatMap((_, i) =>
      labels.map((label) => rowOf(all, i, sequences.length)[label]!),
    );
    expect(distance(some, Float32Array.from(wanted))).toBeLessThan(1e-5);
  });
});

const causal = names.filter((name) => !['bert', 'roberta'].includes(name));

describe.each(causal)('%s with cached prefixes', (name) => {
  it('scores branches as it scores whole sequences', async () => {
    const model = await open(name);
    const { sequences } = await expected(name);
    const long = sequences[0]!;
    // Prefixes and branches of unequal lengths, so that padding stands in both.
    const prefixes = [long.slice(0, 11), long.slice(4, 6), long.slice(9, 16)];
    const branches = [long.slice(11, 19), long.slice(2, 3), long.slice(5, 9), long.slice(0, 8)];
    const cache = await (await loadPrefiller(model)).run(prefixes);
    const cached = await (await loadBrancher(model, 'logProbs')).run(cache, branches);
    const whole = prefixes.flatMap((prefix) => branches.map((branch) => [...prefix, ...branch]));
    const scorer = await loadScorer(model, 'logProbs');
    const uncached = await scorer.run(
      whole,
      whole.map((ids) => ids.length - 1),
    );
    expect(cached.length).toBe(uncached.length);
    expect(distance(cached, uncached)).toBeLessThan(1e-4);
  });
});

async function open(name: string): Promise<LanguageModel> {
  const known = models.get(name);
  if (known) return known;
  const model = await LanguageModel.open(join(fixtures, name), { engine, cacheFolder });
  models.set(name, model);
  return model;
}

async function expected(name: string) {
  const folder = join(fixtures, name);
  const sequences = JSON.parse(
    await readFile(join(folder, 'sequences.json'), 'utf8'),
  ) as number[][];
  const bytes = await readFile(join(folder, 'logits.f32'));
  const logits = new Float32Array(bytes.length / 4);
  new Uint8Array(logits.buffer).set(bytes);
  return { sequences, logits };
}

function rowOf(values: Float32Array, i: number, rows: number): Float32Array {
  const width = values.length / rows;
  return values.subarray(i * width, (i + 1) * width);
}

/** Largest difference; NaN where either holds NaN, which fails every comparison. */
function distance(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);
}
