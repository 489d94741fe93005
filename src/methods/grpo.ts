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
 * Where the policy reads a conversation or a question (`policy.context`), each group is written for one
 * train example and judged on it alone; the result is then the policy itself.
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
import { drawExamples } from '../policy/messages.ts';
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
import { type Made, refuseMisfit } from './fits.ts';
import { humanCandidates } from './human-prompts.ts';
import { type MethodContext, method } from './method.ts';
import { imitation, objectives } from './objectives.ts';
import { examplesPerStep, stepEvaluations } from './policy-loop.ts';
import { type DrawSubjects, eachExample, readsEach, type Subject, wholeTask } from './subjects.ts';
import {
  type OpenPolicy,
  openPolicy,
  policySolution,
  savePolicy,
  scoreWritten,
  type WriterRecipe,
} from './written-prompts.ts';

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
  prompts: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('What is imitated before; the built-in human prompts when left out'),
  validateEvery: z
    .int()
    .min(1)
    .default(10)
    .describe('Steps between looks at the validation split, where the policy is the result'),
  warmRate: z.number().positive().default(5e-4).describe('Adam’s step size while imitating'),
  clipNorm: z.number().positive().default(1).describe('Largest global norm of the gradient'),
  precision: z
    .enum(['float32', 'int8-blocks'])
    .default('int8-blocks')
    .describe('Of the policy LM while it writes; it learns in float32'),
});

type Options = z.infer<typeof options>;

/** Of the budget, at most, while imitating. */
const WARM_SHARE = 0.15;

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
  async open(path, context) {
    return policySolution(context, await openPolicy(path, await context.policyLm()));
  },
  async *run(context, o) {
    const lm = await context.policyLm();
    const lora = { rank: o.rank, alpha: o.alpha, layers: o.layers };
    const writer = await PromptWriter.open(lm, { ...o, lora, rng: context.rng.fork('adapter') });
    if (writer.chat.isPlain) {
      context.warn(`policyLm: ${lm.name} has no chat template, it reads the context as plain text`);
    }
    const isEach = readsEach(context);
    const recipe: WriterRecipe = {
      reads: [...context.reads],
      promptTokens: o.promptTokens,
      precision: o.precision,
      description: context.task.description,
      examples: drawExamples(context.task, context.rng.fork('shown')),
    };
    const policy = { writer, recipe };
    const draw = isEach
      ? eachExample(context, recipe, writer)
      : wholeTask(context, recipe, { ...o, writer });
    const run = new Course(context, o, { writer, draw });
    const best = isEach ? new BestPolicy(context, policy) : undefined;
    const kept = context.restore?.() as GrpoState | undefined;
    let idle = kept?.idle ?? 0;
    try {
      if (kept) refuseMisfit(kept.made, lora);
      else {
        await run.imitateHumans();
        await best?.look();
      }
      await run.begin(kept?.course);
      if (kept?.best) best?.goOn(kept.best);
      for (let step = (kept?.step ?? 0) + 1; context.budget.isOpen && idle < SETTLED; step++) {
        const { groups, resampled } = await run.rollout();
        const learnt = await run.update(groups);
        if (step % o.validateEvery === 0) await best?.look();
        const all = groups.flatMap(({ judged }) => judged);
        const tried = all.flatMap(({ written: { text }, score }) =>
          score ? [{ prompt: { text }, score }] : [],
        );
        const flat = groups.filter(({ rewards }) => isFlat(rewards)).length;
        idle = learnt ? 0 : idle + 1;
        const after = { made: lora, step, idle };
        yield {
          step,
          tried,
          state: (): GrpoState => ({ ...after, course: run.after(), best: best?.after() }),
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
      await best?.look();
    } finally {
      await run.close();
      if (best?.parameters) {
        writer.parameters = best.parameters;
        context.propose(policySolution(context, policy));
      } else {
        await context.keep?.((folder) => savePolicy(folder, policy));
        await writer.close();
      }
    }
  },
});

interface GrpoState {
  readonly made: Made;
  readonly step: number;
  /** Steps in a row that taught nothing. */
  readonly idle: number;
  readonly course: CourseState;
  readonly best: BestState | undefined;
}

interface CourseState {
  readonly parameters: Parameters;
  readonly optimizer: AdamState;
  readonly reference: Parameters;
}

interface BestState {
  readonly reward: number;
  /** Undefined: those that learn. */
  readonly parameters: Parameters | undefined;
}

/** The policy as it was when validation examples fared best with the prompts that it writes for them. */
class BestPolicy {
  parameters: Parameters | undefined;
  private readonly context: MethodContext;
  private readonly policy: OpenPolicy;
  private reward = Number.NEGATIVE_INFINITY;

  constructor(context: MethodContext, policy: OpenPolicy) {
    this.context = context;
    this.policy = policy;
  }

  after(): BestState | undefined {
    if (!this.parameters) return undefined;
    const isCurrent = this.parameters === this.policy.writer.parameters;
    return { reward: this.reward, parameters: isCurrent ? undefined : this.parameters };
  }

