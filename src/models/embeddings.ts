/**
 * The table of token embeddings: rows, and how alike tokens are.
 *
 *   cos(a, b) = ⟨E_a, E_b⟩ / (|E_a| |E_b|), E the input embeddings
 */
import {
  constant,
  div,
  floats,
  gather,
  input,
  int64,
  matmul,
  maximum,
  reduceSum,
  sqrt,
  square,
  type Tensor,
} from '../tensor/index.ts';
import type { LanguageModel } from './language-model.ts';

export interface EmbeddingTable {
  /** Cosine of each id with every token, [N, V]. */
  similarities(ids: readonly number[]): Promise<Float32Array>;
  /** Rows [N, D] of length one. */
  directions(ids: readonly number[]): Promise<Float32Array>;
  unload(): Promise<void>;
}

export async function loadEmbeddings(model: LanguageModel): Promise<EmbeddingTable> {
  const table = (await model.weights('float32')).get('embedding'); // [V, D]
  const ids = input('ids', ['N'], 'int64');
  const lengthOf = (x: Tensor) => maximum(sqrt(reduceSum(square(x), [-1], true)), constant(1e-12)); // [R, 1]
  const rows = gather(table, ids); // [N, D]
  const unit = div(rows, lengthOf(rows));
  const options = { prepack: false };
  const directions = await model.load({ unit }, options);
  // [V, 1]: once per call of a program that is called a few times.
  const cosines = div(matmul(table, unit, { transB: true }), lengthOf(table)); // [V, N]
  const similarities = await model.load({ cosines }, options);
  return {
    async similarities(given) {
      const V = model.config.vocabulary;
      const N = given.length;
      const values = floats((await similarities.run({ ids: int64(given) })).cosines);
      return Float32Array.from(
        { length: N * V },
        (_, i) => values[(i % V) * N + Math.floor(i / V)]!,
      );
    },
    directions: async (given) => floats((await directions.run({ ids: int64(given) })).unit),
    async unload() {
      await similarities.unload();
      await directions.unload();
    },
  };
}
