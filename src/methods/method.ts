/**
 * What a method is: options, and a loop that yields one report a step. It asks the environment for
 * rewards, puts what it tried into the pool, and stops when the budget says so. Choosing among
 * finalists, testing and recording belong to the run, and are the same for every method.
 */
import type { z } from 'zod';
import type { Environment, Prompt, PromptScore, PromptScorer } from '../environment/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { ContextPart, Policy, PolicyOptions } from '../policy/index.ts';
import type { TextModel } from '../providers/text-model.ts';
import type { RewardFunction } from '../tasks/rewards/index.ts';
import type { AnyExample, AnyTask, Example, Task } from '../tasks/task.ts';
import type { OnProgress } from '../util/progress.ts';
import type { Rng } from '../util/rng.ts';
import type { Budget } from './budget.ts';
import type { CandidatePool } from './candidate-pool.ts';
import type { SolutionKind, TensorSolution } from './solution.ts';

export interface OtherEnvironment<E = Example> {
  /** @default the train split */
  readonly examples?: readonly E[];
  /** Examples of one block. @default 8 */
  readonly examplesPerPass?: number;
  /** Indices of examples that are asked for together: a block holds such alone, where the task LM is open. */
  readonly together?: readonly (readonly number[])[];
}

/** What every method may count on, however the task LM answers: prompts are texts. */
export interface PromptContext {
  readonly task: AnyTask;
  /** Rewards on the train split. */
  readonly environment: PromptScorer;
  /** The train examples, or some of them, under another template; what it computes counts too. */
  environmentWith(template: string, options?: OtherEnvironment<AnyExample>): PromptScorer;
  /** Examples for stopping early and for choosing among settings; the test split stays sealed. */
  readonly validation: readonly AnyExample[];
  /** The policy LM as one that answers in text; opened when it is first needed. */
  writer?(): Promise<TextModel>;
  readonly rng: Rng;
  /** Relative paths among the options start here. @default the working directory */
  readonly folder?: string;
  readonly budget: Budget;
  /** Texts that were tried: the run chooses among the best of them. */
  readonly pool: CandidatePool;
  /** Says what the user should know; the run goes on. */
  warn(message: string): void;
  /** Told of long work that comes before the first step or between two. */
  readonly onProgress?: OnProgress | undefined;
  /** Aborted: end after the work in hand. */
  readonly signal: AbortSignal | undefined;
  /**
   * The `state` of an earlier report of this very search, once its process was left: to be called when
   * all is set up that a search sets up, with what was drawn for it. From then on generator, pool and
   * budget are those of that moment. Undefined where the search begins.
   */
  restore?(): unknown;
}

/** What a method may count on that trains the LM which writes: its weights are open, the task LM is any. */
export interface WriterContext extends PromptContext {
  /** Hands in a solution that is no text; the run chooses among these too. */
  propose(solution: TensorSolution): void;
  /** The LM that writes prompts, for methods that train it by themselves. */
  policyLm(): Promise<LanguageModel>;
  /** Scores examples as they are reported, in float32; what it computes is not counted. */
  scorer(examples: readonly AnyExample[]): PromptScorer;
  /** What a policy that writes in words reads. */
  readonly reads: readonly ContextPart[];
  /** Keeps files beside the result, such as a policy's weights; `save` gets a folder, returns the files. */
  keep?(save: (folder: string) => Promise<readonly string[]>): Promise<void>;
}

/** What a policy that writes prompts needs to be scored. */
export type WriterHost = Pick<WriterContext, 'policyLm' | 'scorer'>;

/** What a method may count on where the task LM is open: token ids, logits, gradients. */
export interface MethodContext extends WriterContext {
  readonly task: Task;
  readonly environment: Environment;
  environmentWith(template: string, options?: OtherEnvironment): Environment;
  readonly validation: readonly Example[];
  readonly taskLm: LanguageModel;
  readonly reward: RewardFunction;
  /** A fresh policy over the task LM's vocabulary, reading the task's description. */
  createPolicy(options: Omit<PolicyOptions, 'rng'>): Promise<Policy>;
}