  goOn({ reward, parameters }: BestState): void {
    this.reward = reward;
    this.parameters = parameters ?? this.policy.writer.parameters;
  }

  async look(): Promise<void> {
    const { context, policy } = this;
    if (this.parameters === policy.writer.parameters) return;
    const { validation, budget } = context;
    const { reward } = await scoreWritten(context, policy, validation, 'int8');
    budget.spend(validation.length);
    if (reward <= this.reward) return;
    this.reward = reward;
    this.parameters = policy.writer.parameters;
  }
}

/** The state of one training. */
class Course {
  private readonly context: MethodContext;
  private readonly options: Options;
  private readonly writer: PromptWriter;
  private readonly draw: DrawSubjects;
  private readonly optimizer: Optimizer<AdamState>;
  private state: AdamState;
  private trainer: CompletionTrainer | undefined;
  private reader: CompletionReader | undefined;
  private reference: Parameters;

  constructor(
    context: MethodContext,
    options: Options,
    { writer, draw }: { writer: PromptWriter; draw: DrawSubjects },
  ) {
    this.context = context;
    this.options = options;
    this.writer = writer;
    this.draw = draw;
    this.optimizer = adamw({ learningRate: options.learningRate, weightDecay: 0 });
    this.state = this.optimizer.init(writer.parameters);
    this.reference = writer.parameters;
  }

  /** A start from prompts that people write: their likelihood after contexts like those to come. */
  async imitateHumans(): Promise<void> {
    const { writer, context } = this;
    const { warmSteps, warmRate, clipNorm } = this.options;
    if (warmSteps === 0) return;
    const given = this.options.prompts ?? humanCandidates(context.task);
    const texts = given.map((text) => writer.idsOf(text));
    const tokens = texts.flat().length;
    const optimizer = adamw({ learningRate: warmRate, weightDecay: 0 });
    let state = optimizer.init(writer.parameters);
    const trainer = await loadCompletionTrainer(writer.lm, writer.lora, imitation);
    try {
      for (let step = 0; step < warmSteps && context.budget.spent < WARM_SHARE; step++) {
        const weights = [texts.map((ids) => ids.map(() => 1 / tokens))];
        const signals = { advantages: [texts.map(() => 1)], oldLogProbs: weights, weights };
        const groups = [{ prompt: this.draw(1)[0]!.reading, texts }];
        const { gradients } = await trainer.run(groups, signals, writer.parameters);
        const clipped = clipByGlobalNorm(gradients, clipNorm);
        [writer.parameters, state] = optimizer.update(writer.parameters, clipped, state);
      }
    } finally {
      await trainer.unload();
    }
  }

  after(): CourseState {
    return {
      parameters: this.writer.parameters,
      optimizer: this.state,
      reference: this.reference,
    };
  }

  /** From here on the policy is held to what it is now, or to what it was held to before. */
  async begin(kept?: CourseState): Promise<void> {
    const { objective, clip, klWeight } = this.options;
    if (kept) this.writer.parameters = kept.parameters;
    this.reference = kept?.reference ?? this.writer.parameters;
    this.state = kept?.optimizer ?? this.optimizer.init(this.writer.parameters);
    const made = objectives[objective].objective({ clip, klWeight });
    this.trainer = await loadCompletionTrainer(this.writer.lm, this.writer.lora, made);
  }

  /** Groups of prompts with their rewards; those that teach nothing are written again. */
  async rollout(): Promise<{ groups: Group[]; resampled: number }> {
    const { groups: count, resamples } = this.options;
    let resampled = 0;
    let groups = await this.judge(this.draw(count));
    for (let again = 0; again < resamples && this.context.budget.isOpen; again++) {
      const flat = groups.filter(({ rewards }) => isFlat(rewards));
      if (flat.length === 0) break;
      resampled += flat.length;
      const fresh = await this.judge(this.draw(flat.length));
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
  }

  private async judge(subjects: readonly Subject[]): Promise<Group[]> {
    const { rng, signal } = this.context;
    const readings = subjects.map(({ reading }) => reading);
    const each = this.options.groupSize;
    const written = await this.writer.write(readings, { each, rng, signal });
    const groups: Group[] = [];
    for (const [g, { reading, judge }] of subjects.entries()) {
      const prompts = written[g]!.filter(({ text }) => text !== '');
      const scores = prompts.length > 0 ? await judge(prompts.map(({ text }) => ({ text }))) : [];
      // An empty prompt is no answer to what was asked: it fares as the worst did.
      const least = scores.reduce((a, { reward }) => Math.min(a, reward), scores[0]?.reward ?? 0);
      const judged = written[g]!.map((w) => ({ written: w, score: scores[prompts.indexOf(w)] }));
      groups.push({ reading, judged, rewards: judged.map(({ score }) => score?.reward ?? least) });
    }
    return groups;
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
