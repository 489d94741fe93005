/**
 * What a method that works on words may count on: prompts go in, rewards come out, on all examples or
 * on some blocks of them. `Environment` scores label words by a language model's logits;
 * `TextEnvironment` asks a model for answers in text.
 */
import type { AnyExample, AnyTask } from '../tasks/task.ts';
import type { Prompt } from './layout.ts';
import type { PromptScore } from './prompt-score.ts';

/** What was asked of one example, what came and what should have come. */
export interface AnsweredExample {
  readonly input: string;
  /** The label word that is preferred, or the answer in text. */
  readonly answer: string;
  readonly gold: string;
  readonly reward: number;
}

export interface PromptScorer {
  readonly task: AnyTask;
  readonly examples: readonly AnyExample[];
  /** Task-LM example evaluations so far: answers that are known already cost none. */
  readonly evaluations: number;
  /** Number of blocks that `step` can be limited to. */
  readonly blockCount: number;
  /** Indices of a block's examples. */
  examplesOf(block: number): readonly number[];
  /** Rewards of prompts, over all examples or over some blocks of them (a minibatch). */
  step(
    prompts: readonly Prompt[],
    options?: { blocks?: readonly number[] },
  ): Promise<PromptScore[]>;
  /** Scores of texts on all examples, as they are reported. */
  evaluate(texts: readonly string[], onProgress?: (share: number) => void): Promise<PromptScore[]>;
  /** What stands at one place of a score. */
  answered(score: PromptScore, at: number): AnsweredExample;
  /**
   * Checks that the prompts leave room for the longest example of any split.
   * @throws ConfigError where that can be known and one does not
   */
  checkRoom(texts: readonly string[]): void;
  /** Takes as known what a recorder holds of the search that goes on here; it has been counted. */
  knowRecorded?(): void;
  close(): Promise<void>;
}
