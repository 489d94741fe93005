/**
 * Gradient descent on a task's loss, as every gradient method does it: Adam, early stopping on the
 * validation split, several starts. The best state on validation is what counts, wherever it was.
 * A loss that is not finite ends the start that it happened in, never the run.
 */
import type { PromptScore } from '../environment/index.ts';
import type { Task } from '../tasks/task.ts';
import { adam, clipByGlobalNorm, globalNorm, type Parameters } from '../tensor/index.ts';
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
  let rate = options.learningRate;
  if (rate === 'auto') {
    let most = Number.NEGATIVE_INFINITY;
    for (const candidate of options.rates) {
      if (!context.budget.isOpen) break;
      const limits = { steps: SWEEP_STEPS, patience: SWEEP_STEPS, every: SWEEP_STEPS };
      const reached = yield* course.start(0, candidate, limits);
      if (reached === undefined || reached <= most) continue;
      most = reached;
      rate = candidate;
    }
    if (rate === 'auto') return;
  }
  const limits = {
    steps: options.steps,
    patience: options.patience,
    every: options.validateEvery,
  };
  for (let restart = 0; restart < options.restarts && context.budget.isOpen; restart++) {
    yield* course.start(restart, rate, limits);
  }
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
  private queue: Block[] = [];
  private step = 0;
  private best = Number.NEGATIVE_INFINITY;

  constructor(descent: Descent) {
    const { learner, context, options } = descent;
    this.descent = descent;
    this.train = learner.blocksOf(context.task.train, options.batchSize);
    this.validation = learner.blocksOf(context.validation, context.validation.length);
  }

  /** One start: its last validation reward, or undefined when none was finite. */
  async *start(
    restart: number,
    learningRate: number,
    limits: Limits,
  ): AsyncGenerator<StepReport, number | undefined> {
    const { context, learner, options } = this.descent;
    const begun = await this.descent.begin(restart);
    const { encoder } = begun;
    let { parameters } = begun;
    const optimizer = adam({ learningRate });
    let state = optimizer.init(parameters);
    let reached: number | undefined;
    let [best, bestAt] = [Number.NEGATIVE_INFINITY, 0];
    try {
      // What one begins with may be hard to better, and there is something to show at once.
      if (this.step === 0) await this.validate(encoder, parameters);
      for (let step = 1; step <= limits.steps && context.budget.isOpen; step++) {
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
        const isValidated = step % limits.every === 0 || step === limits.steps;
        const validation = isValidated ? await this.validate(encoder, parameters) : undefined;
        if (validation) {
          reached = validation.reward;
          if (reached > best) [best, bestAt] = [reached, step];
        }
        yield {
          step: ++this.step,
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
        if (step - bestAt >= limits.patience) break;
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
      this.descent.onBest({ parameters, validation: score });
    }
    return score;
  }
}
