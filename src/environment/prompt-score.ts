/** A prompt's scores on examples, and how they are made of class scores or of answers in text. */
import type { ComposedReward } from '../tasks/rewards/composed.ts';
import type { RewardFunction } from '../tasks/rewards/index.ts';
import type { AnyExample, Example } from '../tasks/task.ts';
import type { Fluency } from './charge.ts';

export interface PromptScore {
  /** Mean reward, less what the prompt's fluency costs where that has a price. */
  readonly reward: number;
  /** Share of right answers; of answers in text, their mean score by the task's metric. */
  readonly accuracy: number;
  /** Indices of the examples asked for; those that got no answer in text are left out. */
  readonly examples: readonly number[];
  /** The task's reward of each of them. */
  readonly rewards: readonly number[];
  /** Where rewards are composed: what each of them is made of. */
  readonly parts?: readonly ComposedReward[];
  /** Predicted class of each example, in the order asked for; empty for answers in text. */
  readonly predicted: readonly number[];
  /** Class scores [examples, C]: logits, or log-probabilities for words of several tokens. */
  readonly scores: Float32Array;
  /** Where the task LM answered in text. */
  readonly text?: TextAnswers;
  /** Where fluency has a price: it, and the mean reward without it. */
  readonly fluency?: Fluency & { readonly taskReward: number };
}

export interface TextAnswers {
  /** What the task LM wrote, example by example. */
  readonly outputs: readonly string[];
  /** What the metric says of each; the rewards may be graded more finely. */
  readonly scores: readonly number[];
  /** Examples that have no score, since no answer came or it could not be judged. */
  readonly failed: number;
  /** The metric's score of the whole set, where it is not the mean (BLEU, chrF). */
  readonly corpus?: number;
}

/** Each answer's own score: 1 or 0 for a label, the metric's for a text. */
export function answerScores(
  { text, predicted, examples }: PromptScore,
  of: readonly AnyExample[],
): readonly number[] {
  if (text) return text.scores;
  return predicted.map((label, i) => (label === of[examples[i]!]!.label ? 1 : 0));
}

/** Sums up class scores [examples, C]. */
export function scoreOf(
  scores: Float32Array,
  examples: readonly Example[],
  {
    reward,
    compose,
  }: {
    reward: RewardFunction;
    /** What becomes of an example's reward. @default it stays as it is */
    compose?: ((own: number) => ComposedReward) | undefined;
  },
): PromptScore {
  const C = scores.length / examples.length;
  const predicted: number[] = [];
  const rewards: number[] = [];
  const parts: ComposedReward[] = [];
  let hits = 0;
  examples.forEach(({ label: gold }, e) => {
    const row = scores.subarray(e * C, (e + 1) * C);
    const best = row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    predicted.push(best);
    const own = reward(row, gold);
    const composed = compose?.(own);
    rewards.push(composed?.reward ?? own);
    if (composed) parts.push(composed);
    if (best === gold) hits++;
  });
  return {
    reward: rewards.reduce((a, b) => a + b, 0) / examples.length,
    accuracy: hits / examples.length,
    examples: [...examples.keys()],
    rewards,
    ...(compose ? { parts } : {}),
    predicted,
    scores: scores.slice(),
  };
}

/** A score, and which of all examples its own were. */
export interface ScorePart {
  readonly score: PromptScore;
  readonly places: readonly number[];
}

/** One score of all examples from those of different prompts on parts of them. */
export function joined(parts: readonly ScorePart[]): PromptScore {
  const rows = parts
    .flatMap(({ score, places }) => score.examples.map((own, i) => ({ e: places[own]!, score, i })))
    .sort((a, b) => a.e - b.e);
  const rewards = rows.map(({ score, i }) => score.rewards[i]!);
  const isText = parts.some(({ score }) => score.text !== undefined);
  const hits = isText ? rows.map(({ score, i }) => score.text!.scores[i]!) : undefined;
  const predicted = isText ? [] : rows.map(({ score, i }) => score.predicted[i]!);
  const isComposed = parts.some(({ score }) => score.parts !== undefined);
  const right = parts.reduce((sum, { score }) => sum + score.accuracy * score.examples.length, 0);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    reward: mean(rewards),
    accuracy: hits ? mean(hits) : Math.round(right) / rows.length,
    examples: rows.map(({ e }) => e),
    rewards,
    ...(isComposed ? { parts: rows.map(({ score, i }) => score.parts![i]!) } : {}),
    predicted,
    scores: Float32Array.from(
      rows.flatMap(({ score, i }) => {
        const C = score.scores.length / score.examples.length;
        return [...score.scores.subarray(i * C, (i + 1) * C)];
      }),
    ),
    ...(hits
      ? {
          text: {
            outputs: rows.map(({ score, i }) => score.text!.outputs[i]!),
            scores: hits,
            failed: parts.reduce((sum, { score }) => sum + score.text!.failed, 0),
          },
        }
      : {}),
  };
}

/** The same score over those of its examples alone that `counts` says yes to. */
export function restrict(
  score: PromptScore,
  examples: readonly AnyExample[],
  counts: (example: AnyExample) => boolean,
): PromptScore {
  const kept = score.examples.flatMap((e, i) => (counts(examples[e]!) ? [i] : []));
  const C = score.scores.length / Math.max(1, score.examples.length);
  const take = <T>(values: readonly T[]) => kept.map((i) => values[i]!);
  const mean = (values: readonly number[]) =>
    values.reduce((a, b) => a + b, 0) / Math.max(1, kept.length);
  const rewards = take(score.rewards);
  const { text } = score;
  return {
    reward: mean(rewards),
    accuracy: mean(take(answerScores(score, examples))),
    examples: take(score.examples),
    rewards,
    ...(score.parts ? { parts: take(score.parts) } : {}),
    predicted: text ? [] : take(score.predicted),
    scores: Float32Array.from(kept.flatMap((i) => [...score.scores.subarray(i * C, (i + 1) * C)])),
    ...(text
      ? { text: { outputs: take(text.outputs), scores: take(text.scores), failed: text.failed } }
      : {}),
  };
}
