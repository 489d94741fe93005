/**
 * Paired permutation test (sign flips): were the signs of the differences a matter of chance, how
 * often would their mean lie as far from 0 as it does? Two-sided.
 *
 * Exact up to 20 differences that are not 0; else sampled, with the observed one counted in
 * (Phipson & Smyth 2010), so that no p-value is 0.
 */
import { assert } from '../errors.ts';
import type { Rng } from '../util/rng.ts';

const exactLimit = 20;

export interface PermutationResult {
  /** Mean of a − b. */
  readonly meanDifference: number;
  readonly pValue: number;
  readonly isExact: boolean;
}

/** Compares paired scores of the same examples; `rng` is used beyond 20 differences only. */
export function pairedPermutationTest(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { rng, resamples = 10_000 }: { readonly rng: Rng; readonly resamples?: number },
): PermutationResult {
  assert(a.length > 0 && a.length === b.length, `${a.length} and ${b.length} paired scores`);
  const differences = Float64Array.from({ length: a.length }, (_, i) => a[i]! - b[i]!);
  const sum = differences.reduce((x, y) => x + y, 0);
  const moving = differences.filter((difference) => difference !== 0);
  const isExact = moving.length <= exactLimit;
  const pValue = isExact ? exactP(moving) : sampledP(moving, rng, resamples);
  return { meanDifference: sum / a.length, pValue, isExact };
}

/** All 2^n sign patterns, each one flip away from the last (Gray code). */
function exactP(differences: Float64Array): number {
  const total = differences.reduce((x, y) => x + y, 0);
  const limit = threshold(differences, total);
  const signs = new Int8Array(differences.length).fill(1);
  const patterns = 2 ** differences.length;
  let sum = total;
  let extreme = 1;
  for (let i = 1; i < patterns; i++) {
    const flip = 31 - Math.clz32(i & -i);
    sum -= 2 * signs[flip]! * differences[flip]!;
    signs[flip]! *= -1;
    if (Math.abs(sum) >= limit) extreme++;
  }
  return extreme / patterns;
}

function sampledP(differences: Float64Array, rng: Rng, resamples: number): number {
  const total = differences.reduce((x, y) => x + y, 0);
  const limit = threshold(differences, total);
  let extreme = 1;
  for (let i = 0; i < resamples; i++) {
    let sum = 0;
    for (const difference of differences) sum += rng.next() < 0.5 ? difference : -difference;
    if (Math.abs(sum) >= limit) extreme++;
  }
  return extreme / (resamples + 1);
}

/** The observed distance, less what rounding may take from an equal sum. */
function threshold(differences: Float64Array, total: number): number {
  const size = differences.reduce((x, y) => x + Math.abs(y), 0);
  return Math.abs(total) - 1e-12 * size;
}
