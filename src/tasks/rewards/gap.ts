/** The probability gap as it is: the piecewise reward without its factors. */
import { probabilityGap } from './softmax.ts';

/** P(gold) minus the largest other probability, in [-1, 1], from the label words' logits [C]. */
export function gap(logits: Float32Array, gold: number): number {
  return probabilityGap(logits, gold);
}
