/** A composed reward of answers in text: its metrics are asked, and what the task's own said is kept. */
import type { Answer, Metric } from '../metrics/metric.ts';
import {
  type ComposedReward,
  type ComposedRewardOptions,
  charactersOf,
  composeReward,
} from './composed.ts';

/** An answer that the task's own metric has judged. */
export interface RewardedAnswer extends Answer {
  /** By the task's own metric. */
  readonly score: number;
  /** The reward that this is without a composition: the score, or a finer grade of label words. */
  readonly own: number;
  readonly prompt: string;
  /** Of the output, as its model counts them. */
  readonly tokens: number;
}

export interface AnswerReward {
  /** In the order of the answers; null where a part could not be judged. */
  of(
    answers: readonly RewardedAnswer[],
    signal?: AbortSignal,
  ): Promise<readonly (ComposedReward | null)[]>;
  /** Why a metric gave no score, where that is known. */
  lastFailure(): string | undefined;
}

export interface AnswerRewardParts {
  readonly options: ComposedRewardOptions;
  /** The task's own: what it said already is not asked again. */
  readonly own: Metric;
  /** In the order of `options.metrics`. */
  readonly metrics: readonly Metric[];
  readonly format?: Metric | undefined;
  /** Tokens of a prompt, where these have a price. */
  readonly promptTokens?: ((prompt: string) => number) | undefined;
}

/** @throws by `of`: what the metrics throw */
export function answerReward(parts: AnswerRewardParts): AnswerReward {
  const { options, own, metrics, format } = parts;
  const all = [...metrics, ...(format ? [format] : [])];
  return {
    lastFailure: () => all.map((metric) => metric.lastFailure?.()).find((reason) => reason),
    async of(answers, signal) {
      // Two parts may be one metric, and a judge is paid for each answer.
      const known = new Map<Metric, readonly (number | null)[]>();
      known.set(
        own,
        answers.map(({ score }) => score),
      );
      for (const metric of all) {
        if (!known.has(metric)) known.set(metric, await metric.score(answers, signal));
      }
      return answers.map((answer, i) => {
        const of = (metric: Metric) => finiteOr(known.get(metric)![i]);
        const scores = options.metrics ? metrics.map(of) : [answer.own];
        const length = lengthOf(answer, parts);
        return composeReward({ scores, format: format && of(format), length }, options);
      });
    },
  };
}

function finiteOr(score: number | null | undefined): number | null {
  return score !== null && score !== undefined && Number.isFinite(score) ? score : null;
}

function lengthOf(
  { prompt, output, tokens }: RewardedAnswer,
  { options: { length }, promptTokens }: AnswerRewardParts,
): number | undefined {
  if (!length) return undefined;
  if (length.unit === 'characters') return charactersOf(length.of === 'prompt' ? prompt : output);
  return length.of === 'prompt' ? promptTokens?.(prompt) : tokens;
}
