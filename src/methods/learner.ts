/**
 * What gradient methods ask of the task LM: losses, scores and gradients of blocks of examples. A
 * block is computed in one call: examples of like length, so that padding costs little. Work is
 * counted in the budget: forward 1 evaluation an example, forward and backward 3.
 */
import { type PromptScore, scoreOf } from '../environment/index.ts';
import {
  cacheBytesPerToken,
  loadPrefiller,
  type Prefiller,
  type PrefixCache,
} from '../models/programs.ts';
import {
  activationBytes,
  loadBranchTrainer,
  loadSequenceTrainer,
  type SequenceOptions,
  type SequenceOutcome,
  wordEmbeddings,
} from '../models/training.ts';
import type { RewardFunction } from '../tasks/rewards/index.ts';
import type { Example } from '../tasks/task.ts';
import type { Parameters } from '../tensor/index.ts';
import type { MethodContext } from './method.ts';
import type { Reading } from './reading.ts';

export interface Block {
  readonly examples: readonly Example[];
  cache?: PrefixCache;
  /** Its prefixes were computed in an earlier process of the same search: counted already. */
  isPaid?: boolean;
}

export interface Learner {
  /** Examples sorted by length and cut into blocks of at most `size`. */
  blocksOf(examples: readonly Example[], size: number): Block[];
  /** Losses and scores of a block, and the gradients of the summed losses if asked for. */
  run(block: Block, parameters: Parameters, withGradient: boolean): Promise<SequenceOutcome>;
  close(): Promise<void>;
}

/** What a learner needs of its surroundings; without a budget the work is not counted. */
export type LearnerContext = Pick<MethodContext, 'taskLm'> & {
  readonly budget?: { spend(evaluations: number): void };
};

export type LearnerOptions = Pick<SequenceOptions, 'over' | 'virtualTokens' | 'lora'> & {
  /** Repack matrices for scoring too, not for training alone. @default false, it runs seldom */
  readonly prepackForward?: boolean;
};

/** Padded tokens of one call of whole sequences: what bounds memory while training. */
const TOKENS_PER_CALL = 512;
/** Examples of one call over cached prefixes. */
const EXAMPLES_PER_CALL = 32;
/** Bytes of activations beyond which they are computed again for the gradient, not kept. */
const ACTIVATION_BYTES = 1e9;
/** Bytes of keys and values that are kept between steps; more is computed anew each time. */
const CACHE_BYTES = 2e9;

/** Reads every example as a whole sequence. */
export function wholeLearner(
  { taskLm, budget }: LearnerContext,
  reading: Reading,
  { prepackForward = false, ...options }: LearnerOptions,
): Learner {
  const load = (kind: SequenceOptions) =>
    once(() => loadSequenceTrainer(taskLm, { ...options, words: reading.words, ...kind }));
  // Sequences that are read for one example.
  const copies = reading.words?.length ?? 1;
  const programs = {
    forward: load({ withGradient: false, prepack: prepackForward }),
    backward: load({ prepack: true }),
    // Repacked matrices are memory, too.
    recomputing: load({ recomputes: true, prepack: false }),
  };
  const programFor = (lengths: readonly number[], withGradient: boolean) => {
    if (!withGradient) return programs.forward;
    const bytes = activationBytes(taskLm.config, copies * lengths.length, Math.max(...lengths));
    return bytes > ACTIVATION_BYTES ? programs.recomputing : programs.backward;
  };
  return {
    blocksOf: (examples, size) =>
      intoBlocks(
        examples,
        size,
        (input) => copies * reading.sequence(input).length,
        TOKENS_PER_CALL,
      ),
    async run({ examples }, parameters, withGradient) {
      const sequences = examples.map(({ input }) => reading.sequence(input));
      const lengths = sequences.map((ids) => ids.length);
      const trainer = await programFor(lengths, withGradient).get();
      budget?.spend(examples.length * (withGradient ? 3 : 1));
      const answers = {
        labels: reading.labels,
        gold: examples.map(({ label }) => label),
        places: sequences.map((ids) => reading.answerPlace(ids)),
      };
      return trainer.run(sequences, answers, parameters);
    },
    async close() {
      for (const program of Object.values(programs)) await program.unload();
    },
  };
}

