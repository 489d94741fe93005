/**
 * BLEU: geometric mean of the precisions of word n-grams of order 1 to 4, times a penalty for
 * outputs shorter than the gold.
 *
 *   BLEU = min(1, e^(1 − r/c)) · exp(Σ_n ln p_n / 4),  c, r: words of output and of the closest gold
 *
 * Source: Papineni et al. 2002, as in sacreBLEU 2: tokens of mteval-v13a, an order without a match
 * counts half of the one before (smoothing `exp`). One answer alone is scored over the orders that
 * it has (`effective_order`), a set over all four.
 */
import { z } from 'zod';
import { type Answer, eachAnswer, metric, refuseGolds } from './metric.ts';
import { countItems, ngrams, splitWords, trimEnd } from './words.ts';

const ORDER = 4;

interface Statistics {
  readonly outputLength: number;
  readonly goldLength: number;
  /** n-grams of the output that stand in a gold, by order. */
  readonly correct: readonly number[];
  /** n-grams of the output, by order. */
  readonly total: readonly number[];
}

const tokenizers = { '13a': tokens13a, characters: (text: string) => splitWords(spread(text)) };

export const bleu = metric({
  name: 'bleu',
  summary: 'Precision of word n-grams with a brevity penalty, for translations; best over a set.',
  options: {
    tokens: z
      .enum(['13a', 'characters'])
      .default('13a')
      .describe('Words as in WMT, or characters for scripts without spaces'),
  },
  open({ tokens }) {
    const tokenize = tokenizers[tokens];
    const statistics = (answer: Answer) => statisticsOf(answer, tokenize);
    return eachAnswer('bleu', (answer) => bleuOf(statistics(answer), true), {
      corpus: (answers) => bleuOf(sumOf(answers.map(statistics)), false),
      check: (golds, place) =>
        refuseGolds(golds, place, {
          name: 'bleu',
          isFit: (gold) => tokenize(gold).length > 0,
          wants: 'gold answers that are not empty',
          mend: 'fill it in or take metric normalised',
        }),
    });
  },
});

/** Words and marks; a full stop or comma within a number stays in it. */
function tokens13a(text: string): string[] {
  const plain = trimEnd(text)
    .replaceAll('<skipped>', '')
    .replaceAll('-\n', '')
    .replaceAll('\n', ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>');
  const spaced = ` ${plain} `
    .replace(/([{-~[-` -&(-+:-@/])/g, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/g, '$1 $2 ');
  return splitWords(spaced);
}

function spread(text: string): string {
  return Array.from(trimEnd(text)).join(' ');
}

function statisticsOf({ output, golds }: Answer, tokenize: (text: string) => string[]): Statistics {
  const words = tokenize(output);
  const references = golds.map(tokenize);
  const correct: number[] = [];
  const total: number[] = [];
  for (let n = 1; n <= ORDER; n++) {
    const bags = references.map((reference) => countItems(ngrams(reference, n, ' ')));
    let matched = 0;
    for (const [ngram, count] of countItems(ngrams(words, n, ' '))) {
      matched += Math.min(count, Math.max(...bags.map((bag) => bag.get(ngram) ?? 0)));
    }
    correct.push(matched);
    total.push(Math.max(0, words.length - n + 1));
  }
  const lengths = references.map(({ length }) => length);
  return { outputLength: words.length, goldLength: closest(lengths, words.length), correct, total };
}

/** The length nearest to `wanted`, the shorter of two equally near. */
function closest(lengths: readonly number[], wanted: number): number {
  const off = (length: number) => Math.abs(length - wanted);
  return lengths.reduce((best, next) =>
    off(next) < off(best) || (off(next) === off(best) && next < best) ? next : best,
  );
}

function sumOf(all: readonly Statistics[]): Statistics {
  const sum = (of: (each: Statistics) => number) => all.reduce((s, each) => s + of(each), 0);
  const orders = Array.from({ length: ORDER }, (_, n) => n);
  return {
    outputLength: sum((each) => each.outputLength),
    goldLength: sum((each) => each.goldLength),
    correct: orders.map((n) => sum((each) => each.correct[n]!)),
    total: orders.map((n) => sum((each) => each.total[n]!)),
  };
}

function bleuOf(statistics: Statistics, effectiveOrder: boolean): number {
  const { outputLength, goldLength, correct, total } = statistics;
  if (correct.every((count) => count === 0)) return 0;
  const orders = total.filter((count) => count > 0).length;
  if (orders < ORDER && !effectiveOrder) return 0;
  let halving = 1;
  let logSum = 0;
  for (let n = 0; n < orders; n++) {
    if (correct[n] === 0) halving *= 2;
    logSum += Math.log((correct[n] === 0 ? 1 / halving : correct[n]!) / total[n]!);
  }
  const brevity = outputLength < goldLength ? Math.exp(1 - goldLength / outputLength) : 1;
  return Math.min(1, brevity * Math.exp(logSum / orders));
}
