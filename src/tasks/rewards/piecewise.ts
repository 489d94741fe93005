/**
 * RLPrompt's piecewise reward of one example: the gap between the gold label's probability and the
 * best other one, times 200 when it is positive and 180 when it is not.
 *
 * Source: Deng et al. 2022, arXiv 2205.12548, section 3.1 (lambda1 = 180, lambda2 = 200). A prompt's
 * reward is the mean over examples.
 */
import { probabilityGap } from './softmax.ts';

const correctFactor = 200;
const incorrectFactor = 180;

/** In [-180, 200], from the label words' logits [C]. */
export function piecewise(logits: Float32Array, gold: number): number {
  const gap = probabilityGap(logits, gold);
  return gap * (gap > 0 ? correctFactor : incorrectFactor);
}
