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

/** The same score over those of its examples alone that `counts` says yes to. */
export function restrict(
  score: PromptScore,
  examples: readonly Example[],
  counts: (example: Example) => boolean,
): PromptScore {
  const kept = score.examples.flatMap((e, i) => (counts(examples[e]!) ? [i] : []));
  const C = score.scores.length / score.examples.length;
  const take = <T>(values: readonly T[]) => kept.map((i) => values[i]!);
  const hits = kept.filter((i) => score.predicted[i] === examples[score.examples[i]!]!.label);
  const rewards = take(score.rewards);
  return {
    reward: rewards.reduce((a, b) => a + b, 0) / Math.max(1, kept.length),
    accuracy: hits.length / Math.max(1, kept.length),
    examples: take(score.examples),
    rewards,
    predicted: take(score.predicted),
    scores: Float32Array.from(kept.flatMap((i) => [...score.scores.subarray(i * C, (i + 1) * C)])),
  };
}
