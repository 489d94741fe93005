/** Exact match: the same characters, but for white space at the ends, which LMs put there. */
import { bestOf, eachAnswer, metric } from './metric.ts';

export const exact = metric({
  name: 'exact',
  summary: 'The output is a gold answer, character by character.',
  options: {},
  open: () =>
    eachAnswer('exact', (answer) =>
      bestOf(answer, (output, gold) => (output.trim() === gold.trim() ? 1 : 0)),
    ),
});
