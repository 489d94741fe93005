/** What the policy methods share: writing a batch of prompts, scoring it, standardising rewards. */
import { z } from 'zod';
import type { Prompt, PromptScore } from '../environment/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Episode, Policy } from '../policy/index.ts';
import type { AnyTask } from '../tasks/task.ts';
import { float32, type HostTensor, int64 } from '../tensor/index.ts';
import type { MethodContext, PromptContext } from './method.ts';

export interface ScoredEpisode {
  readonly episode: Episode;
  readonly prompt: Prompt;
  readonly score: PromptScore;
}

/** The prompt that ids of a language model are: its text, and the ids where the task LM reads the same. */
export function promptOf(
  { environment }: MethodContext,
  ids: readonly number[],
  writer: LanguageModel = environment.taskLm,
): Prompt {
  const text = writer.tokenizer.decode(ids).trimStart();
  // The leading space belongs to the template; where it has none, the text is tokenised as it is.
  const keepsIds = writer === environment.taskLm && environment.layout.surface('x').startsWith(' ');
  return keepsIds ? { text, ids } : { text };
}

/** An option of methods that score many prompts a step. */
export const examplesPerStep = z
  .int()
  .min(1)
  .max(1_000_000)
  .default(64)
  .describe('Train examples that a step scores; of a larger train split, drawn anew each step');

/** Options that every policy method has. */
export const policyOptions = {
  promptTokens: z.int().min(1).max(64).default(5).describe('Tokens of the prompt'),
  batchSize: z.int().min(2).max(256).default(16).describe('Prompts sampled a step'),
  examplesPerStep,
  learningRate: z.number().positive().default(3e-4).describe('Adam’s step size'),
  topK: z.int().min(0).default(256).describe('Actions to sample among; 0: all'),
  temperature: z.number().positive().default(1).describe('Of sampling'),
  clipNorm: z.number().positive().default(5).describe('Largest global norm of the gradient'),
  adapterWidth: z.int().min(8).max(8192).default(2048).describe('Hidden width of the adapter'),
  prior: z
    .number()
    .min(0)
    .max(10)
    .default(1)
    .describe('Weight of the LM’s own log-probabilities; 0: uniform'),
};

/** Steps after which a policy method offers its state. */
const STATE_EVERY = 16;

/** Whether the state after a step can be gone on from exactly; the policy then begins the next one bare. */
export function offersState(policy: Policy, step: number): boolean {
  if (step % STATE_EVERY !== 0) return false;
  policy.forget();
  return true;
}

/** Evaluations of one step. */
export function stepEvaluations(
  options: { readonly batchSize: number; readonly examplesPerStep: number },
  { train }: Pick<AnyTask, 'train'>,
): number {
  return options.batchSize * Math.min(options.examplesPerStep, train.length);
}

/** What of the train split one step scores: all, or blocks that hold about as many examples. */
export function minibatch(
  { environment, rng }: PromptContext,
  examples: number,
): { blocks?: readonly number[] } {
  const { blockCount, examples: all } = environment;
  if (all.length <= examples) return {};
  const count = Math.max(1, Math.round((blockCount * examples) / all.length));
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  return { blocks: rng.shuffle(blocks).slice(0, count) };
}

/** Scores a policy's episodes on (a minibatch of) the train split and puts them into the pool. */
export async function scoreEpisodes(
  context: MethodContext,
  episodes: readonly Episode[],
  options: { policy: Policy; examplesPerStep: number },
): Promise<ScoredEpisode[]> {
  const { policy } = options;
  const prompts = episodes.map(({ ids }) => {
    const prompt = promptOf(context, ids, policy.lm);
    // Ids that were set need not be those that the text has.
    return policy.canWrite(ids) ? prompt : { text: prompt.text };
  });
  const scores = await context.environment.step(
    prompts,
    minibatch(context, options.examplesPerStep),
  );
  return episodes.map((episode, i) => {
    context.pool.add(prompts[i]!, scores[i]!);
    return { episode, prompt: prompts[i]!, score: scores[i]! };
  });
}

/** Rewards where some are none: an empty prompt, or one whose answers did not come, fares as the worst did. */
export function finite(rewards: readonly number[]): number[] {
  const known = rewards.filter(Number.isFinite);
  const least = known.length > 0 ? Math.min(...known) : 0;
  return rewards.map((reward) => (Number.isFinite(reward) ? reward : least));
}

/** z = (R − mean) / (σ + 1e-4), population deviation; zeros when all rewards are alike. */
export function standardise(rewards: readonly number[]): { z: number[]; deviation: number } {
  // Said apart, because the rounding of the mean would leave a deviation of 1e-15.
  if (rewards.every((r) => r === rewards[0])) return { z: rewards.map(() => 0), deviation: 0 };
  const mean = rewards.reduce((a, b) => a + b, 0) / rewards.length;
  const deviation = Math.sqrt(rewards.reduce((a, r) => a + (r - mean) ** 2, 0) / rewards.length);
  return { z: rewards.map((r) => (r - mean) / (deviation + 1e-4)), deviation };
}

/**
 * States [B·T, S], and as inputs of a loss: actions [B·T, 1], the log-probabilities under which they
 * were drawn [B·T], signals [B].
 */
export function lossInputs(
  policy: Policy,
  episodes: readonly Episode[],
  signals: readonly number[],
): { states: Float32Array<ArrayBuffer>; extra: Record<string, HostTensor> } {
  const S = policy.stateWidth;
  const T = episodes[0]!.actions.length;
  const states = new Float32Array(episodes.length * T * S);
  episodes.forEach((episode, b) => {
    states.set(episode.states, b * T * S);
  });
  const drawn = episodes.flatMap((episode) => episode.sampledLogProbs);
  const actions = episodes.flatMap((episode) => episode.actions);
  return {
    states,
    extra: {
      actions: int64(actions, [actions.length, 1]),
      sampledLogProbs: float32(Float32Array.from(drawn), [drawn.length]),
      signals: float32(Float32Array.from(signals), [episodes.length]),
    },
  };
}

/** Share of prompts that stand more than once in a batch. */
export function duplicateShare(scored: readonly ScoredEpisode[]): number {
  return 1 - new Set(scored.map(({ prompt }) => prompt.text)).size / scored.length;
}

/** Mean over episodes. */
export function meanOf(scored: readonly ScoredEpisode[], f: (s: ScoredEpisode) => number): number {
  return scored.reduce((a, s) => a + f(s), 0) / scored.length;
}
