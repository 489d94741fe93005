/** Two methods side by side: when their difference counts, and how it is said. */
import type { ComparePair } from './compare-events.ts';

export interface AnalysedPair extends ComparePair {
  /** Sign flips of whole repetitions; absent below five of them. */
  readonly pRepetitions?: number;
  /** That both methods finished; of several splits, how many. */
  readonly repetitions: number;
}

/** A difference counts below this adjusted p-value, if its interval leaves out 0, too. */
export const ALPHA = 0.05;
export const REPETITIONS_TO_FLIP = 5;
/** Sums of shares that are 0 are off by less. */
export const ROUNDING = 1e-12;

/** True where a difference is more than noise. */
export function isClear({ pAdjusted, interval: [low, high] }: ComparePair): boolean {
  return pAdjusted < ALPHA && (low > ROUNDING || high < -ROUNDING);
}

/** The pair turned so that the difference is not negative. */
export function leaderFirst<Pair extends ComparePair>(pair: Pair): Pair {
  if (pair.difference >= 0) return pair;
  const [low, high] = pair.interval;
  const turned = { a: pair.b, b: pair.a, difference: -pair.difference, interval: [-high, -low] };
  return { ...pair, ...turned };
}

/** "+2.0": a difference in percentage points. */
export function points(difference: number): string {
  const text = (100 * difference).toFixed(1);
  if (Number(text) === 0) return '0.0';
  return difference > 0 ? `+${text}` : text.replace('-', '−');
}
