/**
 * A reward composed of parts.
 *
 *   correctness = Σ wᵢ sᵢ / Σ wᵢ
 *   reward = clip(correctness + w_format · format − cost · max(0, length − limit))
 *
 * Format stands apart, so that a well-formed wrong answer and an ill-formed right one can be told from
 * each other in the log. What any part cannot judge is null as a whole: a guess would be a lie about
 * that example. Judging itself, and counting lengths, is the caller's. What a prompt's fluency costs is
 * taken off after clipping (`environment/charge.ts`), whatever the reward is made of.
 */
import { z } from 'zod';
import { assert } from '../../errors.ts';
import { type MetricConfig, metricSchema } from '../metrics/index.ts';
import { rewardNames } from './index.ts';

export const composedRewardSchema = z.strictObject({
  labels: z
    .enum(rewardNames)
    .optional()
    .describe("Correctness by the label words' scores; piecewise when left out"),
  metrics: z
    .array(
      z.strictObject({
        metric: metricSchema,
        weight: z.number().positive().default(1).describe('Share of it, relative to the others'),
      }),
    )
    .min(1)
    .optional()
    .describe("Correctness as the weighted mean of these; the task's own metric when left out"),
  format: z
    .strictObject({
      metric: metricSchema,
      weight: z
        .number()
        .min(0)
        .default(0.2)
        .describe('Added for a well-formed answer; 0: the format is told and earns nothing'),
    })
    .optional()
    .describe('A check of the form alone, as regex with a pattern, or json with measure: object'),
  length: z
    .strictObject({
      of: z.enum(['prompt', 'answer']).describe('Whose length it is'),
      limit: z.int().min(0).default(0).describe('Length that costs nothing'),
      cost: z.number().positive().describe('Taken off for each unit above the limit'),
      unit: z.enum(['characters', 'tokens']).default('tokens').describe('What is counted'),
    })
    .optional()
    .describe('Price of long texts'),
  clip: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low < high, 'expected the lower bound first')
    .optional()
    .describe("Bounds of an example's reward, as [-1, 1]; none when left out"),
});

export type ComposedRewardOptions = z.output<typeof composedRewardSchema>;

/** What was found out about one answer. */
export interface Judged {
  /** In the order of `metrics`; where none are named, the task's own score alone. */
  readonly scores: readonly (number | null)[];
  /** The format's score, where one is asked for. */
  readonly format?: number | null | undefined;
  /** In the unit of `length`, where that has a price. */
  readonly length?: number | undefined;
}

/** A reward with its parts, which add up to it but for clipping. */
export interface ComposedReward {
  readonly reward: number;
  readonly correctness: number;
  /** What the format added. */
  readonly format: number;
  readonly lengthCost: number;
  /** Where a format is asked for: whether its score is 1. */
  readonly isWellFormed?: boolean;
}

/** The reward of one answer; null where a part of it could not be judged. */
export function composeReward(
  { scores, format = null, length }: Judged,
  options: ComposedRewardOptions,
): ComposedReward | null {
  const weights = options.metrics?.map(({ weight }) => weight) ?? [1];
  assert(scores.length === weights.length, `${weights.length} metrics, ${scores.length} scores`);
  assert(!options.length || length !== undefined, 'a price of length without a length');
  if (scores.includes(null) || (options.format && format === null)) return null;
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const correctness = scores.reduce<number>((sum, s, i) => sum + weights[i]! * s!, 0) / whole;
  const formatPart = options.format ? options.format.weight * format! : 0;
  const lengthCost = options.length
    ? options.length.cost * Math.max(0, length! - options.length.limit)
    : 0;
  return {
    reward: clipped(correctness + formatPart - lengthCost, options),
    correctness,
    format: formatPart,
    lengthCost,
    ...(options.format ? { isWellFormed: format === 1 } : {}),
  };
}

/** A value within the bounds, where there are such. */
export function clipped(value: number, { clip }: Pick<ComposedRewardOptions, 'clip'>): number {
  return clip ? Math.min(clip[1], Math.max(clip[0], value)) : value;
}

/** Characters of a text as people count them, rather than as it is stored. */
export function charactersOf(text: string): number {
  return [...text].length;
}

/** All metrics that a composition names. */
export function metricsOf({ metrics = [], format }: ComposedRewardOptions): MetricConfig[] {
  return [...metrics.map(({ metric }) => metric), ...(format ? [format.metric] : [])];
}
