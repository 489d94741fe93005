/**
 * The next words from logits [R, V] that stay in the engine: what crosses the thread border is one
 * word a row, or the few that are to be chosen among.
 *
 * - temperature 0: the likeliest word.
 * - no truncation: inverse transform sampling. A row's probabilities are summed up in blocks, a
 *   uniform number u chooses the block and then the word in it, so that no vocabulary is sorted.
 * - top-k, top-p: the likeliest k, chosen among here. A nucleus (top-p) has at most `NUCLEUS` words.
 *
 * u comes from the caller, one a row: who else is in the batch changes nothing. Truncation is by
 * top-k, then top-p over what is left, then min-p, as in transformers.
 * Sources: top-p arXiv 1904.09751; min-p arXiv 2407.01082.
 */
import { product } from '../tensor/dims.ts';
import {
  add,
  cast,
  concat,
  constant,
  expand,
  float32,
  floats,
  gather,
  greaterOrEqual,
  input,
  type Kept,
  logSoftmax,
  matmul,
  minimum,
  mul,
  pad,
  range,
  reduceMax,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  type Tensor,
  takeAlong,
  topK,
} from '../tensor/index.ts';
import type { LanguageModel } from './language-model.ts';

export interface Sampling {
  /** 0: the likeliest word each time. @default 1 */
  readonly temperature?: number;
  /** Likeliest words to draw among; 0: all. @default 0 */
  readonly topK?: number;
  /** Least probability that the words drawn among have together. @default 1 */
  readonly topP?: number;
  /** Least probability of a word, as a share of the likeliest one's. @default 0 */
  readonly minP?: number;
}

export interface Drawn {
  readonly id: number;
  /** ln P under the whole distribution at temperature 1. */
  readonly logProb: number;
}

export interface Sampler {
  /** One word a row; `uniform` has a number in [0, 1) for each. */
  draw(logits: Kept, uniform: readonly number[]): Promise<Drawn[]>;
  unload(): Promise<void>;
}

/** Most words of a nucleus. */
const NUCLEUS = 512;
/** Words of one block. */
const BLOCK = 256;
/** The largest float32 below one. */
const BELOW_ONE = 1 - 2 ** -24;

export async function loadSampler(
  model: LanguageModel,
  { temperature = 1, topK: k = 0, topP = 1, minP = 0 }: Sampling = {},
): Promise<Sampler> {
  const V = model.config.vocabulary;
  const logProbs = logSoftmax(input('logits', ['R', V]));
  if (temperature === 0) return choosing(model, likeliest(logProbs, 1), () => 0);
  const scaled = temperature === 1 ? logProbs : mul(logProbs, constant(1 / temperature));
  if (k === 0 && topP >= 1) return drawing(model, logProbs, atLeast(softmax(scaled), minP));
  const count = Math.min(V, k > 0 ? k : NUCLEUS);
  return choosing(model, likeliest(logProbs, count, softmax(scaled)), (row, u) =>
    chooseAmong(truncate(row, { isWhole: k === 0, topP, minP }), u),
  );
}

/** The likeliest words' probabilities [R, k] under the distribution to draw from, ids, and ln P. */
function likeliest(logProbs: Tensor, k: number, probabilities: Tensor = logProbs) {
  const { values, indices } = topK(probabilities, k);
  return { values, ids: cast(indices, 'float32'), logProbs: takeAlong(logProbs, indices) };
}

/** Among each row's likeliest words, largest first. */
async function choosing(
  model: LanguageModel,
  outputs: Record<'values' | 'ids' | 'logProbs', Tensor>,
  choose: (probabilities: Float32Array, u: number) => number,
): Promise<Sampler> {
  const program = await model.load(outputs);
  const k = outputs.values.shape[1] as number;
  return {
    async draw(logits, uniform) {
      const out = await program.run({ logits });
      const values = floats(out.values);
      return uniform.map((u, r) => {
        const at = r * k + choose(values.subarray(r * k, (r + 1) * k), u);
        return { id: floats(out.ids)[at]!, logProb: floats(out.logProbs)[at]! };
      });
    },
    unload: () => program.unload(),
  };
}

