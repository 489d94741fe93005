/** What a prompt costs beside the task, whichever examples it is scored on: its fluency, so far. */
import type { PromptScore } from './prompt-score.ts';

/** How likely a prompt's text is, and what that takes off its reward. */
export interface Fluency {
  /** exp of the mean negative log-probability of its tokens. */
  readonly perplexity: number;
  readonly penalty: number;
  /** Too unlikely to be put forward at all. */
  readonly isOverLimit: boolean;
}

/** Prices of texts, in their order. */
export type Charge = (texts: readonly string[]) => Promise<readonly Fluency[]>;

/** The score with its reward lowered; what single examples gave stays as it was. */
export function charged(score: PromptScore, fluency: Fluency): PromptScore {
  return {
    ...score,
    reward: score.reward - fluency.penalty,
    fluency: { ...fluency, taskReward: score.reward },
  };
}
