/** Tokens that are most alike in an embedding table. */
import type { EmbeddingTable } from '../../models/index.ts';

export interface NearToken {
  readonly id: number;
  readonly cosine: number;
}

export interface NearestOptions {
  readonly count: number;
  /** True for ids that may stand in the list of `of`. */
  accept(id: number, of: number): boolean;
}

/** Tokens of one call of the engine: cosines with the whole vocabulary are large. */
const TOGETHER = 16;

/** For each id its nearest others, the nearest first. */
export async function nearestTokens(
  ids: readonly number[],
  embeddings: EmbeddingTable,
  { count, accept }: NearestOptions,
): Promise<NearToken[][]> {
  const out: NearToken[][] = [];
  for (let i = 0; i < ids.length; i += TOGETHER) {
    const part = ids.slice(i, i + TOGETHER);
    const cosines = await embeddings.similarities(part); // [N, V]
    const V = cosines.length / part.length;
    part.forEach((of, n) => {
      const row = cosines.subarray(n * V, (n + 1) * V);
      const order = [...row.keys()].sort((a, b) => row[b]! - row[a]!);
      const near: NearToken[] = [];
      for (const id of order) {
        if (near.length === count) break;
        if (id !== of && accept(id, of)) near.push({ id, cosine: row[id]! });
      }
      out.push(near);
    });
  }
  return out;
}
