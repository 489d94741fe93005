/**
 * GRPO: the policy LM reads a context under its chat template and writes a prompt in words; LoRA on
 * it learns from how the prompts of one group fare against each other. A step: G contexts, a group of
 * prompts each, their rewards on one minibatch, advantages within the groups, one or more updates of
 *
 *   −Σ_t w_t · min(ρ_t A, clip(ρ_t, 1 − ε, 1 + ε⁺) A) + β · k3(π ‖ π_ref),   w_t = 1 / tokens of the step
 *
 * Groups whose rewards are all one teach nothing: they are sampled again, then left out. RLOO and
 * REINFORCE with a leave-one-out baseline are other objectives of the same loop.
 *
 * Source: DeepSeekMath, arXiv 2402.03300; token-level normalisation and ε⁺ from DAPO, arXiv
 * 2503.14476. Deviations: docs/methods/grpo.md.
 */
import { z } from 'zod';
import type { PromptScore } from '../environment/index.ts';
import {
  type CompletionGroup,
  type CompletionReader,
  type CompletionTrainer,
  loadCompletionReader,
  loadCompletionTrainer,
} from '../models/completions.ts';
import { drawExamples, messagesFor } from '../policy/messages.ts';
import { completionsOf, PromptWriter, type WrittenPrompt } from '../policy/writer.ts';
import {
  type AdamState,
  adamw,
  clipByGlobalNorm,
  globalNorm,
  type Optimizer,
  type Parameters,
} from '../tensor/index.ts';
import { isFlat } from './advantages.ts';
import { humanCandidates } from './human-prompts.ts';
import { saveLora } from './lora-file.ts';
import { type MethodContext, method } from './method.ts';
import { imitation, objectives } from './objectives.ts';
import { examplesPerStep, minibatch, stepEvaluations } from './policy-loop.ts';

const options = z.strictObject({
  name: z.literal('grpo').default('grpo'),
  objective: z
    .enum(['grpo', 'rloo', 'reinforce'])
    .default('grpo')
    .describe('Clipped by token, clipped by prompt, or REINFORCE with a leave-one-out baseline'),
  promptTokens: z.int().min(2).max(512).default(24).describe('Most tokens of a prompt'),
  groups: z.int().min(1).max(64).default(2).describe('Contexts of a step'),
  groupSize: z.int().min(2).max(64).default(8).describe('Prompts written for each context'),
  examplesPerStep,
  rank: z.int().min(1).max(256).default(8).describe('LoRA’s r: inner width of the low-rank terms'),
  alpha: z.number().positive().default(16).describe('LoRA’s α: terms are scaled by α / r'),
  layers: z
    .enum(['qv', 'all'])
    .default('all')
    .describe('Where: the attention’s q and v, or every linear layer'),
  learningRate: z.number().positive().default(2e-4).describe('Adam’s step size'),
  updates: z.int().min(1).max(16).default(1).describe('Updates on the prompts of one step'),
  clip: z
    .tuple([z.number().min(0).max(1), z.number().min(0).max(10)])
    .default([0.2, 0.28])
    .describe('How far under and over one the ratio of probabilities counts'),
  klWeight: z.number().min(0).default(0).describe('Weight β of the divergence from the start'),
  resamples: z
    .int()
    .min(0)
    .max(16)
    .default(1)
    .describe('Times that a group is written again whose rewards are all one'),
  warmSteps: z
    .int()
    .min(0)
    .max(1000)
    .default(8)
    .describe('Steps of imitating the built-in human prompts before'),
  warmRate: z.number().positive().default(5e-4).describe('Adam’s step size while imitating'),
  clipNorm: z.number().positive().default(1).describe('Largest global norm of the gradient'),
  precision: z
    .enum(['float32', 'int8-blocks'])
    .default('int8-blocks')
    .describe('Of the policy LM while it writes; it learns in float32'),
});

type Options = z.infer<typeof options>;

/** Steps in a row without an update after which the policy writes one thing alone, and search ends. */
const SETTLED = 10;

/** One prompt with what it was worth; nothing was written, nothing is worth anything. */
interface Judged {
  readonly written: WrittenPrompt;
  readonly score: PromptScore | undefined;
}

/** A context and the prompts that were written for it. */
interface Group {
  readonly reading: readonly number[];
  readonly judged: readonly Judged[];
  readonly rewards: readonly number[];
}

