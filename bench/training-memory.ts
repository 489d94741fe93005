/**
 * Memory of one gradient step of a soft prompt on one long text, with its layers computed again for
 * the gradient and with all activations kept. A process's peak never falls, so the smaller comes first.
 */
import type { LanguageModel } from '../src/models/language-model.ts';
import { activationBytes, loadSequenceTrainer, wordEmbeddings } from '../src/models/training.ts';
import { openModel } from '../src/runs/open-model.ts';
import { Engine, globalNorm } from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';

const VIRTUAL_TOKENS = 5;

interface Measured {
  /** Megabytes by which the process had grown at most. */
  readonly riseMb: number;
  readonly seconds: number;
  readonly gradientNorm: number;
}

/** `{"tokens", "estimatedMb", "recomputed": {"riseMb", …}, "kept": {…}}`. */
export async function benchTrainingMemory(name: string, tokens: number): Promise<object> {
  const engine = new Engine();
  const lm = await openModel(name, { engine });
  const rng = createRng('text');
  const ids = Array.from({ length: tokens }, () => rng.integer(lm.tokenizer.size));
  const virtual = await wordEmbeddings(lm, ids.slice(0, VIRTUAL_TOKENS));
  const start = process.memoryUsage().rss;
  const recomputed = await stepOf(lm, { ids, virtual, recomputes: true, start });
  const kept = await stepOf(lm, { ids, virtual, recomputes: false, start });
  await engine.close();
  const estimatedMb = Math.round(activationBytes(lm.config, 1, tokens + VIRTUAL_TOKENS) / 2 ** 20);
  return { tokens, estimatedMb, recomputed, kept };
}

interface Step {
  readonly ids: readonly number[];
  readonly virtual: Float32Array<ArrayBuffer>;
  readonly recomputes: boolean;
  readonly start: number;
}

async function stepOf(lm: LanguageModel, step: Step): Promise<Measured> {
  const { ids, virtual, recomputes, start } = step;
  const options = { virtualTokens: VIRTUAL_TOKENS, recomputes, prepack: false };
  const trainer = await loadSequenceTrainer(lm, options);
  const sequence = [-1, -2, -3, -4, -5, ...ids];
  const answers = { labels: [ids[0]!, ids[1]!], gold: [0], places: [sequence.length - 1] };
  const began = performance.now();
  const { gradients } = await trainer.run([sequence], answers, { virtual });
  const seconds = (performance.now() - began) / 1000;
  const riseMb = Math.round(process.resourceUsage().maxRSS / 1024 - start / 2 ** 20);
  await trainer.unload();
  return { riseMb, seconds, gradientNorm: globalNorm(gradients) };
}
