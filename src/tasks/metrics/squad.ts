/**
 * SQuAD's two metrics of short answers: match after normalisation, and F1 over the words that output
 * and gold share.
 *
 *   precision = shared / words of the output, recall = shared / words of the gold, F1 = 2PR / (P + R)
 *
 * Source: the evaluation script of SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822). Where one side
 * has no words, F1 is 1 if the other has none, else 0. Its way with unanswerable questions is left
 * out: an empty gold answer is one like others.
 */
import { bestOf, eachAnswer, metric } from './metric.ts';
import { countItems, f1Of, sharedCount, splitWords } from './words.ts';

const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** Python's `\b` knows letters and digits of every script. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** Words of a text in lower case, without ASCII punctuation and English articles. */
export function squadWords(text: string): string[] {
  return splitWords(text.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' '));
}

export const normalised = metric({
  name: 'normalised',
  summary: 'The output is a gold answer but for case, punctuation, articles and white space.',
  options: {},
  open: () =>
    eachAnswer('normalised', (answer) =>
      bestOf(answer, (output, gold) =>
        squadWords(output).join(' ') === squadWords(gold).join(' ') ? 1 : 0,
      ),
    ),
});

export const tokenF1 = metric({
  name: 'token-f1',
  summary: 'F1 over the words that output and gold answer share, normalised as in SQuAD.',
  options: {},
  open: () =>
    eachAnswer('token-f1', (answer) =>
      bestOf(answer, (output, gold) => wordF1(squadWords(output), squadWords(gold))),
    ),
});

function wordF1(output: readonly string[], gold: readonly string[]): number {
  if (output.length === 0 || gold.length === 0) return output.length === gold.length ? 1 : 0;
  const shared = sharedCount(countItems(output), countItems(gold));
  return f1Of(shared / output.length, shared / gold.length);
}
