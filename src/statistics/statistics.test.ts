/** Every statistic against SciPy's value (test/fixtures/make_statistics.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { bootstrapMean, quantile } from './bootstrap.ts';
import { crossedBootstrap } from './crossed-bootstrap.ts';
import { holm } from './holm.ts';
import { mcnemarExact, mcnemarPaired } from './mcnemar.ts';
import { normalQuantile } from './normal.ts';
import { pairedPermutationTest } from './permutation.ts';
import { ranks, spearman } from './spearman.ts';
import { wilsonInterval } from './wilson.ts';

interface Paired {
  readonly a: number[];
  readonly b: number[];
}

interface Reference {
  readonly wilson: {
    successes: number;
    total: number;
    confidence: number;
    interval: [number, number];
  }[];
  readonly normal: { p: number; z: number }[];
  readonly spearman: (Paired & { rho: number })[];
  readonly permutation: (Paired & { meanDifference: number; pValue: number })[];
  readonly largePermutation: Paired & { pValue: number };
  readonly holm: { pValues: number[]; adjusted: number[] }[];
  readonly mcnemar: { b: number; c: number; pValue: number }[];
  readonly bootstrap: {
    name: string;
    values: number[];
    interval: [number, number];
    standardError: number;
  }[];
  readonly stratified: {
    values: number[];
    strata: number[];
    interval: [number, number];
    standardError: number;
  };
  readonly crossed: {
    scores: number[][][];
    setOf: number[];
    strata: number[][];
    intervals: [number, number][];
    standardErrors: number[];
  };
}

const file = new URL('../../test/fixtures/statistics.json', import.meta.url);
const reference: Reference = JSON.parse(readFileSync(file, 'utf8'));

describe('normalQuantile', () => {
  it.each(reference.normal)('at $p', ({ p, z }) => {
    expect(Math.abs(normalQuantile(p) - z)).toBeLessThan(1e-14 * Math.max(1, Math.abs(z)));
  });
});

describe('wilsonInterval', () => {
  it.each(reference.wilson)('$successes of $total at $confidence', (c) => {
    const { low, high } = wilsonInterval(c.successes, c.total, c.confidence);
    expect(low).toBeCloseTo(c.interval[0], 12);
    expect(high).toBeCloseTo(c.interval[1], 12);
  });
});

describe('spearman', () => {
  it.each(reference.spearman)('of $a.length pairs', ({ a, b, rho }) => {
    expect(spearman(a, b)).toBeCloseTo(rho, 12);
  });

  it('gives equal values their mean rank', () => {
    expect([...ranks([10, 20, 10, 30, 20, 20])]).toEqual([1.5, 4, 1.5, 6, 4, 4]);
  });

  it('is not a number for a constant', () => {
    expect(spearman([1, 1, 1], [1, 2, 3])).toBeNaN();
  });
});

describe('pairedPermutationTest', () => {
  it.each(reference.permutation)('is exact for $a.length pairs', ({ a, b, ...expected }) => {
    const result = pairedPermutationTest(a, b, { rng: createRng(1) });
    expect(result.meanDifference).toBeCloseTo(expected.meanDifference, 12);
    expect(result.pValue).toBeCloseTo(expected.pValue, 12);
    expect(result.isExact).toBe(true);
  });

  it('is sampled for many pairs', () => {
    const { a, b, pValue } = reference.largePermutation;
    const result = pairedPermutationTest(a, b, { rng: createRng(1), resamples: 40_000 });
    expect(result.isExact).toBe(false);
    const deviation = Math.sqrt((pValue * (1 - pValue)) / 40_000);
    expect(Math.abs(result.pValue - pValue)).toBeLessThan(4 * deviation + 1e-3);
  });

  it('is 1 for equal scores', () => {
    expect(pairedPermutationTest([1, 0], [1, 0], { rng: createRng(1) }).pValue).toBe(1);
  });
});

describe('holm', () => {
  it.each(reference.holm)('adjusts $pValues', ({ pValues, adjusted }) => {
    holm(pValues).forEach((p, i) => {
      expect(p).toBeCloseTo(adjusted[i]!, 14);
    });
  });
});

describe('mcnemar', () => {
  it.each(reference.mcnemar)('$b against $c', ({ b, c, pValue }) => {
    expect(mcnemarExact(b, c) / pValue).toBeCloseTo(1, 9);
  });

  it('counts disagreements', () => {
    const first = [true, true, true, true, true, false];
    const second = [false, false, false, false, false, false];
    expect(mcnemarPaired(first, second)).toBe(mcnemarExact(5, 0));
  });
});

describe('bootstrapMean', () => {
  it.each(reference.bootstrap)('agrees with SciPy on a $name sample', (sample) => {
    const { low, high } = bootstrapMean(sample.values, { rng: createRng(1) });
    const tolerance = 0.1 * sample.standardError;
    expect(Math.abs(low - sample.interval[0])).toBeLessThan(tolerance);
    expect(Math.abs(high - sample.interval[1])).toBeLessThan(tolerance);
  });

  it('draws within strata as SciPy does from two samples', () => {
    const { values, strata, interval, standardError } = reference.stratified;
    const { low, high } = bootstrapMean(values, { rng: createRng(1), strata });
    expect(Math.abs(low - interval[0])).toBeLessThan(0.1 * standardError);
    expect(Math.abs(high - interval[1])).toBeLessThan(0.1 * standardError);
  });

  it('depends on the seed alone', () => {
    const values = reference.bootstrap[1]!.values;
    const draw = (seed: number) => bootstrapMean(values, { rng: createRng(seed), resamples: 500 });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it('keeps the sizes of strata: no spread between strata that are constant', () => {
    const strata = [0, 0, 0, 1, 1];
    const interval = bootstrapMean(strata, { rng: createRng(1), strata });
    expect(interval.low).toBeCloseTo(0.4, 12);
    expect(interval.high).toBeCloseTo(0.4, 12);
  });

  it('quantile interpolates as NumPy does', () => {
    expect(quantile([1, 2, 4, 8], 0.5)).toBe(3);
    expect(quantile([1, 2, 4, 8], 0.9)).toBeCloseTo(6.8, 12);
  });
});

describe('crossedBootstrap', () => {
  const { scores, setOf, strata } = reference.crossed;
  const options = () => ({ rng: createRng(1) });

  it('agrees with its definition in NumPy', () => {
    const contrasts = [
      [1, 0],
      [0, 1],
      [1, -1],
    ];
    const found = crossedBootstrap({ scores, setOf, strata }, contrasts, options());
    found.forEach((interval, i) => {
      const [low, high] = reference.crossed.intervals[i]!;
      const tolerance = 0.2 * reference.crossed.standardErrors[i]!; // means lie on a grid
      expect(Math.abs(interval!.low - low)).toBeLessThan(tolerance);
      expect(Math.abs(interval!.high - high)).toBeLessThan(tolerance);
    });
  });

  it('is the stratified bootstrap of examples for one repetition', () => {
    const { values, strata: golds, interval, standardError } = reference.stratified;
    const sample = { scores: [[values]], setOf: [0], strata: [golds] };
    const [found] = crossedBootstrap(sample, [[1]], options());
    expect(Math.abs(found!.low - interval[0])).toBeLessThan(0.1 * standardError);
    expect(Math.abs(found!.high - interval[1])).toBeLessThan(0.1 * standardError);
  });

  it('takes a difference over the repetitions that both have', () => {
    const half = [1, 1, 0, 0];
    const sample = {
      scores: [
        [half, half, null],
        [half, null, half],
      ],
      setOf: [0, 0, 0],
      strata: [[0, 0, 1, 1]],
    };
    const contrasts = [
      [1, 0],
      [1, -1],
    ];
    const constant = { low: 0, high: 0 };
    expect(crossedBootstrap(sample, contrasts, options())).toEqual([
      { low: 0.5, high: 0.5 },
      constant,
    ]);
    const none = {
      ...sample,
      scores: [
        [half, null, null],
        [null, half, half],
      ],
    };
    expect(crossedBootstrap(none, [[1, -1]], options())).toEqual([null]);
  });

  it('takes seeds on one split for no new draws of its data', () => {
    // All that differs is the split: 20 and 80 percent, on test sets of their own, three seeds each.
    const set = (hits: number) => Array.from({ length: 50 }, (_, e) => Number(e < hits));
    const seeds = [0, 0, 0, 1, 1, 1];
    const sample = {
      scores: [seeds.map((split) => set([10, 40][split]!))],
      setOf: seeds,
      strata: [set(25), set(25)],
    };
    const width = (clusterOf?: number[]) => {
      const [found] = crossedBootstrap({ ...sample, ...(clusterOf ? { clusterOf } : {}) }, [[1]], options()); // biome-ignore format: one call
      return found!.high - found!.low;
    };
    const [once] = crossedBootstrap(
      { ...sample, scores: [[set(10), set(40)]], setOf: [0, 1] },
      [[1]],
      options(),
    );
    expect(width(seeds)).toBeCloseTo(once!.high - once!.low, 1);
    expect(width()).toBeLessThan(0.9 * width(seeds));
  });
});
