/**
 * Bootstrap of accuracies that vary for two reasons at once: which repetitions (seeds, splits) were
 * run, and which examples were tested on. Each resample draws repetitions and, within each gold
 * label of each test set, examples; what is drawn is the same for every method, so that differences
 * between methods stay paired. Repetitions on the same test set share its drawn examples: the
 * examples are crossed with the repetitions, not new ones in each. Seeds on one split are no new
 * draws of its data: clusters (splits) are drawn first, then repetitions within each.
 *
 * With one repetition the interval covers the examples alone. With few clusters their own part is
 * too small, by the factor √((C − 1) / C). Where each has test examples of its own, what these add
 * is counted twice (in the spread between repetitions, too), so that the interval is too wide.
 *
 * Source: Owen & Eckles, Bootstrapping data arrays of arbitrary order, Annals of Applied Statistics
 * 6 (2012), 895–927; strata as in Efron & Tibshirani (1993), chapter 8. Percentile intervals.
 */
import { assert } from '../errors.ts';
import type { Rng } from '../util/rng.ts';
import { type Interval, quantile } from './bootstrap.ts';

export interface CrossedSample {
  /** Hits (or other scores) of each method in each repetition; null where there are none. */
  readonly scores: readonly (readonly (ArrayLike<number> | null)[])[];
  /** Test set of each repetition: an index into `strata`. */
  readonly setOf: readonly number[];
  /** What each repetition has in common with others, as a split. @default nothing */
  readonly clusterOf?: readonly number[];
  /** For each test set the stratum (gold label) of each of its examples. */
  readonly strata: readonly ArrayLike<number>[];
}

export interface CrossedOptions {
  readonly rng: Rng;
  readonly resamples?: number;
  readonly confidence?: number;
}

/**
 * Intervals of Σ weight·accuracy over methods, one for each contrast: [1, 0] is the accuracy of the
 * first of two methods, [1, −1] the difference. A contrast takes the repetitions that all methods
 * with a weight have; null where there is none.
 */
export function crossedBootstrap(
  { scores, setOf, strata, clusterOf = setOf.map((_, r) => r) }: CrossedSample,
  contrasts: readonly (readonly number[])[],
  { rng, resamples = 10_000, confidence = 0.95 }: CrossedOptions,
): (Interval | null)[] {
  const R = setOf.length;
  for (const row of scores) {
    row.forEach((cell, r) => {
      const size = strata[setOf[r]!]!.length;
      assert(cell === null || cell.length === size, `${cell?.length} scores of ${size} examples`);
    });
  }
  const groups = strata.map(membersOf);
  const weights = strata.map((set) => new Float64Array(set.length));
  const accuracy = scores.map(() => new Float64Array(R));
  const shared = contrasts.map((contrast) => {
    const both = setOf.map((_, r) => contrast.every((w, m) => w === 0 || scores[m]![r]));
    return membersOf(clusterOf)
      .map((cluster) => cluster.filter((r) => both[r]))
      .filter((cluster) => cluster.length > 0);
  });
  const draws = contrasts.map(() => new Float64Array(resamples));
  const picks = new Float64Array(R);
  const within = new Float64Array(new Set(clusterOf).size < R ? R * R : 0);
  for (let i = 0; i < resamples; i++) {
    groups.forEach((set, s) => {
      drawWithin(set, weights[s]!, rng);
    });
    for (let r = 0; r < R; r++) picks[r] = rng.next();
    for (let k = 0; k < within.length; k++) within[k] = rng.next();
    scores.forEach((row, m) => {
      for (let r = 0; r < R; r++) {
        const cell = row[r];
        if (cell) accuracy[m]![r] = weightedMean(cell, weights[setOf[r]!]!);
      }
    });
    contrasts.forEach((contrast, c) => {
      draws[c]![i] = drawnContrast(contrast, accuracy, { clusters: shared[c]!, picks, within });
    });
  }
  const tail = (1 - confidence) / 2;
  return draws.map((values, c) => {
    if (shared[c]!.length === 0) return null;
    values.sort();
    return { low: quantile(values, tail), high: quantile(values, 1 - tail) };
  });
}

function membersOf(strata: ArrayLike<number>): number[][] {
  const members = new Map<number, number[]>();
  for (let e = 0; e < strata.length; e++) {
    const stratum = strata[e]!;
    const known = members.get(stratum);
    if (known) known.push(e);
    else members.set(stratum, [e]);
  }
  return [...members.values()];
}

/** How often each example is drawn. */
function drawWithin(groups: readonly (readonly number[])[], weights: Float64Array, rng: Rng): void {
  weights.fill(0);
  for (const group of groups) {
    for (let j = 0; j < group.length; j++) weights[group[rng.integer(group.length)]!]! += 1;
  }
}

function weightedMean(values: ArrayLike<number>, weights: Float64Array): number {
  let sum = 0;
  for (let e = 0; e < weights.length; e++) sum += weights[e]! * values[e]!;
  return sum / weights.length;
}

interface Draw {
  /** Repetitions that can be drawn. */
  readonly clusters: readonly (readonly number[])[];
  /** Which cluster, for each place. */
  readonly picks: Float64Array;
  /** Which of a cluster's repetitions; empty where each is a cluster of its own. */
  readonly within: Float64Array;
}

function drawnContrast(
  contrast: readonly number[],
  accuracy: readonly Float64Array[],
  { clusters, picks, within }: Draw,
): number {
  let [sum, count] = [0, 0];
  for (let k = 0; k < clusters.length; k++) {
    const cluster = clusters[Math.floor(picks[k]! * clusters.length)]!;
    for (let j = 0; j < cluster.length; j++) {
      const pick = cluster.length > 1 ? within[k * picks.length + j]! : 0;
      const r = cluster[Math.floor(pick * cluster.length)]!;
      for (let m = 0; m < contrast.length; m++) {
        if (contrast[m] !== 0) sum += contrast[m]! * accuracy[m]![r]!;
      }
      count++;
    }
  }
  return sum / count;
}
