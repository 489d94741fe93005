/**
 * The reward of an answer in free text, composed from metrics.
 *
 *   correctness = Σ wᵢ sᵢ / Σ wᵢ
 *   reward = clip(correctness + w_format · format − cost · max(0, length − limit))
 *
 * Format stands apart, so that a well-formed wrong answer and an ill-formed right one can be told from
 * each other in the log. What any part cannot judge is null as a whole: a guess would be a lie about
 * that example. Judging itself, and counting lengths, is the caller's.
 */
import { z } from 'zod';
import { assert } from '../../errors.ts';
import { metricSchema } from '../metrics/index.ts';

export const composedRewardSchema = z.strictObject({
  metrics: z
    .array(
      z.strictObject({
        metric: metricSchema,
        weight: z.number().positive().default(1).describe('Share of it, relative to the others'),
      }),
    )
    .min(1)
    .describe('What correctness is the weighted mean of'),
  format: z
    .strictObject({
      metric: metricSchema,
      weight: z.number().min(0).default(0.2).describe('Added for a well-formed answer'),
    })
    .optional()
    .describe('A check of the form alone, as regex with a pattern'),
  length: z
    .strictObject({
      limit: z.int().min(0).describe('Length that costs nothing'),
      cost: z.number().min(0).describe('Taken off for each unit above the limit'),
      unit: z.enum(['characters', 'tokens']).default('tokens').describe('What is counted'),
    })
    .optional()
    .describe('Price of long texts'),
  clip: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low < high, 'expected the lower bound first')
    .default([-1, 1])
    .describe('Bounds of the reward'),
});

export type ComposedRewardOptions = z.output<typeof composedRewardSchema>;

/** What was found out about one answer. */
export interface Judged {
  /** In the order of `metrics`. */
  readonly scores: readonly (number | null)[];
  /** The format's score, where one is asked for. */
  readonly format?: number | null;
  /** In the unit of `length`, where a limit is set. */
  readonly length?: number;
}

/** A reward with its parts, which add up to it but for clipping. */
export interface ComposedReward {
  readonly reward: number;
  readonly correctness: number;
  readonly format: number;
  readonly lengthCost: number;
}

/** The reward of one answer; null where a part of it could not be judged. */
export function composeReward(
  { scores, format = null, length }: Judged,
  options: ComposedRewardOptions,
): ComposedReward | null {
  const weights = options.metrics.map(({ weight }) => weight);
  assert(scores.length === weights.length, `${weights.length} metrics, ${scores.length} scores`);
  assert(!options.length || length !== undefined, 'a limit of length without a length');
  if (scores.includes(null) || (options.format && format === null)) return null;
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const correctness = scores.reduce<number>((sum, s, i) => sum + weights[i]! * s!, 0) / whole;
  const formatPart = options.format ? options.format.weight * format! : 0;
  const lengthCost = options.length
    ? options.length.cost * Math.max(0, length! - options.length.limit)
    : 0;
  const [low, high] = options.clip;
  const reward = Math.min(high, Math.max(low, correctness + formatPart - lengthCost));
  return { reward, correctness, format: formatPart, lengthCost };
}
