/**
 * Wilson's score interval of a proportion: holds its coverage near 0 and 1 and for few examples,
 * where the usual interval (mean ± z·deviation) does not.
 *
 * Source: E. B. Wilson, JASA 22 (1927), 209–212; without continuity correction.
 */
import { assert } from '../errors.ts';
import type { Interval } from './bootstrap.ts';
import { normalQuantile } from './normal.ts';

/** Interval of the share `successes / total`, `total` at least 1. */
export function wilsonInterval(successes: number, total: number, confidence = 0.95): Interval {
  assert(total > 0 && successes >= 0 && successes <= total, `${successes} of ${total}`);
  const z = normalQuantile(1 - (1 - confidence) / 2);
  const share = successes / total;
  const scale = 1 + (z * z) / total;
  const centre = (share + (z * z) / (2 * total)) / scale;
  const half =
    (z / scale) * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === total ? 1 : Math.min(1, centre + half),
  };
}
