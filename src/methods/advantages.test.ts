import { expect, it } from 'vitest';
import { groupRelative, isFlat, leaveOneOut, lessMean } from './advantages.ts';

// By hand: mean 3, deviations −2, −1, 3, their mean square 14/3.
const rewards = [1, 2, 6];

it('divides by the deviation of the group', () => {
  const deviation = Math.sqrt(14 / 3) + 1e-4;
  const wanted = [-2, -1, 3].map((x) => x / deviation);
  groupRelative(rewards).forEach((a, i) => void expect(a).toBeCloseTo(wanted[i]!, 12));
});

it('takes off the mean alone', () => {
  expect(lessMean(rewards)).toEqual([-2, -1, 3]);
});

it('takes off the mean of the others', () => {
  // 1 − (2 + 6) / 2, 2 − (1 + 6) / 2, 6 − (1 + 2) / 2
  leaveOneOut(rewards).forEach((a, i) => void expect(a).toBeCloseTo([-3, -1.5, 4.5][i]!, 12));
});

it('gives nothing to a group that is all alike', () => {
  for (const of of [groupRelative, lessMean, leaveOneOut]) {
    expect(of([0.1, 0.1, 0.1])).toEqual([0, 0, 0]);
    expect(of([0.7])).toEqual([0]);
  }
  expect(isFlat([0.1, 0.1])).toBe(true);
  expect(isFlat([0.1, 0.2])).toBe(false);
});
