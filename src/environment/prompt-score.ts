/** A prompt's scores on examples, and how they are made of class scores. */
import type { RewardFunction } from '../tasks/rewards/index.ts';
import type { Example } from '../tasks/task.ts';
import type { Fluency } from './charge.ts';

export interface PromptScore {
  /** Mean reward, less what the prompt's fluency costs where that has a price. */
  readonly reward: number;
  readonly accuracy: number;
  /** Indices of the examples asked for. */
  readonly examples: readonly number[];
  /** The task's reward of each of them. */
  readonly rewards: readonly number[];
  /** Predicted class of each example, in the order asked for. */
  readonly predicted: readonly number[];
  /** Class scores [examples, C]: logits, or log-probabilities for words of several tokens. */
  readonly scores: Float32Array;
  /** Where fluency has a price: it, and the mean reward without it. */
  readonly fluency?: Fluency & { readonly taskReward: number };
}

/** Sums up class scores [all examples, C] over the examples with the indices `wanted`. */
export function scoreOf(
  scores: Float32Array,
  examples: readonly Example[],
  { reward, wanted = examples.keys() }: { reward: RewardFunction; wanted?: Iterable<number> },
): PromptScore {
  const indices = [...wanted];
  const C = scores.length / examples.length;
  const out = new Float32Array(indices.length * C);
  const predicted: number[] = [];
  const rewards: number[] = [];
  let hits = 0;
  indices.forEach((e, i) => {
    const row = scores.subarray(e * C, (e + 1) * C);
    out.set(row, i * C);
    const gold = examples[e]!.label;
    const best = row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    predicted.push(best);
    rewards.push(reward(row, gold));
    if (best === gold) hits++;
  });
  return {
    reward: rewards.reduce((a, b) => a + b, 0) / indices.length,
    accuracy: hits / indices.length,
    examples: indices,
    rewards,
    predicted,
    scores: out,
  };
}
