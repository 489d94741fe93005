/** Scores on a split, with intervals: what every report is made of. */
import type { PromptScore } from '../environment/index.ts';
import { WhetstoneError } from '../errors.ts';
import { bootstrapMean, wilsonInterval } from '../statistics/index.ts';
import { createRng } from '../util/rng.ts';
import type { SplitScore } from './events.ts';

/**
 * Accuracy with its 95% Wilson interval; of answers in text the mean of their scores with its 95%
 * bootstrap interval.
 */
export function splitScore(score: Measured): SplitScore {
  const { accuracy, predicted, text } = score;
  if (!text) {
    const total = predicted.length;
    const { low, high } = wilsonInterval(Math.round(accuracy * total), total);
    return { score: accuracy, interval: [low, high], examples: total };
  }
  if (text.scores.length === 0) {
    throw new WhetstoneError(`none of ${text.failed} examples got an answer that could be judged`);
  }
  const { low, high } = bootstrapMean(text.scores, { rng: createRng('interval') });
  return {
    score: accuracy,
    interval: [low, high],
    examples: text.scores.length,
    ...(text.failed > 0 ? { failed: text.failed } : {}),
    ...(text.corpus === undefined ? {} : { corpus: text.corpus }),
  };
}

type Measured = Pick<PromptScore, 'accuracy' | 'predicted'> & Partial<Pick<PromptScore, 'text'>>;
