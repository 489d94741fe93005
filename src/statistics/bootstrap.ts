/**
 * Percentile bootstrap interval of a mean: examples are drawn again with replacement, the interval
 * is where the middle share of the means lies.
 *
 * Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
 */
import { assert } from '../errors.ts';
import type { Rng } from '../util/rng.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  readonly rng: Rng;
  /** Share of the means inside the interval. */
  readonly confidence?: number;
  readonly resamples?: number;
  /** Stratum of each value: draws are made within strata, so that their sizes stay. */
  readonly strata?: ArrayLike<number>;
}

/** Interval of the mean of at least one value. */
export function bootstrapMean(values: ArrayLike<number>, options: BootstrapOptions): Interval {
  const { rng, confidence = 0.95, resamples = 10_000, strata } = options;
  assert(values.length > 0, 'bootstrap of no values');
  assert(confidence > 0 && confidence < 1, `confidence ${confidence} is not between 0 and 1`);
  const groups = groupByStratum(values, strata);
  const means = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    let sum = 0;
    for (const group of groups) {
      for (let j = 0; j < group.length; j++) sum += group[rng.integer(group.length)]!;
    }
    means[i] = sum / values.length;
  }
  means.sort();
  const tail = (1 - confidence) / 2;
  return { low: quantile(means, tail), high: quantile(means, 1 - tail) };
}

/** Linear interpolation between the order statistics of sorted values, as NumPy's default. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}

function groupByStratum(values: ArrayLike<number>, strata?: ArrayLike<number>): Float64Array[] {
  if (strata === undefined) return [Float64Array.from(values)];
  assert(strata.length === values.length, `${values.length} values, ${strata.length} strata`);
  const groups = new Map<number, number[]>();
  for (let i = 0; i < values.length; i++) {
    const stratum = strata[i]!;
    const group = groups.get(stratum);
    if (group === undefined) groups.set(stratum, [values[i]!]);
    else group.push(values[i]!);
  }
  return [...groups.values()].map((group) => Float64Array.from(group));
}