export const grpo = method({
  name: 'grpo',
  summary: 'LoRA on a policy LM that writes prompts in words, trained by GRPO, RLOO or REINFORCE.',
  options,
  needs: { policyLm: true },
  leastEvaluations: (o, task) => stepEvaluations({ ...o, batchSize: o.groups * o.groupSize }, task),
  async *run(context, o) {
    const lm = await context.policyLm();
    const lora = { rank: o.rank, alpha: o.alpha, layers: o.layers };
    const writer = await PromptWriter.open(lm, { ...o, lora, rng: context.rng.fork('adapter') });
    if (writer.chat.isPlain) {
      context.warn(`policyLm: ${lm.name} has no chat template, it reads the context as plain text`);
    }
    const run = new Course(context, o, writer);
    try {
      await run.imitateHumans();
      await run.begin();
      let idle = 0;
      for (let step = 1; context.budget.isOpen && idle < SETTLED; step++) {
        const { groups, resampled } = await run.rollout();
        const learnt = await run.update(groups);
        const all = groups.flatMap(({ judged }) => judged);
        const tried = all.flatMap(({ written: { text }, score }) =>
          score ? [{ prompt: { text }, score }] : [],
        );
        const flat = groups.filter(({ rewards }) => isFlat(rewards)).length;
        idle = learnt ? 0 : idle + 1;
        yield {
          step,
          tried,
          ...(learnt?.surprise === undefined ? {} : { entropy: learnt.surprise }),
          quantities: {
            ...learnt,
            zeroVariance: flat,
            resampled,
            empty: all.length - tried.length,
            unended: share(all, ({ written }) => written.finish === 'length'),
            promptTokens: mean(all.map(({ written }) => written.ids.length)),
            distinct: new Set(all.map(({ written }) => written.text)).size / all.length,
          },
        };
      }
      if (idle === SETTLED) {
        context.warn(`grpo: ${SETTLED} steps in a row taught nothing, the policy has settled`);
      }
    } finally {
      await run.close();
      await context.keep?.((folder) =>
        saveLora(
          folder,
          {
            ...lora,
            parameters: writer.parameters,
            prompt: '',
            template: '',
            model: lm.key,
            modelName: lm.name,
          },
          lm,
        ),
      );
    }
  },
});

/** The state of one training. */
class Course {
  private readonly context: MethodContext;
  private readonly options: Options;
  private readonly writer: PromptWriter;
  private readonly optimizer: Optimizer<AdamState>;
  private state: AdamState;
  private trainer: CompletionTrainer | undefined;
  private reader: CompletionReader | undefined;
  private reference: Parameters;

  constructor(context: MethodContext, options: Options, writer: PromptWriter) {
    this.context = context;
    this.options = options;
    this.writer = writer;
    this.optimizer = adamw({ learningRate: options.learningRate, weightDecay: 0 });
    this.state = this.optimizer.init(writer.parameters);
    this.reference = writer.parameters;
  }

  /** A start from prompts that people write: their likelihood after contexts like those to come. */
  async imitateHumans(): Promise<void> {
    const { writer, context } = this;
    const { warmSteps, warmRate, clipNorm } = this.options;
    if (warmSteps === 0) return;
    const texts = humanCandidates(context.task).map((text) => writer.idsOf(text));
    const tokens = texts.flat().length;
    const optimizer = adamw({ learningRate: warmRate, weightDecay: 0 });
    let state = optimizer.init(writer.parameters);
    const trainer = await loadCompletionTrainer(writer.lm, writer.lora, imitation);
    try {
      for (let step = 0; step < warmSteps && context.budget.isOpen; step++) {
        const weights = [texts.map((ids) => ids.map(() => 1 / tokens))];
        const signals = { advantages: [texts.map(() => 1)], oldLogProbs: weights, weights };
        const groups = [{ prompt: this.reading(), texts }];
        const { gradients } = await trainer.run(groups, signals, writer.parameters);
        const clipped = clipByGlobalNorm(gradients, clipNorm);
        [writer.parameters, state] = optimizer.update(writer.parameters, clipped, state);
      }
    } finally {
      await trainer.unload();
    }
  }

  /** From here on the policy is held to what it is now. */
  async begin(): Promise<void> {
    const { objective, clip, klWeight } = this.options;
    this.reference = this.writer.parameters;
    this.state = this.optimizer.init(this.writer.parameters);
    const made = objectives[objective].objective({ clip, klWeight });
    this.trainer = await loadCompletionTrainer(this.writer.lm, this.writer.lora, made);
  }

