/**
 * A task: examples with gold in three splits, a template, and what says whether an answer is right:
 * label words, or a metric over free text. Plain data; `load-task.ts` and `load-text-task.ts` make it
 * from files, an environment asks a task LM about it.
 */
import type { Message } from '../providers/text-model.ts';
import type { TaskKindName } from './kinds/index.ts';
import type { MessageTemplate } from './message-template.ts';
import type { MetricConfig } from './metrics/index.ts';
import type { Template } from './template.ts';

export interface Example {
  /** First 16 hexadecimal digits of the SHA-256 of input and gold label: stable across files. */
  readonly id: string;
  readonly input: string;
  /** Index into `Task.classes`. */
  readonly label: number;
  /** What a policy may read before it writes; the task LM reads neither. */
  readonly question?: string;
  readonly conversation?: readonly Message[];
}

/** An example that is answered in text. */
export interface TextExample {
  /** First 16 hexadecimal digits of the SHA-256 of all that follows. */
  readonly id: string;
  readonly input: string;
  /** Answers that are right; at least one. */
  readonly golds: readonly string[];
  readonly question?: string;
  /** What was said before. */
  readonly conversation?: readonly Message[];
  /** Where the golds are label words: the class, so that samples keep the labels' proportions. */
  readonly label?: number;
}

export type AnyExample = Example | TextExample;

export interface TaskClass {
  /** The value in the gold column. */
  readonly gold: string;
  /** The label word as it is written after the template, without a leading space. */
  readonly word: string;
}

/** The test examples, which can be read only by saying so. */
export interface SealedSplit<E = Example> {
  readonly size: number;
  /** Number of times it was opened in this process. */
  readonly opened: number;
  open(): readonly E[];
  /** Shows each example to a check that may throw, and gives nothing out: counts as no opening. */
  check(inspect: (example: E) => void): void;
}

interface TaskBase<E> {
  readonly name: string;
  /** One or two sentences for the policy LM's context. */
  readonly description: string;
  readonly train: readonly E[];
  readonly validation: readonly E[];
  readonly test: SealedSplit<E>;
  /**
   * SHA-256 of each data file by its path as configured, and of each split's examples by
   * `split:train`, `split:validation`, `split:test`.
   */
  readonly hashes: Readonly<Record<string, string>>;
  /** What the data's owner should know: repeated texts, conflicting labels, unused words. */
  readonly warnings: readonly string[];
}

/** Answered by the likeliest of the label words. */
export interface Task extends TaskBase<Example> {
  readonly kind: 'classification';
  readonly classes: readonly TaskClass[];
  readonly template: Template;
}

/** Answered in text, which a metric judges. */
export interface TextTask extends TaskBase<TextExample> {
  readonly kind: 'text';
  readonly taskKind: TaskKindName;
  readonly template: MessageTemplate;
  /** As configured, or as the kind has it; where there are label words, they decide. */
  readonly metric?: MetricConfig;
  /** Label words that the answers are matched to. */
  readonly labelWords?: readonly string[];
  readonly maxAnswerTokens: number;
  /** Texts at which an answer ends. */
  readonly stop?: readonly string[];
  /** What people would write for it; the first is what comes to mind. */
  readonly humanPrompts: readonly string[];
}

export type AnyTask = Task | TextTask;
