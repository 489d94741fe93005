/**
 * Gradient descent on a task's loss, as every gradient method does it: Adam, early stopping on the
 * validation split, several starts. The best state on validation is what counts, wherever it was.
 * A loss that is not finite ends the start that it happened in, never the run.
 */
import type { PromptScore } from '../environment/index.ts';
import type { Task } from '../tasks/task.ts';
import {
  type AdamState,
  adam,
  clipByGlobalNorm,
  globalNorm,
  type Parameters,
} from '../tensor/index.ts';
import type { RngState } from '../util/rng.ts';
import { type Made, refuseMisfit } from './fits.ts';
import { type Block, type Learner, meanGradients, scoreBlocks } from './learner.ts';
import type { MethodContext, StepReport } from './method.ts';

/** From what is learnt to what the task LM reads, and back for gradients. */
export interface Encoder {
  encode(parameters: Parameters): Promise<Parameters>;
  /** Gradients of what is learnt from those of what is read. */
  pullBack(parameters: Parameters, gradients: Parameters): Promise<Parameters>;
  close(): Promise<void>;
}

/** Learns what the task LM reads directly. */
export const noEncoder: Encoder = {
  encode: async (parameters) => parameters,
  pullBack: async (_, gradients) => gradients,
  close: async () => {},
};

export interface DescentOptions {
  /** Adam's step size, or `auto`: the best of `rates` after a few steps each. */
  readonly learningRate: number | 'auto';
  readonly rates: readonly number[];
  readonly steps: number;
  /** Steps without a better validation reward after which a start ends. */
  readonly patience: number;
  readonly validateEvery: number;
  readonly restarts: number;
  readonly batchSize: number;
  readonly clipNorm: number;
}

export interface BestState {
  /** As the task LM reads it. */
  readonly parameters: Parameters;
  readonly validation: PromptScore;
}

export interface Descent {
  readonly context: MethodContext;
  readonly learner: Learner;
  readonly options: DescentOptions;
  /** Options that what is learnt hangs on. */
  readonly made: Made;
  /** A fresh beginning; `restart` counts from 0. */
  begin(restart: number): Promise<{ readonly parameters: Parameters; readonly encoder: Encoder }>;
  /** Called with every state that is better than all before. */
  onBest(best: BestState): void;
}

/** Evaluations of a look at the validation split and one step. */
export function descentEvaluations(
  { batchSize }: Pick<DescentOptions, 'batchSize'>,
  { train, validation }: Task,
): number {
  return validation.length + 3 * Math.min(batchSize, train.length);
}

/** Steps that `auto` gives each rate. */
const SWEEP_STEPS = 8;

export async function* descend(descent: Descent): AsyncGenerator<StepReport> {
  const { context, options } = descent;
  const course = new Course(descent);
  let going = course.restore();
  const { place } = course;
  /** What goes on needs no leave to begin. */
  const mayStart = (isSweep: boolean, index: number) =>
    (going && place.isSweep === isSweep && place.index === index) || context.budget.isOpen;
  if (options.learningRate === 'auto' && place.isSweep) {
    for (let i = place.index; i < options.rates.length; i++) {
      if (!mayStart(true, i)) break;
      place.index = i;
      const limits = { steps: SWEEP_STEPS, patience: SWEEP_STEPS, every: SWEEP_STEPS };
      const reached = yield* course.start(0, options.rates[i]!, { limits, going });
      going = undefined;
      if (reached === undefined || reached <= place.most) continue;
      [place.most, place.rate] = [reached, options.rates[i]];
    }
    if (place.rate === undefined) return;
    place.index = 0;
  }
  place.isSweep = false;
  const rate = options.learningRate === 'auto' ? place.rate! : options.learningRate;
  const limits = {
    steps: options.steps,
    patience: options.patience,
    every: options.validateEvery,
  };
  for (let restart = place.index; restart < options.restarts; restart++) {
    if (!mayStart(false, restart)) return;
    place.index = restart;
    yield* course.start(restart, rate, { limits, going });
    going = undefined;
  }
}

/** Which start is under way. */
interface Place {
  /** A few steps with one of the rates, or a start in earnest. */
  isSweep: boolean;
  /** Of the rate, or of the start. */
  index: number;
  /** The best validation reward of the rates so far, and its rate. */
  most: number;
  rate: number | undefined;
}

/** A start under way. */
interface Going {
  readonly step: number;
  /** The generator before the start began. */
  readonly began: RngState;
  readonly parameters: Parameters;
  readonly optimizer: AdamState;
  readonly reached: number | undefined;
  readonly best: readonly [reward: number, step: number];
}

interface DescentState {
  readonly made: Made;
  readonly place: Place;
  readonly going: Going;
  readonly step: number;
  readonly best: number;
  readonly bestState: BestState | undefined;
  /** Indices of train blocks. */
  readonly queue: readonly number[];
  /** Which blocks, of train and then validation, have their prefixes computed and paid for. */
  readonly paid: readonly boolean[];
}

interface Limits {
  readonly steps: number;
  readonly patience: number;
  readonly every: number;
}

/** The blocks of both splits, and what all starts share. */
class Course {
  private readonly descent: Descent;
  private readonly train: readonly Block[];
  private readonly validation: readonly Block[];
  readonly place: Place = {
    isSweep: true,
    index: 0,
    most: Number.NEGATIVE_INFINITY,
    rate: undefined,
  };
  private queue: Block[] = [];
  private step = 0;
  private best = Number.NEGATIVE_INFINITY;
  private bestState: BestState | undefined;

  constructor(descent: Descent) {
    const { learner, context, options } = descent;
    this.descent = descent;
    this.train = learner.blocksOf(context.task.train, options.batchSize);
    this.validation = learner.blocksOf(context.validation, context.validation.length);
    if (options.learningRate !== 'auto') this.place.isSweep = false;
  }

