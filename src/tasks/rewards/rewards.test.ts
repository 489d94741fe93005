import { describe, expect, it } from 'vitest';
import { rewardNames, rewards } from './index.ts';

/** Logits whose softmax is [0.7, 0.2, 0.1]. */
const logits = Float32Array.from([0.7, 0.2, 0.1].map((p) => Math.log(p) + 3));

describe('rewards', () => {
  it('piecewise is 200 times a positive gap and 180 times a negative one', () => {
    expect(rewards.piecewise(logits, 0)).toBeCloseTo(200 * 0.5, 4);
    expect(rewards.piecewise(logits, 1)).toBeCloseTo(180 * -0.5, 4);
    expect(rewards.piecewise(logits, 2)).toBeCloseTo(180 * -0.6, 4);
  });

  it('gap is the difference to the best other label', () => {
    expect(rewards.gap(logits, 0)).toBeCloseTo(0.5, 6);
    expect(rewards.gap(logits, 2)).toBeCloseTo(-0.6, 6);
  });

  it('log-prob is the natural log of the gold probability', () => {
    expect(rewards['log-prob'](logits, 1)).toBeCloseTo(Math.log(0.2), 6);
  });

  it('accuracy is 1 for the highest logit alone', () => {
    expect([0, 1, 2].map((gold) => rewards.accuracy(logits, gold))).toEqual([1, 0, 0]);
  });

  it.each(rewardNames)('%s does not overflow at large logits', (name) => {
    expect(rewards[name](Float32Array.of(3e4, -3e4), 0)).toBeGreaterThanOrEqual(0);
    expect(Number.isFinite(rewards[name](Float32Array.of(3e4, -3e4), 1))).toBe(true);
  });
});
