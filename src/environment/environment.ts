/**
 * The environment: a frozen task LM, examples and a reward. `step(prompts)` gives one reward a
 * prompt. What repeats is computed once: with `{input} {prompt}` the examples' keys and values, with
 * `{prompt} {input}` each prompt's; no prompt is scored twice on an example.
 *
 * `step` takes a prompt's ids as they are; `evaluate` renders its text, tokenises it afresh and is
 * what reported scores come from.
 */
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Precision } from '../models/prepared-weights.ts';
import type { PrefixCache } from '../models/programs.ts';
import type { ComposedReward } from '../tasks/rewards/composed.ts';
import type { RewardFunction } from '../tasks/rewards/index.ts';
import type { Example, Task } from '../tasks/task.ts';
import { sha256Json } from '../util/hash.ts';
import { BlockScores } from './block-scores.ts';
import { type Block, divide } from './blocks.ts';
import { type Charge, charged } from './charge.ts';
import { checkTask } from './check-task.ts';
import { ClassScores } from './class-scores.ts';
import { ExampleTexts } from './example-texts.ts';
import { labelWordsOf } from './label-words.ts';
import type { Layout, Prompt, Rendered } from './layout.ts';
import { TaskLmPrograms } from './programs.ts';
import { type PromptScore, scoreOf } from './prompt-score.ts';
import type { AnsweredExample, PromptScorer } from './prompt-scorer.ts';
import { noRecorder, type Recorder } from './recorder.ts';

export { EXAMPLES_PER_PASS } from './blocks.ts';
export type { Prompt } from './layout.ts';
export type { PromptScore } from './prompt-score.ts';

/** 256 MB of class scores. */
const SCORES_KEPT = 64e6;
const CACHE_BYTES = 2e9;
const PROMPTS_PER_PASS = 16;

export interface EnvironmentOptions {
  readonly task: Task;
  readonly taskLm: LanguageModel;
  readonly examples: readonly Example[];
  readonly reward: RewardFunction;
  /** What becomes of an example's reward under a prompt. @default it stays as it is */
  readonly compose?: Compose | undefined;
  readonly precision: Precision;
  /** Most bytes of keys and values kept between steps; more is streamed. @default 2 GB */
  readonly cacheBytes?: number;
  /** Most class scores kept between calls; a call holds as many as it needs. @default 64 million */
  readonly scoresKept?: number;
  /** Prompts of one pass, where they come first. @default 16 */
  readonly promptsPerPass?: number;
  /** Examples of one pass. @default EXAMPLES_PER_PASS */
  readonly examplesPerPass?: number;
  /** Indices of examples that are asked for together, each once: a block holds such alone. @default all */
  readonly together?: readonly (readonly number[])[];
  readonly prepack?: boolean;
  /** Programs shared with other environments of the same task LM and precision. */
  readonly programs?: TaskLmPrograms;
  /** What texts cost beside the task: taken off their rewards. */
  readonly charge?: Charge;
  /** Keeps what is computed, with a run. @default nothing is kept */
  readonly recorder?: Recorder;
  /** Aborted: ends the work between two passes, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The parts of a reward, from the label words' own and the prompt that earned it. */
export type Compose = (
  own: number,
  prompt: { readonly text: string; readonly ids: readonly number[] },
) => ComposedReward;

export class Environment implements PromptScorer {
  readonly task: Task;
  readonly taskLm: LanguageModel;
  readonly examples: readonly Example[];
  readonly precision: Precision;
  private readonly options: EnvironmentOptions;
  private readonly texts: ExampleTexts;
  private readonly blocks: readonly Block[];
  private readonly programs: TaskLmPrograms;
  private readonly scores: BlockScores;

  constructor(options: EnvironmentOptions) {
    const { task, taskLm, examples, together } = options;
    if (examples.length === 0)
      throw new ConfigError(`task ${task.name}: there are no examples to score on`);
    this.options = options;
    this.task = task;
    this.taskLm = taskLm;
    this.examples = examples;
    this.precision = options.precision;
    const texts = new ExampleTexts(task, taskLm, examples);
    const blocks = divide(texts, together ?? [examples.map((_, e) => e)], options.examplesPerPass);
    const programs = options.programs ?? new TaskLmPrograms(taskLm, options);
    const labels = labelWordsOf(task, taskLm.config.kind, taskLm.tokenizer);
    this.texts = texts;
    this.blocks = blocks;
    this.programs = programs;
    this.scores = new BlockScores({
      taskLm,
      texts,
      blocks,
      programs,
      classScores: new ClassScores(programs, labels, (ids) => texts.answerPlace(ids)),
      recorder: options.recorder ?? noRecorder,
      place: options.recorder ? placeOf(options, blocks) : '',
      scoresKept: options.scoresKept ?? SCORES_KEPT,
      cacheBytes: options.cacheBytes ?? CACHE_BYTES,
      promptsPerPass: options.promptsPerPass ?? PROMPTS_PER_PASS,
      signal: options.signal,
    });
  }

  /** Task-LM example evaluations so far: answers from the cache cost none. */
  get evaluations(): number {
    return this.scores.evaluations;
  }

  get layout(): Layout {
    return this.texts.layout;
  }

  /** Number of blocks that `step` can be limited to. */
  get blockCount(): number {
    return this.blocks.length;
  }

