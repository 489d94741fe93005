import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { metricOf } from '../metrics/index.ts';
import { composedRewardSchema, composeReward } from './composed.ts';

const two = { metrics: [{ metric: 'chrf', weight: 3 }, { metric: 'exact' }] };
const parse = (more: object = {}) => composedRewardSchema.parse({ ...two, ...more });
const format = { metric: { name: 'regex', pattern: '^Answer: ' }, weight: 0.5 };

describe('a composed reward', () => {
  it('is the weighted mean, plus the format, less the length', () => {
    const options = parse({
      format,
      length: { of: 'answer', limit: 10, cost: 0.01 },
      clip: [-2, 2],
    });
    expect(composeReward({ scores: [0.8, 0], format: 1, length: 40 }, options)).toEqual({
      reward: expect.closeTo(0.6 + 0.5 - 0.3, 12),
      correctness: expect.closeTo(0.6, 12),
      format: 0.5,
      lengthCost: expect.closeTo(0.3, 12),
      isWellFormed: true,
    });
    expect(composeReward({ scores: [0, 0], format: 0, length: 10 }, options)!.reward).toBe(0);
  });

  it('is clipped', () => {
    const options = parse({ format, length: { of: 'answer', cost: 1 }, clip: [-1, 1] });
    expect(composeReward({ scores: [1, 1], format: 1, length: 0 }, options)!.reward).toBe(1);
    expect(composeReward({ scores: [1, 1], format: 1, length: 9 }, options)!.reward).toBe(-1);
  });

  it('is null where a part is, never zero', () => {
    expect(composeReward({ scores: [1, null] }, parse())).toBeNull();
    expect(composeReward({ scores: [1, 1], format: null }, parse({ format }))).toBeNull();
    expect(composeReward({ scores: [1, 1], format: null }, parse())!.reward).toBe(1);
  });

  it('rises with every score and never with the length', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const options = parse({ length: { of: 'prompt', limit: 5, cost: 0.1 } });
    fc.assert(
      fc.property(share, share, share, fc.nat(30), (a, b, c, length) => {
        const rewardOf = (scores: number[], n: number) =>
          composeReward({ scores, length: n }, options)!.reward;
        expect(rewardOf([Math.max(a, c), b], length)).toBeGreaterThanOrEqual(
          rewardOf([a, b], length),
        );
        expect(rewardOf([a, b], length + 1)).toBeLessThanOrEqual(rewardOf([a, b], length));
      }),
    );
  });

  it('takes its parts from metrics that can be opened', async () => {
    const options = parse({ format });
    const answers = [{ output: 'Answer: yes', golds: ['Answer: yes'], input: '' }];
    const opened = await Promise.all(options.metrics!.map(({ metric }) => metricOf(metric)));
    const scores = await Promise.all(opened.map((metric) => metric.score(answers)));
    const [formed] = await (await metricOf(options.format!.metric)).score(answers);
    const judged = { scores: scores.map(([score]) => score!), format: formed! };
    expect(composeReward(judged, options)!.reward).toBe(1.5);
  });

  it('refuses bounds in the wrong order, and no metric', () => {
    expect(composedRewardSchema.safeParse({ ...two, clip: [1, 0] }).success).toBe(false);
    expect(composedRewardSchema.safeParse({ metrics: [] }).success).toBe(false);
  });

  it('is the own score with its format and length where no metric is named', () => {
    const options = composedRewardSchema.parse({ format, length: { of: 'prompt', cost: 0.1 } });
    expect(composeReward({ scores: [0.5], format: 0, length: 2 }, options)).toEqual({
      reward: expect.closeTo(0.3, 12),
      correctness: 0.5,
      format: 0,
      lengthCost: expect.closeTo(0.2, 12),
      isWellFormed: false,
    });
  });
});