/** Keeps the inputs' keys and values, and computes what follows them alone. */
export function cachedLearner(
  { taskLm, budget }: LearnerContext,
  reading: Reading & Required<Pick<Reading, 'cached'>>,
  { over = 'labels', prepackForward = false }: Omit<LearnerOptions, 'lora'> = {},
): Learner {
  const { prefix, branch } = reading.cached;
  const D = taskLm.config.width;
  const load = (withGradient: boolean) =>
    once(() => {
      const prepack = withGradient || prepackForward;
      return loadBranchTrainer(taskLm, { over, withGradient, prepack });
    });
  const programs = { forward: load(false), backward: load(true) };
  const prefiller = once<Prefiller>(() => loadPrefiller(taskLm, { prepack: false }));
  // What stands in a branch beside virtual tokens never changes.
  const known = once(async () => ({
    words: await wordEmbeddings(
      taskLm,
      branch.map((id) => Math.max(0, id)),
    ),
    unload: async () => {},
  }));
  const filled: Block[] = [];
  let bytes = 0;
  const drop = async (block: Block) => {
    if (!block.cache) return;
    bytes -= block.cache.sizeBytes;
    await taskLm.engine.drop(Object.values(block.cache.tensors));
    delete block.cache;
  };
  return {
    blocksOf: (examples, size) =>
      intoBlocks(
        examples,
        Math.min(size, EXAMPLES_PER_CALL),
        (input) => prefix(input).length,
        CACHE_BYTES / 4 / cacheBytesPerToken(taskLm),
      ),
    async run(block, parameters, withGradient) {
      const trainer = await programs[withGradient ? 'backward' : 'forward'].get();
      const { examples } = block;
      if (!block.cache) {
        block.cache = await (await prefiller.get()).run(examples.map(({ input }) => prefix(input)));
        bytes += block.cache.sizeBytes;
        filled.push(block);
        if (!block.isPaid) budget?.spend(examples.length);
        block.isPaid = false;
      }
      const words = (await known.get()).words.slice();
      branch.forEach((id, t) => {
        if (id < 0) words.set(parameters.virtual!.subarray((-id - 1) * D, -id * D), t * D);
      });
      budget?.spend(examples.length * (withGradient ? 3 : 1));
      const { gradient, ...outcome } = await trainer.run(
        block.cache,
        { words, rows: 1, length: branch.length },
        { labels: reading.labels, gold: examples.map(({ label }) => label) },
      );
      if (bytes > CACHE_BYTES) await drop(block);
      if (!withGradient) return { ...outcome, gradients: {} };
      const virtual = new Float32Array(parameters.virtual!.length);
      branch.forEach((id, t) => {
        if (id < 0) virtual.set(gradient.subarray(t * D, (t + 1) * D), (-id - 1) * D);
      });
      return { ...outcome, gradients: { virtual } };
    },
    async close() {
      for (const block of filled) await drop(block);
      for (const program of [...Object.values(programs), prefiller]) await program.unload();
    },
  };
}

/** Scores of the blocks' examples, in the order of `examples`. */
export async function scoreBlocks(
  learner: Learner,
  blocks: readonly Block[],
  parameters: Parameters,
  { examples, reward }: { examples: readonly Example[]; reward: RewardFunction },
): Promise<PromptScore> {
  const at = new Map(examples.map((example, i) => [example, i]));
  let scores: Float32Array | undefined;
  for (const block of blocks) {
    const outcome = await learner.run(block, parameters, false);
    const C = outcome.scores.length / block.examples.length;
    scores ??= new Float32Array(examples.length * C);
    for (const [i, example] of block.examples.entries()) {
      scores.set(outcome.scores.subarray(i * C, (i + 1) * C), at.get(example)! * C);
    }
  }
  return scoreOf(scores ?? new Float32Array(0), examples, { reward });
}

export interface MeanOutcome {
  readonly loss: number;
  readonly score: PromptScore;
  /** Of the mean loss. */
  readonly gradients: Parameters;
}

/** Mean loss of the blocks' examples and its gradients, added up block after block. */
export async function meanGradients(
  learner: Learner,
  blocks: readonly Block[],
  parameters: Parameters,
  reward: RewardFunction,
): Promise<MeanOutcome> {
  const examples = blocks.flatMap((block) => block.examples);
  const scores: number[] = [];
  const total: Record<string, Float32Array<ArrayBuffer>> = {};
  let loss = 0;
  for (const block of blocks) {
    const outcome = await learner.run(block, parameters, true);
    scores.push(...outcome.scores);
    for (const value of outcome.losses) loss += value / examples.length;
    for (const [name, gradient] of Object.entries(outcome.gradients)) {
      const sum = total[name] ?? new Float32Array(gradient.length);
      total[name] = sum;
      for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]! / examples.length;
    }
  }
  const score = scoreOf(Float32Array.from(scores), examples, { reward });
  return { loss, score, gradients: total };
}

function intoBlocks(
  examples: readonly Example[],
  size: number,
  lengthOf: (input: string) => number,
  mostTokens: number,
): Block[] {
  const sorted = examples
    .map((example) => ({ example, length: lengthOf(example.input) }))
    .sort((a, b) => a.length - b.length);
  const blocks: Example[][] = [];
  for (const { example, length } of sorted) {
    const last = blocks.at(-1);
    // Sorted: the newcomer is the longest, to which all would be padded.
    if (last && last.length < size && (last.length + 1) * length <= mostTokens) last.push(example);
    else blocks.push([example]);
  }
  return blocks.map((block) => ({ examples: block }));
}

/** Loads at first use, and unloads if it was used. */
function once<T extends { unload(): Promise<void> }>(load: () => Promise<T>) {
  let loaded: Promise<T> | undefined;
  return {
    get(): Promise<T> {
      loaded ??= load();
      return loaded;
    },
    async unload(): Promise<void> {
      await (await loaded)?.unload();
      loaded = undefined;
    },
  };
}
