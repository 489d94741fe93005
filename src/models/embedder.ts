/**
 * Texts as vectors: the mean of an LM's last hidden states, where a causal LM's later positions, which
 * have read more, count more.
 *
 *   v = Σ_t w_t h_t,   w_t = t / Σ t (causal),   1 / T (masked),   h_t after the last norm [D]
 *
 * Source: Muennighoff, SGPT, arXiv 2202.08904 (position-weighted mean). No model of ours was trained
 * to embed: unrelated texts have high cosines too, only the order says something.
 */
import {
  float32,
  floats,
  input,
  int64,
  mul,
  reduceSum,
  reshape,
  type Tensor,
} from '../tensor/index.ts';
import { embed } from './architecture.ts';
import { sequences } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import { checkLengths, padRows } from './programs.ts';

export interface Embedder {
  /**
   * One vector [D] a text, in the order of the texts; zeros for a text without a token.
   * @throws DataError when a text is longer than the model can read
   */
  run(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array[]>;
  unload(): Promise<void>;
}

/** Padded tokens of one call. */
const TOKENS_PER_CALL = 2048;

/** The program, in float32. */
export async function loadEmbedder(model: LanguageModel): Promise<Embedder> {
  const { architecture, config, tokenizer } = model;
  const w = await model.weights('float32');
  const ids = input('ids', ['B', 'T'], 'int64');
  const positions = input('positions', ['B', 'T'], 'int64');
  const lengths = input('lengths', ['B'], 'int64');
  const flat = (t: Tensor) => reshape(t, ['B*T']);
  const causal = config.kind === 'causal';
  const attend = sequences(config, ['B', 'T'], { causal, lengths });
  const x = embed(architecture, w, { ids: flat(ids), positions: flat(positions) });
  const hidden = architecture.readout(w, architecture.forward(w, x, flat(positions), attend));
  const rows = reshape(hidden, ['B', 'T', config.width], true);
  const out = reduceSum(mul(rows, input('shares', ['B', 'T', 1])), [1]); // [B, D]
  const executable = await model.load({ out }, { prepack: false });

  async function pass(batch: readonly (readonly number[])[]): Promise<Float32Array<ArrayBuffer>[]> {
    const { ids: padded, rows: B, length: T } = padRows(batch);
    const shares = new Float32Array(B * T);
    batch.forEach(({ length }, b) => {
      const total = causal ? (length * (length + 1)) / 2 : length;
      for (let t = 0; t < length; t++) shares[b * T + t] = (causal ? t + 1 : 1) / total;
    });
    const at = Float64Array.from({ length: B * T }, (_, i) => i % T);
    const result = await executable.run({
      ids: int64(padded, [B, T]),
      positions: int64(at, [B, T]),
      lengths: int64(batch.map(({ length }) => length)),
      shares: float32(shares, [B, T, 1]),
    });
    const values = floats(result.out);
    return batch.map((_, b) => values.slice(b * config.width, (b + 1) * config.width));
  }

  return {
    async run(texts, signal) {
      const sequences = texts.map((text) => tokenizer.encode(text));
      const vectors = texts.map(() => new Float32Array(config.width));
      // Texts of like length together, so that little is padded.
      const order = [...texts.keys()]
        .filter((i) => sequences[i]!.length > 0)
        .sort((a, b) => sequences[a]!.length - sequences[b]!.length);
      const longest = order.map((i) => sequences[i]!.length);
      checkLengths(model, longest);
      while (order.length > 0) {
        signal?.throwIfAborted();
        let count = 1;
        const fits = (n: number) => n * sequences[order[n - 1]!]!.length <= TOKENS_PER_CALL;
        while (count < order.length && fits(count + 1)) count++;
        const batch = order.splice(0, count);
        const found = await pass(batch.map((i) => sequences[i]!));
        batch.forEach((i, b) => {
          vectors[i] = found[b]!;
        });
      }
      return vectors;
    },
    unload: () => executable.unload(),
  };
}
