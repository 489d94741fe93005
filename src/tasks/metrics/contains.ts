/** The output contains a gold answer somewhere: for answers in the middle of a sentence. */
import { z } from 'zod';
import { bestOf, eachAnswer, metric, refuseGolds } from './metric.ts';

const WORD_CHARACTER = /[\p{L}\p{N}\p{M}_]/u;

export const contains = metric({
  name: 'contains',
  summary: 'The output contains a gold answer.',
  options: {
    ignoreCase: z.boolean().default(true).describe('Whether A and a are the same'),
    wholeWords: z
      .boolean()
      .default(false)
      .describe('Whether letters and digits may not touch it; not for scripts without spaces'),
  },
  open({ ignoreCase, wholeWords }) {
    const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text);
    return eachAnswer(
      'contains',
      (answer) =>
        bestOf(answer, (output, gold) =>
          holds(fold(output), fold(gold.trim()), wholeWords) ? 1 : 0,
        ),
      {
        check: (golds, place) =>
          refuseGolds(golds, place, {
            name: 'contains',
            isFit: (gold) => gold.trim() !== '',
            wants: 'gold answers that are not empty, which every output contains',
            mend: 'fill it in or take metric exact',
          }),
      },
    );
  },
});

function holds(text: string, part: string, wholeWords: boolean): boolean {
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) {
    if (!wholeWords || isFree(text, at, at + part.length)) return true;
  }
  return false;
}

/** Whether neither end of [start, end) lies within a word. */
function isFree(text: string, start: number, end: number): boolean {
  return isBoundary(text, start) && isBoundary(text, end);
}

function isBoundary(text: string, at: number): boolean {
  const before = [...text.slice(Math.max(0, at - 2), at)].at(-1) ?? '';
  const after = [...text.slice(at, at + 2)][0] ?? '';
  return !(WORD_CHARACTER.test(before) && WORD_CHARACTER.test(after));
}