/** How many of the probabilities, largest first, are drawn among. */
export function truncate(
  probabilities: Float32Array,
  { isWhole, topP, minP }: { isWhole: boolean; topP: number; minP: number },
): Float32Array {
  // Of top-k words, top-p takes its share of what they have together.
  const total = isWhole ? 1 : probabilities.reduce((a, b) => a + b, 0);
  let mass = 0;
  let count = 0;
  while (count < probabilities.length && mass < topP * total) mass += probabilities[count++]!;
  const floor = minP * probabilities[0]!;
  while (count > 1 && probabilities[count - 1]! < floor) count--;
  return probabilities.subarray(0, Math.max(1, count));
}

/** Index of the word in whose share of the whole u falls. */
export function chooseAmong(probabilities: Float32Array, u: number): number {
  let rest = u * probabilities.reduce((a, b) => a + b, 0);
  for (let i = 0; i < probabilities.length; i++) {
    rest -= probabilities[i]!;
    if (rest < 0) return i;
  }
  return 0;
}

/** Probabilities with those below a share of the largest at zero. */
function atLeast(probabilities: Tensor, share: number): Tensor {
  if (share === 0) return probabilities;
  const floor = mul(reduceMax(probabilities, [-1], true), constant(share));
  return mul(probabilities, cast(greaterOrEqual(probabilities, floor), 'float32'));
}

/** Inverse transform sampling over the whole vocabulary, in the engine. */
async function drawing(
  model: LanguageModel,
  logProbs: Tensor,
  probabilities: Tensor,
): Promise<Sampler> {
  const V = model.config.vocabulary;
  const blocks = Math.ceil(V / BLOCK);
  const u = input('u', ['R', 1]);
  const padded = pad(probabilities, 1, { size: blocks * BLOCK, start: 0 });
  const sums = reduceSum(reshape(padded, ['R', blocks, BLOCK]), [-1]);
  const upTo = matmul(sums, upperTriangle(blocks)); // [R, blocks], running sums
  const wanted = mul(u, slice(upTo, 1, blocks - 1, blocks)); // [R, 1]
  const block = passed(upTo, wanted); // [R, 1], as the indices below in float32, exact up to 2^24
  const sumsBefore = concat([expand(constant(0), ['R', 1]), upTo], 1);
  const before = takeAlong(sumsBefore, cast(block, 'int64'));
  const firstBlock = mul(cast(range('R'), 'float32'), constant(blocks)); // [R]
  const row = cast(add(firstBlock, reshape(block, ['R'])), 'int64');
  const within = gather(reshape(padded, [product(['R', blocks]), BLOCK]), row); // [R, 256]
  const upToWord = matmul(within, upperTriangle(BLOCK));
  // What rounding took from one sum and not from the other must not lead past the block's end.
  const end = mul(slice(upToWord, 1, BLOCK - 1, BLOCK), constant(BELOW_ONE));
  const place = passed(upToWord, minimum(sub(wanted, before), end));
  const ids = minimum(add(mul(block, constant(BLOCK)), place), constant(V - 1)); // [R, 1]
  const program = await model.load({
    ids,
    logProbs: takeAlong(logProbs, cast(ids, 'int64')),
  });
  return {
    async draw(logits, uniform) {
      const given = Float32Array.from(uniform, (x) => Math.min(x, BELOW_ONE));
      const out = await program.run({ logits, u: float32(given, [given.length, 1]) });
      const [ids, found] = [floats(out.ids), floats(out.logProbs)];
      return uniform.map((_, r) => ({ id: ids[r]!, logProb: found[r]! }));
    },
    unload: () => program.unload(),
  };
}

/** How many of a row's running sums [R, n] a number [R, 1] has reached, at most n − 1. */
function passed(upTo: Tensor, wanted: Tensor): Tensor {
  const count = reduceSum(cast(greaterOrEqual(wanted, upTo), 'float32'), [-1], true);
  return minimum(count, constant((upTo.shape[1] as number) - 1));
}

/** [n, n] with ones where the row is at most the column: a product with it makes running sums. */
function upperTriangle(n: number): Tensor {
  const ones = Float32Array.from({ length: n * n }, (_, i) => Number(Math.floor(i / n) <= i % n));
  return constant(ones, [n, n]);
}