  /** Groups of prompts with their rewards; those that teach nothing are written again. */
  async rollout(): Promise<{ groups: Group[]; resampled: number }> {
    const { groups: count, resamples, examplesPerStep } = this.options;
    const batch = minibatch(this.context, examplesPerStep);
    let resampled = 0;
    let groups = await this.judge(
      Array.from({ length: count }, () => this.reading()),
      batch,
    );
    for (let again = 0; again < resamples && this.context.budget.isOpen; again++) {
      const flat = groups.filter(({ rewards }) => isFlat(rewards));
      if (flat.length === 0) break;
      resampled += flat.length;
      const fresh = await this.judge(
        flat.map(() => this.reading()),
        batch,
      );
      groups = [...groups.filter((group) => !flat.includes(group)), ...fresh];
    }
    return { groups, resampled };
  }

  /** Updates on the groups that teach something; nothing where none does. */
  async update(groups: readonly Group[]): Promise<Record<string, number> | undefined> {
    const { writer, options, trainer } = this;
    const live = groups.filter(({ rewards }) => !isFlat(rewards));
    if (live.length === 0) return undefined;
    const written = live.map(({ judged }) => judged.map((j) => j.written));
    const completions = completionsOf(
      live.map(({ reading }) => reading),
      written,
    );
    const tokens = written.flat().reduce((sum, { ids }) => sum + ids.length, 0);
    const signals = {
      advantages: live.map(({ rewards }) => objectives[options.objective].advantages(rewards)),
      oldLogProbs: written.map((group) => group.map(({ logProbs }) => logProbs)),
      weights: written.map((group) => group.map(({ ids }) => ids.map(() => 1 / tokens))),
      ...(options.klWeight > 0 ? { refLogProbs: await this.referenceOf(completions) } : {}),
    };
    let last: Record<string, number> = {};
    for (let i = 0; i < options.updates; i++) {
      const { quantities, gradients } = await trainer!.run(completions, signals, writer.parameters);
      const gradientNorm = globalNorm(gradients);
      last = { ...quantities, gradientNorm };
      if (!Number.isFinite(gradientNorm)) {
        this.context.warn(`grpo: the gradient is ${gradientNorm}, the update was left out`);
        break;
      }
      const clipped = clipByGlobalNorm(gradients, options.clipNorm);
      [writer.parameters, this.state] = this.optimizer.update(
        writer.parameters,
        clipped,
        this.state,
      );
    }
    return last;
  }

  async close(): Promise<void> {
    await this.trainer?.unload();
    await this.reader?.unload();
    await this.writer.close();
  }

  /** A context: the task's description and some of its examples, drawn anew. */
  private reading(): number[] {
    const { task, rng } = this.context;
    const { promptTokens } = this.options;
    const context = { description: task.description, examples: drawExamples(task, rng) };
    return this.writer.reading(messagesFor(context, { words: Math.ceil(promptTokens / 2) }));
  }

  private async judge(
    readings: readonly (readonly number[])[],
    batch: { blocks?: readonly number[] },
  ): Promise<Group[]> {
    const { environment, pool, rng, signal } = this.context;
    const each = this.options.groupSize;
    const written = await this.writer.write(readings, { each, rng, signal });
    const prompts = written.flat().filter(({ text }) => text !== '');
    const scores = await environment.step(
      prompts.map(({ text }) => ({ text })),
      batch,
    );
    const scoreOf = new Map(prompts.map((prompt, i) => [prompt, scores[i]!]));
    for (const [{ text }, score] of scoreOf) pool.add({ text }, score);
    // An empty prompt is no answer to what was asked: it fares as the worst did.
    const least = Math.min(...scores.map(({ reward }) => reward));
    return readings.map((reading, g) => {
      const judged = written[g]!.map((w) => ({ written: w, score: scoreOf.get(w) }));
      const rewards = judged.map(({ score }) => score?.reward ?? (scores.length > 0 ? least : 0));
      return { reading, judged, rewards };
    });
  }

  /** Read by a program of its own: most trainings ask for no reference. */
  private async referenceOf(
    completions: readonly CompletionGroup[],
  ): Promise<readonly (readonly Float32Array[])[]> {
    this.reader ??= await loadCompletionReader(this.writer.lm, this.writer.lora);
    return this.reader.read(completions, this.reference);
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
}

function share<T>(items: readonly T[], f: (item: T) => boolean): number {
  return items.filter(f).length / Math.max(1, items.length);
}
