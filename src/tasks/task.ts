/**
 * A task: labelled examples in three splits, a template, label words. Plain data; `load-task.ts`
 * makes it from files, `template.ts` renders it, the environment asks a task LM about it.
 */
import type { Template } from './template.ts';

export interface Example {
  /** First 16 hexadecimal digits of the SHA-256 of input and gold label: stable across files. */
  readonly id: string;
  readonly input: string;
  /** Index into `Task.classes`. */
  readonly label: number;
}

export interface TaskClass {
  /** The value in the gold column. */
  readonly gold: string;
  /** The label word as it is written after the template, without a leading space. */
  readonly word: string;
}

/** The test examples, which can be read only by saying so. */
export interface SealedSplit {
  readonly size: number;
  /** Number of times it was opened in this process. */
  readonly opened: number;
  open(): readonly Example[];
  /** Shows each example to a check that may throw, and gives nothing out: counts as no opening. */
  check(inspect: (example: Example) => void): void;
}

export interface Task {
  readonly kind: 'classification';
  readonly name: string;
  /** One or two sentences for the policy LM's context. */
  readonly description: string;
  readonly classes: readonly TaskClass[];
  readonly template: Template;
  readonly train: readonly Example[];
  readonly validation: readonly Example[];
  readonly test: SealedSplit;
  /**
   * SHA-256 of each data file by its path as configured, and of each split's examples by
   * `split:train`, `split:validation`, `split:test`.
   */
  readonly hashes: Readonly<Record<string, string>>;
  /** What the data's owner should know: repeated texts, conflicting labels, unused words. */
  readonly warnings: readonly string[];
}
