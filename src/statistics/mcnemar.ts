/**
 * McNemar's exact test for two classifiers on the same examples: only examples that one gets right
 * and the other wrong count, and by chance they would fall either way alike. Two-sided.
 *
 * Source: Q. McNemar, Psychometrika 12 (1947); exact binomial form.
 */
import { assert } from '../errors.ts';

/** p-value from the two counts of disagreement; 1 when there is none. */
export function mcnemarExact(onlyFirstRight: number, onlySecondRight: number): number {
  const n = onlyFirstRight + onlySecondRight;
  const k = Math.min(onlyFirstRight, onlySecondRight);
  assert(Number.isInteger(n) && Number.isInteger(k) && k >= 0, `counts ${k} of ${n}`);
  if (n === 0) return 1;
  let logChoose = 0;
  let tail = 0;
  for (let i = 0; i <= k; i++) {
    tail += Math.exp(logChoose - n * Math.LN2);
    logChoose += Math.log((n - i) / (i + 1));
  }
  return Math.min(1, 2 * tail);
}

/** The same from each example's right (true) or wrong answers of both. */
export function mcnemarPaired(first: readonly boolean[], second: readonly boolean[]): number {
  assert(first.length === second.length, `${first.length} and ${second.length} paired answers`);
  const firstOnly = first.filter((right, i) => right && !second[i]).length;
  const secondOnly = second.filter((right, i) => right && !first[i]).length;
  return mcnemarExact(firstOnly, secondOnly);
}
