import { describe, expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { classify, fitLogistic } from './logistic.ts';

const rng = createRng('logistic');

describe('fitLogistic', () => {
  it('finds the odds of a single feature in closed form', () => {
    // x = 0: 1 of 4 is class 1; x = 1: 3 of 4. Without a penalty logit(p) = ±ln 3.
    const features = Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1);
    const labels = [0, 0, 0, 1, 0, 1, 1, 1];
    const fitted = fitLogistic(features, labels, { classes: 2, penalty: 0 });
    const [at0a, at0b, at1a, at1b] = classify(fitted, Float32Array.of(0, 1));
    expect(at0b! - at0a!).toBeCloseTo(-Math.log(3), 3);
    expect(at1b! - at1a!).toBeCloseTo(Math.log(3), 3);
  });

  it('tells three classes apart whatever the scale and place of the features', () => {
    const centres = [
      [0, 0],
      [300, 0],
      [0, 300],
    ];
    const labels = Array.from({ length: 90 }, (_, i) => i % 3);
    const features = Float32Array.from(
      labels.flatMap((c) => centres[c]!.map((x) => 1e4 + x + 20 * rng.normal())),
    );
    const logits = classify(fitLogistic(features, labels, { classes: 3 }), features);
    labels.forEach((label, n) => {
      const row = [...logits.subarray(3 * n, 3 * n + 3)];
      expect(row.indexOf(Math.max(...row))).toBe(label);
    });
  });

  it('stays finite where classes can be told apart without error, and shrinks with the penalty', () => {
    const features = Float32Array.of(-1, -1, 1, 1);
    const length = (penalty: number) =>
      Math.hypot(...fitLogistic(features, [0, 0, 1, 1], { classes: 2, penalty }).weights);
    expect(length(0.1)).toBeLessThan(length(0.001));
    expect(Number.isFinite(length(0))).toBe(true);
  });
});
