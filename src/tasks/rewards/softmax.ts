/** Probabilities over the label words alone: what the rewards are made of. */

/** Softmax of the logits [C], in double precision. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const out = new Float64Array(logits.length);
  let max = -Infinity;
  for (let i = 0; i < out.length; i++) max = Math.max(max, logits[i]!);
  let sum = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.exp(logits[i]! - max);
    sum += out[i]!;
  }
  for (let i = 0; i < out.length; i++) out[i]! /= sum;
  return out;
}

/** Probability of the gold label minus the largest of the others, in [-1, 1]. */
export function probabilityGap(logits: ArrayLike<number>, gold: number): number {
  const probs = softmax(logits);
  let other = 0;
  for (let i = 0; i < probs.length; i++) if (i !== gold) other = Math.max(other, probs[i]!);
  return probs[gold]! - other;
}
