import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { kthLargest, sampleAction } from './sampling.ts';

describe('kthLargest', () => {
  it('finds what sorting finds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 60 }),
        fc.nat(),
        (list, n) => {
          const values = Float32Array.from(list);
          const k = (n % values.length) + 1;
          expect(kthLargest(values, k)).toBe(values.slice().sort()[values.length - k]);
        },
      ),
    );
  });
});

describe('sampleAction', () => {
  it('never leaves the top k', () => {
    const rng = createRng(1);
    for (let i = 0; i < 200; i++) {
      const { action } = sampleAction(
        Float32Array.of(1, 5, 2, 4),
        { temperature: 9, topK: 2 },
        rng,
      );
      expect([1, 3]).toContain(action);
    }
  });

  it('reports the log-probability under which it drew', () => {
    const logits = Float32Array.of(1, 5, 2, 4);
    const { action, sampledLogProb } = sampleAction(
      logits,
      { temperature: 2, topK: 2 },
      createRng(3),
    );
    const mass = Math.exp(5 / 2) + Math.exp(4 / 2);
    expect(sampledLogProb).toBeCloseTo(logits[action]! / 2 - Math.log(mass), 6);
  });

  it('draws in proportion, and reports log-probability and entropy of the whole distribution', () => {
    const rng = createRng(2);
    const logits = Float32Array.of(Math.log(0.7), Math.log(0.2), Math.log(0.1));
    const counts = [0, 0, 0];
    for (let i = 0; i < 4000; i++) {
      const { action, logProb, entropy } = sampleAction(logits, { temperature: 1, topK: 0 }, rng);
      counts[action]!++;
      expect(logProb).toBeCloseTo(Math.log([0.7, 0.2, 0.1][action]!), 5);
      expect(entropy).toBeCloseTo(0.8018, 3);
    }
    expect(counts[0]! / 4000).toBeCloseTo(0.7, 1);
  });
});
