/** Right or wrong: the metric itself as a reward. Flat almost everywhere, so slow to learn from. */
import { predictLabel } from '../metrics/class-metrics.ts';

/** 1 when the gold label's word has the highest logit, else 0; logits [C]. */
export function accuracy(logits: Float32Array, gold: number): number {
  return predictLabel(logits) === gold ? 1 : 0;
}
