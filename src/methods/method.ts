/**
 * What a method is: options, and a loop that yields one report a step. It asks the environment for
 * rewards, puts what it tried into the pool, and stops when the budget says so. Choosing among
 * finalists, testing and recording belong to the run, and are the same for every method.
 */
import type { z } from 'zod';
import type { Environment, Prompt, PromptScore } from '../environment/index.ts';
import type { Policy, PolicyOptions } from '../policy/index.ts';
import type { Task } from '../tasks/task.ts';
import type { Rng } from '../util/rng.ts';
import type { Budget } from './budget.ts';
import type { CandidatePool } from './candidate-pool.ts';

export interface MethodContext {
  readonly task: Task;
  /** Rewards on the train split. */
  readonly environment: Environment;
  readonly rng: Rng;
  readonly budget: Budget;
  readonly pool: CandidatePool;
  /** A fresh policy over the task LM's vocabulary, reading the task's description. */
  createPolicy(options: Omit<PolicyOptions, 'rng'>): Promise<Policy>;
  /** Says what the user should know; the run goes on. */
  warn(message: string): void;
}

export interface StepReport {
  readonly step: number;
  readonly tried: readonly { readonly prompt: Prompt; readonly score: PromptScore }[];
  /** Mean entropy of the policy per token, in nats. */
  readonly entropy?: number;
  /** Further quantities to record, by stable name. */
  readonly quantities?: Readonly<Record<string, number>>;
}

export interface Method<Options = unknown> {
  readonly name: string;
  /** One sentence for help and forms. */
  readonly summary: string;
  readonly options: z.ZodType<Options>;
  run(context: MethodContext, options: Options): AsyncIterable<StepReport>;
}

/** Declares a method; its options' type comes from their schema. */
export function method<Options>(definition: Method<Options>): Method<Options> {
  return definition;
}
