/**
 * What a method can find: a text that is pasted into the template, or a tensor that only an open
 * model can use. Texts go through the pool and are scored together; a tensor scores itself.
 */
import type { PromptScore } from '../environment/index.ts';
import type { Example } from '../tasks/task.ts';

export interface TextSolution {
  readonly kind: 'text';
  readonly text: string;
  /** The template that it stands in, where that is not the task's own. */
  readonly template?: string | undefined;
}

export interface TensorSolution {
  readonly kind: 'soft-prompt' | 'weights';
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
