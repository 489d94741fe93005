import { expect, it } from 'vitest';
import { affordableEnd, minutesOfSearch, type Pace, secondsFor } from './pace.ts';

const paceOf = (seconds: number): Pace => ({ seconds, prompts: 24, examples: 128 });
const plan = { minutes: 3, finalists: 24, testExamples: 606 };

it('keeps the search whole on a machine that is fast enough', () => {
  expect(minutesOfSearch(paceOf(10), { ...plan, secondsLeft: 280 })).toBe(3);
});

it('shortens the search so that all of it ends in time', () => {
  const pace = paceOf(50);
  const secondsLeft = 300 - 50;
  const minutes = minutesOfSearch(pace, { ...plan, secondsLeft });
  const end = secondsFor(pace, 24, 128) + secondsFor(pace, 3, 606);
  expect(minutes).toBeLessThan(3);
  expect(60 * minutes + end).toBeCloseTo(secondsLeft, 6);
});

it('takes fewer finalists, then fewer test examples, on a machine too slow for a whole end', () => {
  const whole = { finalists: 24, testExamples: 606 };
  expect(60 * minutesOfSearch(paceOf(120), { ...plan, secondsLeft: 180 })).toBe(15);
  expect(affordableEnd(paceOf(10), { ...whole, secondsLeft: 230 })).toEqual(whole);
  const slow = affordableEnd(paceOf(120), { ...whole, secondsLeft: 230 });
  expect(slow.finalists).toBeLessThan(24);
  expect(slow.testExamples).toBe(606);
  const slower = affordableEnd(paceOf(200), { ...whole, secondsLeft: 230 });
  expect(slower.finalists).toBe(4);
  expect(slower.testExamples).toBeLessThan(606);
  expect(affordableEnd(paceOf(200), { ...whole, secondsLeft: 0 })).toEqual({
    finalists: 4,
    testExamples: 100,
  });
});
