import { expect, it } from 'vitest';
import { labelIn } from './label-answers.ts';

const words = ['good', 'not good', 'neutral'];

it.each([
  ['Good.', 'good'],
  ['  "NEUTRAL"!', 'neutral'],
  ['The label is neutral, I think.', 'neutral'],
  ['It is not good at all', 'not good'],
  ['goodness me', undefined],
  ['good or neutral', undefined],
  ['', undefined],
])('%j names %j', (text, word) => {
  expect(labelIn(text, words)).toBe(word);
});
