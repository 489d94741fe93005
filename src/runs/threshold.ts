/** A score that must be reached: what CI holds a prompt against. */
import { formatScore, formatShare } from '../util/format.ts';
import type { SplitScore } from './events.ts';

export interface Thresholds {
  /** Least score, a share. */
  readonly threshold?: number | undefined;
  /** Least lower end of the score's 95% interval. */
  readonly thresholdLow?: number | undefined;
}

export interface ThresholdVerdict {
  readonly what: string;
  readonly least: number;
  readonly isReached: boolean;
  readonly sentence: string;
}

/** Exit code of a command whose threshold was not reached. */
export const NOT_REACHED = 3;

export function judge(
  score: Pick<SplitScore, 'score' | 'interval' | 'examples'>,
  { threshold, thresholdLow }: Thresholds,
): ThresholdVerdict[] {
  const of = (what: string, value: number, least: number | undefined): ThresholdVerdict[] => {
    if (least === undefined) return [];
    // What people write as 0.8 and what is 24 of 30 are the same number.
    const isReached = value >= least - 1e-9;
    const verb = isReached ? 'reaches' : 'does not reach';
    const sentence = `${what} ${formatShare(value)} ${verb} the threshold ${formatShare(least)} (${formatScore(score)}, ${score.examples} examples)`;
    return [{ what, least, isReached, sentence }];
  };
  return [
    ...of('the score', score.score, threshold),
    ...of("the lower end of the score's interval", score.interval[0], thresholdLow),
  ];
}
