/**
 * What a method can find: a text that is pasted into the template, a tensor that only an open model
 * can use, or a policy that writes a text for each context. Texts go through the pool and are scored
 * together; what is no text scores itself.
 */
import type { PromptScore } from '../environment/index.ts';
import type { Example } from '../tasks/task.ts';

/** Where a text stands, and what it may not be judged by. */
export interface Placement {
  /** The template that it stands in, where that is not the task's own. */
  readonly template?: string | undefined;
  /** Ids of train examples that do not count for it, since it may show them with their answers. */
  readonly leftOut?: readonly string[] | undefined;
}

export interface TextSolution extends Placement {
  readonly kind: 'text';
  readonly text: string;
}

export interface TensorSolution {
  readonly kind: 'soft-prompt' | 'weights' | 'policy';
  /** One line for reports: "5 virtual tokens after the input". */
  readonly summary: string;
  /** Scores examples afresh in float32. */
  evaluate(examples: readonly Example[]): Promise<PromptScore>;
  /** Writes it into a folder; returns the files. */
  save(folder: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

export type Solution = TextSolution | TensorSolution;
export type SolutionKind = Solution['kind'];

/** How reports name a solution. */
export function titleOf(solution: Solution): string {
  return solution.kind === 'text' ? solution.text : solution.summary;
}
