/** A score that must be reached: what CI holds a prompt against. */
import { formatScore, formatShare } from '../util/format.ts';
import type { CompareRow } from './compare-events.ts';
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

/** `whose` stands before the sentences: "soft-q: ". */
export function judge(
  score: Pick<SplitScore, 'score' | 'interval'> & { readonly examples?: number | undefined },
  { threshold, thresholdLow }: Thresholds,
  whose = '',
): ThresholdVerdict[] {
  const of = (what: string, value: number, least: number | undefined): ThresholdVerdict[] => {
    if (least === undefined) return [];
    // What people write as 0.8 and what is 24 of 30 are the same number.
    const isReached = value >= least - 1e-9;
    const verb = isReached ? 'reaches' : 'does not reach';
    const examples = score.examples === undefined ? '' : `, ${score.examples} examples`;
    const sentence = `${whose}${what} ${formatShare(value)} ${verb} the threshold ${formatShare(least)} (${formatScore(score)}${examples})`;
    return [{ what, least, isReached, sentence }];
  };
  return [...of(SCORE, score.score, threshold), ...of(LOW, score.interval[0], thresholdLow)];
}

/** Of a method of a comparison: its mean test score; one that came to no end reaches nothing. */
export function judgeRow({ method, test }: CompareRow, thresholds: Thresholds): ThresholdVerdict[] {
  const whose = `${method}: `;
  if (test) return judge({ score: test.mean, interval: test.interval }, thresholds, whose);
  const { threshold, thresholdLow } = thresholds;
  const of = (what: string, least: number | undefined): ThresholdVerdict[] => {
    if (least === undefined) return [];
    const sentence = `${whose}came to no end, so that ${what} does not reach the threshold ${formatShare(least)}`;
    return [{ what, least, isReached: false, sentence }];
  };
  return [...of(SCORE, threshold), ...of(LOW, thresholdLow)];
}

const SCORE = 'the score';
const LOW = "the lower end of the score's interval";
