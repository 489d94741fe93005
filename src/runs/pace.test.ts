import { expect, it } from 'vitest';
import {
  affordableEnd,
  affordableTest,
  minutesOfSearch,
  type Pace,
  secondsFor,
  secondsOfEnd,
} from './pace.ts';

const paceOf = (seconds: number): Pace => ({ seconds, prompts: 24, examples: 128 });
const whole = {
  ...{ semifinalists: 256, shortlistExamples: 64, shortlistSpeed: 2 },
  ...{ finalists: 24, testExamples: 606 },
};
const plan = { ...whole, minutes: 3 };

it('keeps the search whole on a machine that is fast enough', () => {
  expect(minutesOfSearch(paceOf(20), { ...plan, secondsLeft: 285 - 20 })).toBe(3);
});

it('shortens the search so that all of it ends in time', () => {
  const pace = paceOf(40);
  const secondsLeft = 285 - 40;
  const minutes = minutesOfSearch(pace, { ...plan, secondsLeft });
  expect(minutes).toBeLessThan(3);
  const end = secondsOfEnd(pace, { ...plan, semifinalists: 128 });
  expect(60 * minutes + end).toBeCloseTo(secondsLeft, 6);
});

it('counts the semifinalists, the finalists and the test into the end', () => {
  const pace = paceOf(28); // 128 · (4 + 24) units of work
  const seconds = secondsOfEnd(pace, whole);
  const work = (64 * (4 + 256)) / 2 + 128 * (4 + 24) + 606 * (4 + 3);
  expect(seconds).toBeCloseTo((1.15 * work) / 128, 6);
});

it('takes fewer semifinalists, then finalists, then test examples, where too little time is left', () => {
  const within = (seconds: number, secondsLeft: number) =>
    affordableEnd(paceOf(seconds), { ...whole, secondsLeft });
  expect(60 * minutesOfSearch(paceOf(120), { ...plan, secondsLeft: 180 })).toBe(15);
  expect(within(10, 230)).toEqual(whole);
  const slow = within(60, 230);
  expect(slow).toMatchObject({ finalists: 24, testExamples: 606 });
  expect(slow.semifinalists).toBeGreaterThan(24);
  expect(slow.semifinalists).toBeLessThan(256);
  expect(secondsOfEnd(paceOf(60), slow)).toBeLessThanOrEqual(230);
  const slower = within(100, 250);
  expect(slower.finalists).toBeLessThan(24);
  expect(slower.semifinalists).toBe(slower.finalists);
  expect(slower.testExamples).toBe(606);
  const slowest = within(200, 230);
  expect(slowest).toMatchObject({ semifinalists: 4, finalists: 4 });
  expect(slowest.testExamples).toBeLessThan(606);
  const least = { semifinalists: 4, finalists: 4, testExamples: 100 };
  expect(within(200, 0)).toMatchObject(least);
});

it('takes as many test examples as the pace of the finalists leaves time for, and all of a few', () => {
  const pace = paceOf(50);
  const testExamples = affordableTest(pace, { secondsLeft: 30, testExamples: 606 });
  expect(secondsFor(pace, 3, testExamples)).toBeLessThanOrEqual(30);
  expect(secondsFor(pace, 3, testExamples + 1)).toBeGreaterThan(30);
  expect(affordableTest(pace, { secondsLeft: 0, testExamples: 606 })).toBe(100);
  expect(affordableTest(pace, { secondsLeft: 0, testExamples: 40 })).toBe(40);
});
