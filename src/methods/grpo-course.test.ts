import { expect, it } from 'vitest';
import { groupRelative, leaveOneOut } from './advantages.ts';
import { type Judged, lessonsOf } from './grpo-course.ts';

const wrote = (ids: number[]): Judged => ({
  written: { text: ids.join(' '), ids, logProbs: ids.map(() => -1), finish: 'stop' },
  score: undefined,
});

it('makes one lesson of prompts that are the same, as often as they were written', () => {
  const judged = [wrote([1, 2]), wrote([3]), wrote([1, 2]), wrote([1]), wrote([1, 2])];
  const rewards = [4, 0, 4, 1, 4];
  for (const advantages of [groupRelative, leaveOneOut]) {
    const all = advantages(rewards);
    const lessons = lessonsOf({ reading: [9], judged, rewards }, advantages);
    expect(lessons.map(({ written }) => written.ids)).toEqual([[1, 2], [3], [1]]);
    expect(lessons.map(({ times }) => times)).toEqual([3, 1, 1]);
    expect(lessons.map(({ advantage }) => advantage)).toEqual([all[0], all[1], all[3]]);
    // What the whole group pulls at, the lessons pull at.
    const pull = lessons.reduce((sum, { advantage, times }) => sum + advantage * times, 0);
    expect(pull).toBeCloseTo(
      all.reduce((a, b) => a + b, 0),
      9,
    );
  }
});
