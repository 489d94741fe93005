/** Scores of a prompt's variants on the same examples, and what they say when compared. */
import type { Environment, PromptScore } from '../../environment/index.ts';
import { bootstrapMean } from '../../statistics/index.ts';
import type { Example } from '../../tasks/index.ts';
import type { Rng } from '../../util/rng.ts';
import type { OrderSensitivity, Spread } from './result.ts';

/** Prompts scored between two looks at the clock and at Ctrl-C. */
const TOGETHER = 16;

/** Scores by text; each is computed once. The examples' keys and values serve all of them. */
export async function scoreAll(
  environment: Environment,
  texts: readonly string[],
  {
    onDone,
    signal,
  }: { onDone(done: number, total: number): void; signal?: AbortSignal | undefined },
): Promise<Map<string, PromptScore>> {
  const unique = [...new Set(texts)];
  const scores = new Map<string, PromptScore>();
  for (let i = 0; i < unique.length; i += TOGETHER) {
    signal?.throwIfAborted();
    onDone(i, unique.length);
    const part = unique.slice(i, i + TOGETHER);
    const found = await environment.evaluate(part);
    part.forEach((text, n) => {
      scores.set(text, found[n]!);
    });
  }
  return scores;
}

/** Mean reward of the task alone: fluency has its own lines here. */
export function taskReward({ rewards }: PromptScore): number {
  return rewards.reduce((a, b) => a + b, 0) / rewards.length;
}

/** Accuracy of `a` less that of `b`, with the 95% bootstrap interval of the paired differences. */
export function difference(
  a: PromptScore,
  b: PromptScore,
  { examples, rng }: { examples: readonly Example[]; rng: Rng },
): { difference: number; interval: [low: number, high: number] } {
  const isRight = (score: PromptScore, e: number) =>
    score.predicted[e] === examples[e]!.label ? 1 : 0;
  const differences = examples.map((_, e) => isRight(a, e) - isRight(b, e));
  const { low, high } = bootstrapMean(differences, { rng, resamples: 2000 });
  return { difference: a.accuracy - b.accuracy, interval: [low, high] };
}

/** Scores of the same tokens in other orders; null where there are none. */
export function orderOf(scores: readonly PromptScore[]): OrderSensitivity | null {
  if (scores.length === 0) return null;
  return {
    permutations: scores.length,
    accuracy: spread(scores.map(({ accuracy }) => accuracy)),
    reward: spread(scores.map(taskReward)),
  };
}

function spread(values: readonly number[]): Spread {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, min: Math.min(...values), max: Math.max(...values) };
}
