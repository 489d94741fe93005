/**
 * chrF: F-score over character n-grams of order 1 to 6, without white space; chrF++ with words of
 * order 1 and 2 as well. P and R are means over the orders that both texts have.
 *
 *   chrF = (1 + β²) · P · R / (β² · P + R),  β = 2: recall counts twice as much
 *
 * Source: Popović 2015 and 2017, as in sacreBLEU 2 (no smoothing). Of several golds the best counts;
 * the score of a set is that of the sums of all counts.
 */
import { z } from 'zod';
import { type Answer, eachAnswer, metric, refuseGolds } from './metric.ts';
import { countItems, ngrams, sharedCount, splitWords, totalCount } from './words.ts';

const CHARACTER_ORDER = 6;

/** Of one order: n-grams of the output, of the gold, of both. */
interface Match {
  readonly output: number;
  readonly gold: number;
  readonly both: number;
}

type Counts = ReadonlyMap<string, number>;

export const chrf = metric({
  name: 'chrf',
  summary: 'F-score over character n-grams, for translations and other texts in every script.',
  options: {
    beta: z.number().positive().max(100).default(2).describe('Weight of recall over precision'),
    wordOrder: z.int().min(0).max(4).default(0).describe('Longest word n-grams; 2 is chrF++'),
  },
  open({ beta, wordOrder }) {
    const score = (matches: readonly Match[]) => fScore(matches, beta);
    const best = ({ output, golds }: Answer): readonly Match[] => {
      const counts = countsOf(output, wordOrder);
      const all = golds.map((gold) => matchesOf(counts, countsOf(gold, wordOrder)));
      return all.reduce((best, next) => (score(next) > score(best) ? next : best));
    };
    return eachAnswer('chrf', (answer) => score(best(answer)), {
      corpus: (answers) => score(answers.map(best).reduce(add, [])),
      check: (golds, place) =>
        refuseGolds(golds, place, {
          name: 'chrf',
          isFit: (gold) => splitWords(gold).length > 0,
          wants: 'gold answers that are not empty',
          mend: 'fill it in or take metric normalised',
        }),
    });
  },
});

/** Counts of n-grams, by order: characters, then words. */
function countsOf(text: string, wordOrder: number): Counts[] {
  const spaced = splitWords(text);
  const characters = Array.from(spaced.join(''));
  const words = wordOrder > 0 ? spaced.flatMap(apart) : [];
  return [
    ...Array.from({ length: CHARACTER_ORDER }, (_, n) => ngrams(characters, n + 1, '')),
    ...Array.from({ length: wordOrder }, (_, n) => ngrams(words, n + 1, ' ')),
  ].map(countItems);
}

/** A word and the punctuation mark at its end or, failing that, at its start. */
function apart(word: string): string[] {
  const points = Array.from(word);
  if (points.length === 1) return [word];
  const isMark = (point: string) => /[!-/:-@[-`{-~]/.test(point);
  if (isMark(points.at(-1)!)) return [points.slice(0, -1).join(''), points.at(-1)!];
  if (isMark(points[0]!)) return [points[0]!, points.slice(1).join('')];
  return [word];
}

function matchesOf(output: readonly Counts[], gold: readonly Counts[]): Match[] {
  return output.map((counts, i) => ({
    output: gold[i]!.size > 0 ? totalCount(counts) : 0,
    gold: totalCount(gold[i]!),
    both: sharedCount(counts, gold[i]!),
  }));
}

function add(a: readonly Match[], b: readonly Match[]): readonly Match[] {
  return b.map((match, i) => ({
    output: match.output + (a[i]?.output ?? 0),
    gold: match.gold + (a[i]?.gold ?? 0),
    both: match.both + (a[i]?.both ?? 0),
  }));
}

function fScore(matches: readonly Match[], beta: number): number {
  const usable = matches.filter(({ output, gold }) => output > 0 && gold > 0);
  if (usable.length === 0) return 0;
  const mean = (of: (match: Match) => number) =>
    usable.reduce((sum, match) => sum + of(match), 0) / usable.length;
  const precision = mean(({ output, both }) => both / output);
  const recall = mean(({ gold, both }) => both / gold);
  if (precision + recall === 0) return 0;
  return ((1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall);
}
