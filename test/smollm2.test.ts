/**
 * The default model against transformers, where the model store has it (`whetstone models pull`):
 * log probabilities, cached prefixes, batches, int8. Skipped elsewhere: tests download nothing.
 * The recorded values are of the 4-bit GGUF file (`fixtures/make_smollm2.py`).
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { differenceFromPyTorch } from '../bench/gradients.ts';
import { LanguageModel } from '../src/models/language-model.ts';
import { DEFAULT_MODEL } from '../src/models/model-registry.ts';
import { resolveModel } from '../src/models/model-store.ts';
import { loadBrancher, loadPrefiller, loadScorer } from '../src/models/programs.ts';
import { Engine } from '../src/tensor/index.ts';
import { correlation, distance, fixtures } from './tiny-models.ts';

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  readonly logProbs: readonly (readonly [token: number, logProb: number])[];
}

const found = await resolveModel(DEFAULT_MODEL, { offline: true }).catch(() => undefined);
const cases = JSON.parse(await readFile(join(fixtures, 'smollm2.json'), 'utf8')) as Case[];
const sequences = cases.map(({ ids }) => ids);
const last = sequences.map((ids) => ids.length - 1);

describe.skipIf(found?.kind !== 'gguf')(
  `${DEFAULT_MODEL} (needs it in the store: npx whetstone models pull ${DEFAULT_MODEL})`,
  () => {
    let engine: Engine;
    let folder: string;
    let model: LanguageModel;
    let scores: Float32Array;

    beforeAll(async () => {
      engine = new Engine();
      folder = await mkdtemp(join(tmpdir(), 'whetstone-smollm2-'));
      model = await LanguageModel.open(found!.path, { engine, cacheFolder: folder });
      const scorer = await loadScorer(model, 'logProbs', { prepack: false });
      scores = await scorer.run(sequences, last);
      await scorer.unload();
    });
    afterAll(async () => {
      await model.close();
      await engine.close();
      await rm(folder, { recursive: true });
    });

    it('cuts texts into the same tokens', () => {
      for (const { text, ids } of cases) expect(model.tokenizer.encode(text)).toEqual(ids);
    });

    it('gives the log probabilities of transformers, all texts in one batch', () => {
      const vocabulary = model.config.vocabulary;
      for (const [i, { logProbs }] of cases.entries()) {
        for (const [token, logProb] of logProbs) {
          expect(Math.abs(scores[i * vocabulary + token]! - logProb)).toBeLessThan(1e-3);
        }
      }
    });

    it('scores a branch over a cached prefix, alone, as the whole text among others', async () => {
      const prefiller = await loadPrefiller(model, { prepack: false });
      const brancher = await loadBrancher(model, 'logProbs', { prepack: false });
      const { ids } = cases[1]!;
      const cache = await prefiller.run([ids.slice(0, 7)]);
      const cached = await brancher.run(cache, [ids.slice(7)]);
      const whole = scores.subarray(cached.length, 2 * cached.length);
      expect(distance(cached, whole)).toBeLessThan(1e-4);
    });

    it('gives PyTorch’s gradient of a soft prompt', async () => {
      expect(await differenceFromPyTorch(model)).toBeLessThan(1e-4);
    });

    it('keeps close to float32 in int8, as the search uses it', async () => {
      const options = { precision: 'int8' } as const;
      const int8 = await (await loadScorer(model, 'logProbs', options)).run(sequences, last);
      const vocabulary = model.config.vocabulary;
      for (let at = 0; at < scores.length; at += vocabulary) {
        const [a, b] = [int8, scores].map((all) => all.subarray(at, at + vocabulary));
        expect(correlation(a!, b!)).toBeGreaterThan(0.95);
      }
    });
  },
);
