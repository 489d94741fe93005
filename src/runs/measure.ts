/** Scores on a split, with intervals: what every report is made of. */
import type { PromptScore } from '../environment/index.ts';
import { WhetstoneError } from '../errors.ts';
import { bootstrapMean, wilsonInterval } from '../statistics/index.ts';
import type { ComposedReward } from '../tasks/index.ts';
import { createRng } from '../util/rng.ts';
import type { RewardMeans, SplitScore } from './events.ts';

/**
 * Accuracy with its 95% Wilson interval; of answers in text the mean of their scores with its 95%
 * bootstrap interval.
 */
export function splitScore(score: Measured): SplitScore {
  const { accuracy, predicted, text } = score;
  const reward = rewardMeans(score);
  const composed = reward ? { reward } : {};
  if (!text) {
    const total = predicted.length;
    const { low, high } = wilsonInterval(Math.round(accuracy * total), total);
    return { score: accuracy, interval: [low, high], examples: total, ...composed };
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
    ...composed,
  };
}

/** An answer from this score on is right, where right and wrong are told apart. */
export const RIGHT = 0.5;

/** What composed rewards are made of, over the examples that have one. */
export function rewardMeans({ parts, text }: Measured): RewardMeans | undefined {
  if (parts === undefined || parts.length === 0) return undefined;
  const mean = (of: (part: ComposedReward) => number) =>
    parts.reduce((sum, part) => sum + of(part), 0) / parts.length;
  const isPriced = parts.some(({ lengthCost }) => lengthCost > 0);
  const hasFormat = parts.some(({ isWellFormed }) => isWellFormed !== undefined);
  return {
    mean: mean(({ reward }) => reward),
    correctness: mean(({ correctness }) => correctness),
    ...(hasFormat ? { format: mean(({ format }) => format) } : {}),
    ...(isPriced ? { lengthCost: mean(({ lengthCost }) => lengthCost) } : {}),
    ...(hasFormat && text ? { outcomes: outcomesOf(parts, text.scores) } : {}),
  };
}

/** A wrong format is another matter than a wrong answer. */
function outcomesOf(parts: readonly ComposedReward[], scores: readonly number[]) {
  const count = (isRight: boolean, isWellFormed: boolean) =>
    parts.filter((part, i) => scores[i]! >= RIGHT === isRight && part.isWellFormed === isWellFormed)
      .length;
  return {
    right: count(true, true),
    wrongAnswer: count(false, true),
    wrongFormat: count(true, false),
    bothWrong: count(false, false),
  };
}

type Measured = Pick<PromptScore, 'accuracy' | 'predicted'> &
  Partial<Pick<PromptScore, 'text' | 'parts'>>;