/** True where the task LM is open; else words are all that there is. */
export function isOpen(context: PromptContext): context is MethodContext {
  return context.task.kind === 'classification' && 'taskLm' in context;
}

/** A language model whose logits can be read, by how it reads; or one that answers in text alone. */
export type LmKind = 'causal' | 'masked' | 'text';

/** What a method that works on words declares as its `needs.taskLm`. */
export const anyTaskLm: readonly LmKind[] = ['causal', 'masked', 'text'];

/** What a method serves that declares nothing: it may ask for token ids, logits or gradients. */
export const openTaskLms: readonly LmKind[] = ['causal', 'masked'];

/** What a tensor needs to be scored. */
export type SolutionContext = WriterHost & Pick<MethodContext, 'task' | 'taskLm' | 'reward'>;

export interface StepReport {
  readonly step: number;
  /** Texts of the step; empty for methods that write none. */
  readonly tried: readonly { readonly prompt: Prompt; readonly score: PromptScore }[];
  /** Mean reward of the step, where there are no texts to take it from. */
  readonly reward?: number;
  /** Mean entropy of the policy per token, in nats. */
  readonly entropy?: number;
  /** Further quantities to record, by stable name. */
  readonly quantities?: Readonly<Record<string, number>>;
  /**
   * All that the next step follows from, beside generator, pool and budget: plain data, tensors as
   * Float32Array; asked for now and then, before the next step begins. For methods that compute much
   * outside of the environment; without it a search is resumed by doing that part again.
   */
  readonly state?: () => unknown;
}

export interface Method<Options = unknown> {
  readonly name: string;
  /** One sentence for help and forms. */
  readonly summary: string;
  readonly options: z.ZodType<Options>;
  /** What it finds. @default text */
  readonly finds?: SolutionKind;
  /** What it asks of the LMs; what is left out, every LM can serve. */
  readonly needs?: {
    /** Kinds of task LM; only with `text` may its `run` be given a mere `PromptContext`. @default causal and masked */
    readonly taskLm?: readonly LmKind[];
    /** A policy LM, which must be causal. */
    readonly policyLm?: true;
    /** A policy LM that answers in text. */
    readonly writer?: true;
  };
  /**
   * Task-LM example evaluations that its first step costs at least; a smaller budget is refused.
   * @default unknown, nothing is refused
   */
  leastEvaluations?(options: NoInfer<Options>, task: AnyTask): number;
  /**
   * Calls of the task LM that a search will make, for a plan that is printed before any is sent.
   * @default as many as the budget allows
   */
  expectedEvaluations?(options: NoInfer<Options>, about: PlanAbout): number;
  /**
   * Calls of the task LM in one step at most: a step that has begun is ended, whatever the budget.
   * @default as many as the first step costs at least
   */
  mostPerStep?(options: NoInfer<Options>, task: AnyTask): number;
  /** What a search asks of a policy LM that answers in text, for the same plan. */
  expectedProposals?(options: NoInfer<Options>, evaluations: number): PlannedProposals;
  /**
   * Checks options and task before anything is spent; gives the options with what their files hold.
   * @throws ConfigError and DataError for what would end the search
   */
  check?(options: NoInfer<Options>, about: CheckAbout): Options | Promise<Options>;
  run(context: MethodContext, options: Options): AsyncIterable<StepReport>;
  /** Opens what it saved, where that is no text. */
  open?(path: string, context: SolutionContext): Promise<TensorSolution>;
}

/** Calls of the policy LM, and what one of them holds at most. */
export interface PlannedProposals {
  readonly calls: number;
  /** Train examples with their answers. */
  readonly examples: number;
  /** Characters beside the examples. */
  readonly characters: number;
  /** Tokens of an answer. */
  readonly tokens: number;
}

export interface CheckAbout {
  readonly task: AnyTask;
  /** Relative paths among the options start here. */
  readonly folder: string;
}

export interface PlanAbout {
  readonly trainExamples: number;
  /** Built-in human prompts of the task. */
  readonly humanPrompts: number;
}

/** Declares a method; its options' type comes from their schema. */
export function method<Options>(definition: Method<Options>): Method<Options> {
  return definition;
}
