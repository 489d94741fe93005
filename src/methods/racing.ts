/**
 * Successive halving: every candidate is scored on a few blocks of examples, the better half on
 * twice as many, until those that are left are scored on all. Scores on part of the examples choose
 * who goes on; they enter the pool only where nothing else does.
 *
 * Source: arXiv 1502.07943. Deviation: the race ends with a group of `atLeast`, not with one winner.
 */
import { z } from 'zod';
import type { Prompt, PromptScore, PromptScorer } from '../environment/index.ts';
import type { Budget } from './budget.ts';
import type { CandidatePool } from './candidate-pool.ts';
import type { Placement } from './solution.ts';

export interface Tried<P extends Prompt = Prompt> {
  readonly prompt: P;
  readonly score: PromptScore;
}

export interface Round<P extends Prompt = Prompt> {
  /** Best first, all scored on the same blocks. */
  readonly tried: readonly Tried<P>[];
  /** True when those blocks were all. */
  readonly isLast: boolean;
}

export interface RaceOptions {
  readonly environment: PromptScorer;
  readonly pool: CandidatePool;
  readonly budget: Budget;
  /** All blocks, in the order in which they are used. */
  readonly blocks: readonly number[];
  /** @default 2 */
  readonly firstBlocks?: number;
  /** Candidates that go on, however few the half are. @default 4 */
  readonly atLeast?: number;
  readonly placement?: Placement;
}

/** Blocks of the first round, unless a race says otherwise. */
const FIRST_BLOCKS = 2;

/** Examples that a race's first round looks at, at least: the smallest block may be among its blocks. */
export function firstRound(
  examples: number,
  { firstBlocks = FIRST_BLOCKS, blockSize }: { firstBlocks?: number; blockSize: number },
): number {
  const blocks = Math.ceil(examples / blockSize);
  if (firstBlocks >= blocks) return examples;
  const smallest = examples - (blocks - 1) * blockSize;
  return (firstBlocks - 1) * blockSize + smallest;
}

/**
 * Runs the rounds while the budget is open. Candidates scored on all blocks go into the pool; a race
 * that was cut short puts in those of its last round, if the pool is empty.
 */
export async function* race<P extends Prompt>(
  prompts: readonly P[],
  options: RaceOptions,
): AsyncGenerator<Round<P>> {
  const { environment, pool, budget, blocks, placement } = options;
  let alive = prompts;
  let width = Math.min(options.firstBlocks ?? FIRST_BLOCKS, blocks.length);
  let round: Round<P> | undefined;
  try {
    let looked = 0;
    while (alive.length > 0 && !round?.isLast && budget.isOpen) {
      const fresh = blocks.slice(looked, width).flatMap((b) => environment.examplesOf(b)).length;
      const fitting = budget.fitting(fresh);
      if (round && fitting < 1) break;
      // The best of the round before; where not even one fits into the first, the environment says so.
      alive = alive.slice(0, Math.max(1, fitting));
      looked = width;
      const scores = await environment.step(alive, { blocks: blocks.slice(0, width) });
      const tried = alive.map((prompt, i) => ({ prompt, score: scores[i]! }));
      tried.sort((a, b) => worthOf(b) - worthOf(a));
      round = { tried, isLast: width === blocks.length };
      yield round;
      const kept = Math.max(options.atLeast ?? 4, Math.ceil(tried.length / 2));
      alive = tried.slice(0, kept).map(({ prompt }) => prompt);
      width = Math.min(blocks.length, width * 2);
    }
  } finally {
    if (round && (round.isLast || !pool.best)) {
      for (const { prompt, score } of round.tried) pool.add(prompt, score, placement);
    }
  }
}

/** Runs a race to its end or the budget's; each candidate with the last score that it got. */
export async function finishRace<P extends Prompt>(
  prompts: readonly P[],
  options: RaceOptions,
): Promise<{ tried: Tried<P>[]; finalists: readonly Tried<P>[] }> {
  const last = new Map<P, PromptScore>();
  let finalists: readonly Tried<P>[] = [];
  for await (const { tried, isLast } of race(prompts, options)) {
    for (const { prompt, score } of tried) last.set(prompt, score);
    if (isLast) finalists = tried;
  }
  return { tried: [...last].map(([prompt, score]) => ({ prompt, score })), finalists };
}

/** An option of methods whose scores must be comparable through all of a run. */
export const mostExamples = z
  .int()
  .min(1)
  .max(1_000_000)
  .default(256)
  .describe('Train examples that give the rewards; of more, a sample that is drawn once');

/** The indices of an environment's blocks, shuffled. */
export function shuffledBlocks(
  { blockCount }: Pick<PromptScorer, 'blockCount'>,
  rng: { shuffle<T>(items: readonly T[]): T[] },
): number[] {
  return rng.shuffle(Array.from({ length: blockCount }, (_, i) => i));
}

/** Evaluations of a race with the usual first round and blocks of eight. */
export function raceEvaluations(prompts: number, examples: number): number {
  const blocks = Math.ceil(examples / 8);
  let [alive, width, before, total] = [prompts, Math.min(2, blocks), 0, 0];
  for (;;) {
    total += alive * Math.min(examples, 8 * (width - before));
    if (width === blocks) return total;
    alive = Math.max(Math.min(4, alive), Math.ceil(alive / 2));
    before = width;
    width = Math.min(blocks, 2 * width);
  }
}

/** A prompt that no example gave a score goes last. */
function worthOf({ score: { reward } }: Tried): number {
  return Number.isNaN(reward) ? Number.NEGATIVE_INFINITY : reward;
}
