/**
 * The rewards of one example, from the logits of the label words. A prompt's reward is the mean over
 * examples. A new one is a file beside this one and a line here.
 */
import { accuracy } from './accuracy.ts';
import { gap } from './gap.ts';
import { logProb } from './log-prob.ts';
import { piecewise } from './piecewise.ts';

/** Higher is better; `logits` are the label words' [C], `gold` is the index of the gold label. */
export type RewardFunction = (logits: Float32Array, gold: number) => number;

export const rewards = {
  piecewise,
  gap,
  'log-prob': logProb,
  accuracy,
} as const satisfies Record<string, RewardFunction>;

export type RewardName = keyof typeof rewards;

export const rewardNames = Object.keys(rewards) as [RewardName, ...RewardName[]];