  /**
   * Rewards of prompts, over all examples or over some blocks of them (a minibatch).
   * @throws ConfigError when a prompt does not fit the task LM's context
   */
  async step(
    prompts: readonly Prompt[],
    options: { blocks?: readonly number[] } = {},
  ): Promise<PromptScore[]> {
    const blocks = options.blocks ?? this.blocks.map((_, i) => i);
    const ids = prompts.map((prompt) => prompt.ids ?? this.layout.prompt(prompt.text));
    const wanted = blocks.flatMap((block) => this.blocks[block]!.examples);
    const scores = await this.scores.during(async () => {
      await this.scores.compute(ids, blocks);
      return ids.map((prompt, p) =>
        this.summarise(this.scores.of(prompt, blocks), wanted, {
          text: prompts[p]!.text,
          ids: prompt,
        }),
      );
    });
    return this.charge(
      prompts.map(({ text }) => text),
      scores,
    );
  }

  /**
   * Scores of texts, pasted into the template and tokenised afresh for every example. `onProgress`
   * is told the share that is done, between passes; what it throws ends the work.
   */
  async evaluate(
    texts: readonly string[],
    onProgress: (share: number) => void = () => {},
  ): Promise<PromptScore[]> {
    const scores = await this.scores.during(() => this.evaluateAll(texts, onProgress));
    return this.charge(texts, scores);
  }

  private async evaluateAll(
    texts: readonly string[],
    onProgress: (share: number) => void,
  ): Promise<PromptScore[]> {
    const all = this.examples.map((_, e) => e);
    const blocks = this.blocks.map((_, b) => b);
    const order = this.blocks.flatMap(({ examples }) => examples);
    const readings = texts.map((text) => {
      const prompt = this.layout.prompt(text);
      const joint = this.examples.map(({ input }) => this.layout.whole(input, text));
      // Where a text reads differently as a whole than in parts, the whole counts.
      const odd =
        this.layout.order === 'masked'
          ? all
          : all.filter((e) => !sameIds(joint[e]!, this.texts.whole(prompt, e)));
      return { prompt, joint, odd };
    });
    const divisible = readings.filter(({ odd }) => odd.length < all.length);
    await this.scores.compute(
      divisible.map(({ prompt }) => prompt),
      blocks,
      onProgress,
    );
    const out: PromptScore[] = [];
    const C = this.task.classes.length;
    for (const [r, { prompt, joint, odd }] of readings.entries()) {
      const scores = new Float32Array(all.length * C);
      if (odd.length < all.length) {
        const known = this.scores.of(prompt, blocks);
        order.forEach((e, i) => {
          scores.set(known.subarray(i * C, (i + 1) * C), e * C);
        });
      }
      if (odd.length > 0) {
        const afresh = await this.scores.ofWholes(
          texts[r]!,
          odd.map((e) => joint[e]!),
          (share) => onProgress((r + share) / readings.length),
        );
        odd.forEach((e, i) => {
          scores.set(afresh.subarray(i * C, (i + 1) * C), e * C);
        });
      }
      out.push(this.summarise(scores, all, { text: texts[r]!, ids: prompt }));
    }
    return out;
  }

  /** Indices of a block's examples. */
  examplesOf(block: number): readonly number[] {
    return this.blocks[block]!.examples;
  }

  answered(score: PromptScore, at: number): AnsweredExample {
    const { classes } = this.task;
    const example = this.examples[score.examples[at]!]!;
    return {
      input: example.input,
      answer: classes[score.predicted[at]!]!.word,
      gold: classes[example.label]!.word,
      reward: score.rewards[at]!,
    };
  }

  checkRoom(texts: readonly string[]): void {
    const longest = Math.max(...texts.map((text) => this.layout.prompt(text).length));
    checkTask(this.task, this.taskLm, longest);
  }

  /** A prompt in its place in one example's text: all ids, and where the answer is read. */
  rendered(prompt: readonly number[], e: number): Rendered {
    return this.texts.rendered(prompt, e);
  }

  /** Lends a block's keys and values, where the input comes first; they are kept as `step` keeps them. */
  withPrefixes<T>(b: number, use: (cache: PrefixCache) => Promise<T>): Promise<T> {
    return this.scores.withPrefixes(b, use);
  }

  knowRecorded(): void {
    this.scores.knowRecorded();
  }

  /** Frees cached keys and values, and programs unless they are shared. */
  async close(): Promise<void> {
    await this.scores.close();
    if (!this.options.programs) await this.programs.unload();
  }

  /** The one place where a prompt's text has a price. */
  private async charge(texts: readonly string[], scores: PromptScore[]): Promise<PromptScore[]> {
    const prices = await this.options.charge?.(texts);
    return prices ? scores.map((score, i) => charged(score, prices[i]!)) : scores;
  }

  /** Sums up class scores [examples, C], in the order of `examples`. */
  private summarise(
    scores: Float32Array,
    examples: readonly number[],
    prompt: { readonly text: string; readonly ids: readonly number[] },
  ): PromptScore {
    const { reward, compose } = this.options;
    const composed = compose && ((own: number) => compose(own, prompt));
    const own = examples.map((e) => this.examples[e]!);
    return { ...scoreOf(scores, own, { reward, compose: composed }), examples };
  }
}

/** What a recorder knows an environment by: all that decides its scores but the prompts. */
function placeOf(
  { task, precision, examples }: EnvironmentOptions,
  blocks: readonly Block[],
): string {
  const words = task.classes.map(({ word }) => word);
  const about = [precision, task.template.source, words, examples.map(({ id }) => id), blocks];
  return sha256Json(about).slice(0, 16);
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
