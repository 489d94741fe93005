/**
 * The state of one GRPO training and what is done to it, step by step: imitate, write and judge groups
 * of prompts, update. The loop around it, its options and what it reports are `grpo.ts`.
 */
import type { PromptScore } from '../environment/index.ts';
import {
  type CompletionGroup,
  type CompletionReader,
  type CompletionTrainer,
  loadCompletionReader,
  loadCompletionTrainer,
} from '../models/completions.ts';
import { completionsOf, type PromptWriter, type WrittenPrompt } from '../policy/writer.ts';
import {
  type AdamState,
  adamw,
  clipByGlobalNorm,
  globalNorm,
  type Optimizer,
  type Parameters,
} from '../tensor/index.ts';
import { type Advantages, isFlat } from './advantages.ts';
import type { GrpoOptions } from './grpo-options.ts';
import { humanCandidates } from './human-prompts.ts';
import type { WriterContext } from './method.ts';
import { objectives } from './objectives.ts';
import { finite } from './policy-loop.ts';
import { withPromptsFile } from './prompts-file.ts';
import { type DrawState, type DrawSubjects, readsEach, type Subject } from './subjects.ts';
import { warmStart } from './warm-start.ts';

/** One prompt with what it was worth; nothing was written, nothing is worth anything. */
export interface Judged {
  readonly written: WrittenPrompt;
  readonly score: PromptScore | undefined;
}

/** A context and the prompts that were written for it. */
export interface Group {
  readonly reading: readonly number[];
  readonly judged: readonly Judged[];
  readonly rewards: readonly number[];
}

/** A prompt of a group, however often it was written. */
export interface Lesson {
  readonly written: WrittenPrompt;
  readonly advantage: number;
  readonly times: number;
}

/** Prompts that are the same token by token are one lesson: they earned the same, and are read once. */
export function lessonsOf({ judged, rewards }: Group, advantagesOf: Advantages): Lesson[] {
  const advantages = advantagesOf(rewards);
  const found = new Map<string, Lesson>();
  judged.forEach(({ written }, i) => {
    const key = written.ids.join();
    const times = (found.get(key)?.times ?? 0) + 1;
    found.set(key, { written, advantage: advantages[i]!, times });
  });
  return [...found.values()];
}

export interface CourseState {
  readonly parameters: Parameters;
  readonly optimizer: AdamState;
  readonly reference: Parameters;
  readonly drawn: DrawState | undefined;
}

/** The state of one training. */
export class Course {
  private readonly context: WriterContext;
  private readonly options: GrpoOptions;
  private readonly writer: PromptWriter;
  private readonly draw: DrawSubjects;
  private readonly optimizer: Optimizer<AdamState>;
  private state: AdamState;
  private trainer: CompletionTrainer | undefined;
  private reader: CompletionReader | undefined;
  private reference: Parameters;

  constructor(
    context: WriterContext,
    options: GrpoOptions,
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

  /** A start from prompts that people write, or from earlier good ones. */
  async imitate(): Promise<void> {
    const { context, options, writer, draw } = this;
    const { warmWeight } = options;
    const { prompts = [] } = await withPromptsFile(options, { folder: context.folder ?? '.' });
    const given = [...new Set(prompts)];
    await warmStart(context, {
      writer,
      draw,
      options,
      prompts: given.length > 0 ? given : humanCandidates(context.task),
      weight: warmWeight ?? (readsEach(context) ? 'reward' : 'uniform'),
    });
  }

  after(): CourseState {
    const { writer, state: optimizer, reference, draw } = this;
    return { parameters: writer.parameters, optimizer, reference, drawn: draw.after?.() };
  }

  /** From here on the policy is held to what it is now, or to what it was held to before. */
  async begin(kept?: CourseState): Promise<void> {
    const { objective, clip, klWeight } = this.options;
    if (kept) this.writer.parameters = kept.parameters;
    if (kept?.drawn) this.draw.goOn?.(kept.drawn);
    this.reference = kept?.reference ?? this.writer.parameters;
    this.state = kept?.optimizer ?? this.optimizer.init(this.writer.parameters);
    const made = objectives[objective].objective({ clip, klWeight });
    this.trainer = await loadCompletionTrainer(this.writer.lm, this.writer.lora, made);
  }

  /** Groups of prompts with their rewards; those that teach nothing are written again. */
  async rollout(mayAgain: () => boolean): Promise<{ groups: Group[]; resampled: number }> {
    const { groups: count, resamples } = this.options;
    let resampled = 0;
    let groups = await this.judge(this.draw(count));
    for (let again = 0; again < resamples && mayAgain(); again++) {
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
    const lessons = live.map((group) => lessonsOf(group, objectives[options.objective].advantages));
    const written = lessons.map((group) => group.map((lesson) => lesson.written));
    const completions = completionsOf(
      live.map(({ reading }) => reading),
      written,
    );
    const all = lessons.flat();
    const tokens = all.reduce((sum, { written: { ids }, times }) => sum + times * ids.length, 0);
    const signals = {
      advantages: lessons.map((group) => group.map(({ advantage }) => advantage)),
      oldLogProbs: written.map((group) => group.map(({ logProbs }) => logProbs)),
      weights: lessons.map((group) =>
        group.map(({ written: { ids }, times }) => ids.map(() => times / tokens)),
      ),
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
      const judged = written[g]!.map((w) => ({ written: w, score: scores[prompts.indexOf(w)] }));
      const rewards = finite(judged.map(({ score }) => score?.reward ?? Number.NaN));
      groups.push({ reading, judged, rewards });
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
