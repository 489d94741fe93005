/**
 * Every architecture against Hugging Face transformers, on tiny checkpoints with random weights
 * (`fixtures/make_models.py`) and on GGUF files made of them (`fixtures/make_gguf_models.py`); and
 * every way to compute against every other: cached prefixes, batches of any composition, labels alone.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { LanguageModel } from '../src/models/language-model.ts';
import {
  loadBrancher,
  loadPrefiller,
  loadScorer,
  type ProgramOptions,
} from '../src/models/programs.ts';
import { correlation, distance, expectedOf, fixtures, tinyModels } from './tiny-models.ts';

const names = await readdir(join(fixtures, 'models'));
const models = tinyModels();
const open = (name: string) => models.open(join('models', name));

afterAll(() => models.close());

describe.each(names)('%s', (name) => {
  it('gives the logits of transformers at every token', async () => {
    const model = await open(name);
    const { sequences, logits } = await expectedOf(name);
    const got = await logitsOf(model, sequences);
    expect(got.length).toBe(logits.length);
    expect(distance(got, logits)).toBeLessThan(1e-4);
  });

  it('scores a sequence alike alone and among others', async () => {
    const model = await open(name);
    const { sequences } = await expectedOf(name);
    const scorer = await loadScorer(model, 'logProbs');
    const last = sequences.map((ids) => ids.length - 1);
    const together = await scorer.run(sequences, last);
    for (const [i, ids] of sequences.entries()) {
      const alone = await scorer.run([ids], [last[i]!]);
      expect(distance(alone, rowOf(together, i, sequences.length))).toBeLessThan(1e-5);
    }
  });

  it('keeps close to float32 in int8', async () => {
    const { sequences, logits } = await expectedOf(name);
    const got = await logitsOf(await open(name), sequences, { precision: 'int8' });
    expect(correlation(got, logits)).toBeGreaterThan(0.99);
  });

  it('gives label logits that are those of the whole vocabulary', async () => {
    const model = await open(name);
    const { sequences } = await expectedOf(name);
    const labels = [7, 3, 90];
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
    const { sequences } = await expectedOf(name);
    const long = sequences[0]!;
    // Prefixes and branches of unequal lengths, so that padding stands in both; one is empty.
    const prefixes = [long.slice(0, 11), long.slice(4, 6), long.slice(9, 16), []];
    const ends = [long.slice(11, 19), long.slice(2, 3), long.slice(5, 9), long.slice(0, 8)];
    // Others begin as these do, up to the whole of them, and are more than one run holds.
    const kin = Array.from({ length: 60 }, (_, i) => [...ends[i % 4]!.slice(0, i % 9), 10 + i]);
    const branches = [...ends, ends[3]!.slice(0, 4), ...kin, ends[0]!];
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

describe.each(['llama', 'gpt2'])('%s, branches that want labels or hidden states', (name) => {
  it.each(['labels', 'hidden'] as const)('gives the %s of whole sequences', async (want) => {
    const model = await open(name);
    const [long] = (await expectedOf(name)).sequences;
    const [prefix, branch, labels] = [long!.slice(0, 5), long!.slice(5, 12), [3, 77]];
    const cache = await (await loadPrefiller(model)).run([prefix]);
    const cached = await (await loadBrancher(model, want)).run(cache, [branch], labels);
    const whole = [...prefix, ...branch];
    const uncached = await (await loadScorer(model, want)).run([whole], [11], labels);
    expect(cached.length).toBe(uncached.length);
    expect(distance(cached, uncached)).toBeLessThan(1e-4);
  });
});

describe('a GGUF file gives the logits of its checkpoint', () => {
  it.each(['llama3-rope', 'qwen2', 'gemma3', 'gpt2'])('%s', async (name) => {
    const model = await models.open(join('gguf', `${name}.gguf`));
    const { sequences, logits } = await expectedOf(name);
    expect(distance(await logitsOf(model, sequences), logits)).toBeLessThan(1e-4);
  });
});

describe('sequences that a model cannot read', () => {
  const tooLong = Array.from({ length: 65 }, (_, i) => i + 5);

  it.each(['llama', 'gpt2', 'bert'])('%s refuses 65 tokens, its window holds 64', async (name) => {
    const scorer = await loadScorer(await open(name), 'logProbs');
    await expect(scorer.run([tooLong], [64])).rejects.toThrow(/65 tokens.*holds 64/);
    const whole = await scorer.run([tooLong.slice(1)], [63]);
    expect(whole.every(Number.isFinite)).toBe(true);
  });

  it('counts the prefix of a branch', async () => {
    const model = await open('llama');
    const cache = await (await loadPrefiller(model)).run([tooLong.slice(0, 60)]);
    const brancher = await loadBrancher(model, 'logProbs');
    await expect(brancher.run(cache, [tooLong.slice(60)])).rejects.toThrow(/65 tokens.*holds 64/);
  });

  it('refuses an empty one', async () => {
    const scorer = await loadScorer(await open('llama'), 'logProbs');
    await expect(scorer.run([[]], [0])).rejects.toThrow(/empty/);
  });
});

/** Logits [V] at every token of every sequence. */
async function logitsOf(
  model: LanguageModel,
  sequences: readonly (readonly number[])[],
  options: ProgramOptions = {},
) {
  const scorer = await loadScorer(model, 'logits', options);
  const rows = sequences.flatMap((ids) => ids.map(() => ids));
  const places = sequences.flatMap((ids) => ids.map((_, place) => place));
  return scorer.run(rows, places);
}

function rowOf(values: Float32Array, i: number, rows: number): Float32Array {
  const width = values.length / rows;
  return values.subarray(i * width, (i + 1) * width);
}
