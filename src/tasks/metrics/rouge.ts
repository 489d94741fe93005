/**
 * ROUGE-L: the longest sequence of words that stands in output and gold in the same order.
 *
 *   R = LCS / words of the gold, P = LCS / words of the output, F = 2PR / (P + R)
 *
 * Source: Lin 2004, as in the package rouge-score 0.1.2 without its stemmer: words are runs of a-z and
 * 0-9 in lower case, so other scripts have none; of several golds the one with the best F counts.
 */
import { z } from 'zod';
import { commonLength } from './alignment.ts';
import { eachAnswer, metric, refuseGolds } from './metric.ts';
import { f1Of } from './words.ts';

interface Overlap {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export const rougeL = metric({
  name: 'rouge-l',
  summary: 'Longest common sequence of words, for summaries in the Latin alphabet.',
  options: {
    measure: z
      .enum(['f1', 'precision', 'recall'])
      .default('f1')
      .describe(
        'recall: how much of the gold is said; precision: how much of what is said is gold',
      ),
  },
  open: ({ measure }) =>
    eachAnswer(
      'rouge-l',
      ({ output, golds }) => {
        const words = rougeWords(output);
        let best: Overlap | undefined;
        for (const gold of golds) {
          const overlap = overlapOf(words, rougeWords(gold));
          if (!best || overlap.f1 > best.f1) best = overlap;
        }
        return best?.[measure] ?? 0;
      },
      {
        check: (golds, place) =>
          refuseGolds(golds, place, {
            name: 'rouge-l',
            isFit: (gold) => rougeWords(gold).length > 0,
            wants: 'Latin letters or digits in every gold answer',
            mend: 'correct it or take metric chrf, which reads every script',
          }),
      },
    ),
});

function rougeWords(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}

function overlapOf(output: readonly string[], gold: readonly string[]): Overlap {
  if (output.length === 0 || gold.length === 0) return { precision: 0, recall: 0, f1: 0 };
  const shared = commonLength(gold, output);
  const [precision, recall] = [shared / output.length, shared / gold.length];
  return { precision, recall, f1: f1Of(precision, recall) };
}
