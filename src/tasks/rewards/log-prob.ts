/** The negative cross-entropy over the label words: the proper scoring rule among the rewards. */

/** Natural log of the gold label's probability among the label words, at most 0; logits [C]. */
export function logProb(logits: Float32Array, gold: number): number {
  let max = -Infinity;
  for (const logit of logits) max = Math.max(max, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return logits[gold]! - max - Math.log(sum);
}
