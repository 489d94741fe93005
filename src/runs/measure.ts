/** Scores on a split, with intervals: what every report is made of. */
import type { PromptScore } from '../environment/index.ts';
import { wilsonInterval } from '../statistics/index.ts';
import type { SplitScore } from './events.ts';

/** Accuracy with its 95% Wilson interval. */
export function splitScore({
  accuracy,
  predicted,
}: Pick<PromptScore, 'accuracy' | 'predicted'>): SplitScore {
  const total = predicted.length;
  const { low, high } = wilsonInterval(Math.round(accuracy * total), total);
  return { score: accuracy, interval: [low, high], examples: total };
}
