/** The tiny checkpoints under `fixtures/`, opened, and the logits that transformers gives for them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel } from '../src/models/language-model.ts';
import { Engine } from '../src/tensor/index.ts';

export const fixtures = join(import.meta.dirname, 'fixtures');

/** Opens each fixture once; `close` ends everything that was opened. */
export function tinyModels() {
  const engine = new Engine({ threads: 1 });
  const folder = mkdtemp(join(tmpdir(), 'whetstone-tiny-'));
  const models = new Map<string, LanguageModel>();
  return {
    /** By path below `fixtures/`. */
    async open(path: string): Promise<LanguageModel> {
      const known = models.get(path);
      if (known) return known;
      const options = { engine, cacheFolder: await folder };
      const model = await LanguageModel.open(join(fixtures, path), options);
      models.set(path, model);
      return model;
    },
    async close(): Promise<void> {
      for (const model of models.values()) await model.close();
      await engine.close();
      await rm(await folder, { recursive: true, force: true });
    },
  };
}

/** Sequences of ids, and for each of their tokens the logits [V] that transformers gives. */
export async function expectedOf(name: string) {
  const folder = join(fixtures, 'models', name);
  const text = await readFile(join(folder, 'sequences.json'), 'utf8');
  const sequences = JSON.parse(text) as number[][];
  return { sequences, logits: await readFloats(join(folder, 'logits.f32')) };
}

export async function readFloats(path: string): Promise<Float32Array<ArrayBuffer>> {
  const bytes = await readFile(path);
  const values = new Float32Array(bytes.length / 4);
  new Uint8Array(values.buffer).set(bytes);
  return values;
}

/** Largest difference; NaN where either holds NaN, which fails every comparison. */
export function distance(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);
}

/** Pearson's correlation. */
export function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (x: Float32Array) => x.reduce((sum, v) => sum + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    ab += (x - ma) * (b[i]! - mb);
    aa += (x - ma) ** 2;
    bb += (b[i]! - mb) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
