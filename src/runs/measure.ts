/** Scores of texts on a split, with intervals: what every report is made of. */
import type { Environment, PromptScore } from '../environment/index.ts';
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

/** One text measured afresh. */
export async function measure(environment: Environment, text: string): Promise<PromptScore> {
  const [score] = await environment.evaluate([text]);
  return score!;
}
