/**
 * Log-probabilities of label words from the alternatives that an API tells for the first token of an
 * answer. A token speaks for a label when it is the beginning of that label and of no other, with or
 * without a space before it and whatever its case; several such tokens add up. Leaves out what comes
 * after the first token: labels must differ at their beginning.
 */
import type { Alternative } from './text-model.ts';

export interface LabelScores {
  /**
   * By label, the natural log of the probability that the answer begins with it; null where it is
   * not among the alternatives, so that it is at most `floor`.
   */
  readonly logProbs: readonly (number | null)[];
  /** Log-probability of the least likely alternative that was told. */
  readonly floor: number;
}

export function labelScores(
  alternatives: readonly Alternative[],
  labels: readonly string[],
): LabelScores {
  const wanted = labels.map(normal);
  const sums = labels.map(() => 0);
  for (const { token, logProb } of alternatives) {
    const start = normal(token);
    if (start === '') continue;
    const fitting = wanted.flatMap((label, i) => (label.startsWith(start) ? [i] : []));
    if (fitting.length === 1) sums[fitting[0]!]! += Math.exp(logProb);
  }
  return {
    logProbs: sums.map((sum) => (sum > 0 ? Math.log(sum) : null)),
    floor: Math.min(...alternatives.map(({ logProb }) => logProb)),
  };
}

function normal(text: string): string {
  return text.trim().toLowerCase();
}
