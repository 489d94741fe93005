/**
 * How little must be changed to turn the output into the gold answer.
 *
 *   1 − Levenshtein distance / length of the longer, 1 for two empty texts
 *
 * Source: Levenshtein 1966. No Unicode normalisation: é as one code point and as two differ.
 */
import { z } from 'zod';
import { editDistance } from './alignment.ts';
import { bestOf, eachAnswer, metric } from './metric.ts';
import { splitWords } from './words.ts';

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });

const unitsOf = {
  'code-point': (text: string) => Array.from(text),
  grapheme: (text: string) => Array.from(GRAPHEMES.segment(text), ({ segment }) => segment),
  word: splitWords,
};

export const editSimilarity = metric({
  name: 'edit-similarity',
  summary: 'One minus the edit distance to the gold answer over the longer length.',
  options: {
    unit: z
      .enum(['code-point', 'grapheme', 'word'])
      .default('code-point')
      .describe('What is inserted, deleted or replaced; a grapheme is what a reader sees as one'),
  },
  open: ({ unit }) =>
    eachAnswer('edit-similarity', (answer) =>
      bestOf(answer, (output, gold) => similarity(unitsOf[unit](output), unitsOf[unit](gold))),
    ),
});

function similarity(a: readonly string[], b: readonly string[]): number {
  const longer = Math.max(a.length, b.length);
  return longer === 0 ? 1 : 1 - editDistance(a, b) / longer;
}