  /** Goes on from a kept state, where there is one: the start that was under way. */
  restore(): Going | undefined {
    const { context, made, options } = this.descent;
    const kept = context.restore?.() as DescentState | undefined;
    if (!kept) return undefined;
    refuseMisfit(kept.made, made);
    Object.assign(this.place, kept.place);
    // A rate that is said by now ends the looking for one.
    if (kept.place.isSweep && options.learningRate !== 'auto') {
      Object.assign(this.place, { isSweep: false, index: 0 });
    }
    const blocks = [...this.train, ...this.validation];
    if (kept.paid.length === blocks.length) {
      this.queue = kept.queue.map((at) => this.train[at]!);
      blocks.forEach((block, i) => {
        if (kept.paid[i]) block.isPaid = true;
      });
    }
    ({ step: this.step, best: this.best, bestState: this.bestState } = kept);
    if (this.bestState) this.descent.onBest(this.bestState);
    return kept.going;
  }

  private state(going: Going): DescentState {
    const blocks = [...this.train, ...this.validation];
    return {
      made: this.descent.made,
      place: { ...this.place },
      going,
      step: this.step,
      best: this.best,
      bestState: this.bestState,
      queue: this.queue.map((block) => this.train.indexOf(block)),
      paid: blocks.map(({ cache, isPaid }) => cache !== undefined || isPaid === true),
    };
  }

  /** What a start begins with; one that goes on draws the same once more. */
  private async begin(restart: number, going: Going | undefined) {
    const { rng } = this.descent.context;
    const began = going?.began ?? rng.state();
    const now = rng.state();
    rng.goOn(began);
    const begun = await this.descent.begin(restart);
    if (going) rng.goOn(now);
    return { ...begun, began };
  }

  /** One start: its last validation reward, or undefined when none was finite. */
  async *start(
    restart: number,
    learningRate: number,
    { limits, going }: { limits: Limits; going: Going | undefined },
  ): AsyncGenerator<StepReport, number | undefined> {
    const { context, learner, options } = this.descent;
    const begun = await this.begin(restart, going);
    const { encoder, began } = begun;
    let parameters = going?.parameters ?? begun.parameters;
    const optimizer = adam({ learningRate });
    let state = going?.optimizer ?? optimizer.init(parameters);
    let reached = going?.reached;
    let [best, bestAt] = going?.best ?? [Number.NEGATIVE_INFINITY, 0];
    const isLook = (step: number) => step % limits.every === 0 || step === limits.steps;
    // Only a look can be without a better reward.
    const isOver = (step: number) => isLook(step) && step - bestAt >= limits.patience;
    try {
      if (going && isOver(going.step)) return reached;
      // What one begins with may be hard to better, and there is something to show at once.
      if (this.step === 0) await this.validate(encoder, parameters);
      for (
        let step = (going?.step ?? 0) + 1;
        step <= limits.steps && context.budget.isOpen;
        step++
      ) {
        const encoded = await encoder.encode(parameters);
        const mean = await meanGradients(learner, this.batch(), encoded, context.reward);
        const gradients = await encoder.pullBack(parameters, mean.gradients);
        const gradientNorm = globalNorm(gradients);
        if (!Number.isFinite(mean.loss) || !Number.isFinite(gradientNorm)) {
          context.warn(
            `start ${restart + 1}, step ${step}: the loss is ${mean.loss} and the gradient’s norm ${gradientNorm} at learning rate ${learningRate}, this start ends; a smaller learningRate helps`,
          );
          return undefined;
        }
        const clipped = clipByGlobalNorm(gradients, options.clipNorm);
        [parameters, state] = optimizer.update(parameters, clipped, state);
        const validation = isLook(step) ? await this.validate(encoder, parameters) : undefined;
        if (validation) {
          reached = validation.reward;
          if (reached > best) [best, bestAt] = [reached, step];
        }
        const at = {
          step,
          began,
          parameters,
          optimizer: state,
          reached,
          best: [best, bestAt] as const,
        };
        yield {
          step: ++this.step,
          state: () => this.state(at),
          tried: [],
          reward: mean.score.reward,
          quantities: {
            loss: mean.loss,
            accuracy: mean.score.accuracy,
            gradientNorm,
            learningRate,
            restart,
            ...(validation && {
              validationReward: validation.reward,
              validationAccuracy: validation.accuracy,
            }),
          },
        };
        if (isOver(step)) break;
      }
      return reached;
    } finally {
      await encoder.close();
    }
  }

  /** Blocks in random order until a batch is full; every epoch sees each block once. */
  private batch(): Block[] {
    const { options, context } = this.descent;
    const batch: Block[] = [];
    let size = 0;
    while (size < options.batchSize) {
      if (this.queue.length === 0) {
        // A batch never holds a block twice.
        this.queue = context.rng.shuffle(this.train.filter((block) => !batch.includes(block)));
        if (this.queue.length === 0) break;
      }
      const block = this.queue.pop()!;
      batch.push(block);
      size += block.examples.length;
    }
    return batch;
  }

  private async validate(encoder: Encoder, learnt: Parameters): Promise<PromptScore | undefined> {
    const { context, learner } = this.descent;
    const { reward, validation: examples } = context;
    const parameters = await encoder.encode(learnt);
    const score = await scoreBlocks(learner, this.validation, parameters, { examples, reward });
    if (!Number.isFinite(score.reward)) return undefined;
    if (score.reward > this.best) {
      this.best = score.reward;
      this.bestState = { parameters, validation: score };
      this.descent.onBest(this.bestState);
    }
    return score;
  }
}
