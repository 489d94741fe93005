import { expect, it } from 'vitest';
import { affordableFinalists, minutesOfSearch, type Pace, secondsFor } from './pace.ts';

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

it('takes fewer finalists on a machine too slow for a whole end, and never none', () => {
  const slow = paceOf(120);
  expect(60 * minutesOfSearch(slow, { ...plan, secondsLeft: 180 })).toBe(15);
  const count = affordableFinalists(slow, { ...plan, secondsLeft: 230 });
  expect(count).toBeGreaterThanOrEqual(4);
  expect(count).toBeLessThan(24);
  expect(affordableFinalists(slow, { ...plan, secondsLeft: 0 })).toBe(4);
  expect(affordableFinalists(paceOf(10), { ...plan, secondsLeft: 230 })).toBe(24);
});
