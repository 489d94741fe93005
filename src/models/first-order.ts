/**
 * What a gradient with respect to word embeddings says about every word: e_w · ∇_t, one product over
 * the words asked for. To first order, a word w in the place of t changes the loss by
 * (e_w − e_t) · ∇_t. Source: HotFlip, arXiv 1712.06751; AutoPrompt, arXiv 2010.15980, equation 2.
 */
import { float32, floats, input, int64, matmul, reduceMean } from '../tensor/index.ts';
import type { LanguageModel } from './language-model.ts';

export interface FirstOrder {
  /** Word embeddings [R, D] of ids [R], as the model reads them. */
  words(ids: readonly number[]): Promise<Float32Array<ArrayBuffer>>;
  /** The mean [D] of the words' embeddings. */
  mean(ids: readonly number[]): Promise<Float32Array<ArrayBuffer>>;
  /** e_w · ∇_t as [T, A], from ∇ [T, D] and the ids [A] of the words. */
  products(
    gradient: Float32Array<ArrayBuffer>,
    ids: readonly number[],
  ): Promise<Float32Array<ArrayBuffer>>;
  unload(): Promise<void>;
}

export async function loadFirstOrder(model: LanguageModel): Promise<FirstOrder> {
  const D = model.config.width;
  const w = await model.weights();
  const words = model.architecture.words(w, input('ids', ['A'], 'int64')); // [A, D]
  const products = matmul(input('gradient', ['T', D]), words, { transB: true }); // [T, A]
  const reader = await model.load({ words }, { prepack: false });
  const ranker = await model.load({ products }, { prepack: false });
  return {
    words: async (ids) => floats((await reader.run({ ids: int64(ids) })).words),
    async mean(ids) {
      // Asked once a search: not worth a program that stays.
      const program = await model.load({ mean: reduceMean(words, [0]) }, { prepack: false });
      const { mean } = await program.run({ ids: int64(ids) });
      await program.unload();
      return floats(mean);
    },
    async products(gradient, ids) {
      const feeds = {
        ids: int64(ids),
        gradient: float32(gradient, [gradient.length / D, D]),
      };
      return floats((await ranker.run(feeds)).products);
    },
    async unload() {
      await reader.unload();
      await ranker.unload();
    },
  };
}
