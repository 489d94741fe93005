/** What a run works with, whichever way the task LM answers: opened from a configuration. */
import type { PromptScorer, Recorder } from '../environment/index.ts';
import type { LmKind } from '../methods/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Precision } from '../models/prepared-weights.ts';
import type {
  LedgerLine,
  Outcomes,
  Paid,
  ResponseCache,
  Role,
  TextModel,
  Totals,
} from '../providers/index.ts';
import type { AnyExample, AnyTask } from '../tasks/index.ts';
import type { OnProgress } from '../util/progress.ts';
import type { LoadedConfig } from './config.ts';
import type { ModelReference } from './model-reference.ts';

export interface EnvironmentWith {
  /** Nothing is kept for a second pass. */
  readonly once?: boolean;
  /** @default the task's own */
  readonly template?: string | undefined;
  /** @default 8 */
  readonly examplesPerPass?: number | undefined;
  /** Indices of examples that are asked for together, where the task LM is open. */
  readonly together?: readonly (readonly number[])[] | undefined;
  /** Told how many questions are about to be sent, where the task LM is asked in text; may throw. */
  readonly reserve?: ((questions: number) => void) | undefined;
  /** Ends the work. @default the bench's own */
  readonly signal?: AbortSignal | undefined;
}

/** Opens a model that answers in text; a library's user may bring one of their own. */
export type OpenText = (reference: ModelReference, role: Role) => Promise<TextModel>;

export interface OpenOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** @default local models and the providers that Whetstone knows */
  readonly openText?: OpenText | undefined;
  /** Keeps what models and environments answer. @default nothing is kept */
  readonly journal?: (Recorder & Outcomes) | undefined;
  /** Answers of APIs. @default in memory, as long as the bench is open */
  readonly cache?: ResponseCache | undefined;
}

/** How much a choice among prompts may look at. */
export interface ChoiceLimits {
  /** Evaluations that a choice may take without a race. */
  readonly evaluations: number;
  /** Train examples that finalists are scored on. */
  readonly trainExamples: number;
  /** Texts that are scored again. */
  readonly finalists: number;
}

/** Where computing is cheap, and where every answer takes a second or a cent. */
export const choiceLimits = {
  logits: { evaluations: 32_768, trainExamples: 1024, finalists: 16 },
  text: { evaluations: 2048, trainExamples: 256, finalists: 6 },
} as const satisfies Record<string, ChoiceLimits>;

export interface Bench {
  readonly task: AnyTask;
  readonly taskLm: { readonly name: string; readonly key: string };
  /** How the task LM is read. */
  readonly lmKind: LmKind;
  /** Paths in the configuration are relative to this folder. */
  readonly folder: string;
  readonly choice: ChoiceLimits;
  /** False when nothing can be computed any more. */
  readonly isAlive: boolean;
  /** Of the metric, where answers are text. */
  readonly metricName?: string;
  /** What models that answer in text took so far, all roles together; zeros where none was asked. */
  readonly ledger: LedgerLine;
  /** Calls of the task LM among them; absent where it prefers label words here. */
  readonly taskCalls?: number;
  /** What counts against the caps, where there are such. */
  readonly spent?: Totals;
  /** Counts against the caps what an earlier process spent under them, where there are such. */
  spentBefore?(part: Totals): void;
  /** Counts against them what this run has paid in earlier processes, some of which is entered as it is recalled. */
  paidBefore?(part: Totals): void;
  /** Enters what a question took that this process need not ask again. */
  payAgain?(role: Role, paid: Paid): void;
  /** Puts a part of the budget aside until the returned function is called, where there is such a budget. */
  putAside?(part: Totals): () => void;
  /** Makes what a precision needs and every later run finds made. */
  prepare?(precision: Precision): Promise<void>;
  /** Forgets what was answered, so that the next search is its own. */
  forget?(): void;
  environment(
    examples: readonly AnyExample[],
    precision: Precision,
    options?: EnvironmentWith,
  ): PromptScorer;
  /** Ids of a prompt in its place; none where the task LM keeps them to itself. */
  tokensOf(text: string, template?: string): readonly number[];
  /** The policy LM as one that answers in text. */
  writer(): Promise<TextModel>;
  /** The policy LM with its weights; absent where it is behind an API. */
  readonly policyLm?: (() => Promise<LanguageModel>) | undefined;
  /** One for other data with the same models; closing either closes both. */
  with(data: LoadedConfig['config']['task']): Promise<Bench>;
  /** Frees what one precision needed. */
  unload(precision: Precision): Promise<void>;
  close(): Promise<void>;
}
