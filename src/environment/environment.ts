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
import { cacheBytesPerToken, type PrefixCache } from '../models/programs.ts';
import type { ComposedReward } from '../tasks/rewards/composed.ts';
import type { RewardFunction } from '../tasks/rewards/index.ts';
import type { Example, Task } from '../tasks/task.ts';
import { sha256Json } from '../util/hash.ts';
import { type Block, divide, PrefixCaches } from './blocks.ts';
import { type Charge, charged } from './charge.ts';
import { checkTask } from './check-task.ts';
import { ClassScores } from './class-scores.ts';
import { ExampleTexts } from './example-texts.ts';
import { KeptResults } from './kept-results.ts';
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
  /** Task-LM example evaluations so far: answers from the cache cost none. */
  evaluations = 0;
  private readonly options: EnvironmentOptions;
  private readonly texts: ExampleTexts;
  private readonly classScores: ClassScores;
  /** Class scores [E, C] by block. */
  private readonly known: KeptResults<number, Float32Array>;
  private readonly blocks: readonly Block[];
  private readonly caches: PrefixCaches;
  private readonly programs: TaskLmPrograms;
  private readonly recorder: Recorder;
  /** What a recorder knows this environment by: all that decides its scores but the prompts. */
  private readonly place: string;

  constructor(options: EnvironmentOptions) {
    const { task, taskLm, examples, together } = options;
    if (examples.length === 0)
      throw new ConfigError(`task ${task.name}: there are no examples to score on`);
    this.options = options;
    this.task = task;
    this.taskLm = taskLm;
    this.examples = examples;
    this.precision = options.precision;
    this.texts = new ExampleTexts(task, taskLm, examples);
    this.programs = options.programs ?? new TaskLmPrograms(taskLm, options);
    const labels = labelWordsOf(task, taskLm.config.kind, taskLm.tokenizer);
    this.classScores = new ClassScores(this.programs, labels, (ids) => this.texts.answerPlace(ids));
    this.known = new KeptResults(options.scoresKept ?? SCORES_KEPT, ({ length }) => length);
    this.blocks = divide(
      this.texts,
      together ?? [examples.map((_, e) => e)],
      options.examplesPerPass,
    );
    this.caches = new PrefixCaches(
      { taskLm, texts: this.texts, programs: this.programs },
      options.cacheBytes ?? 2e9,
    );
    this.recorder = options.recorder ?? noRecorder;
    this.place = options.recorder ? this.describe() : '';
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
    const scores = await this.known.during(async () => {
      await this.fill(ids, blocks);
      return ids.map((prompt, p) =>
        this.summarise(this.knownOf(prompt, blocks), wanted, {
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
    const scores = await this.known.during(() => this.evaluateAll(texts, onProgress));
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
    await this.fill(
      divisible.map(({ prompt }) => prompt),
      blocks,
      onProgress,
    );
    const out: PromptScore[] = [];
    const C = this.task.classes.length;
    for (const [r, { prompt, joint, odd }] of readings.entries()) {
      const scores = new Float32Array(all.length * C);
      if (odd.length < all.length) {
        const known = this.knownOf(prompt, blocks);
        order.forEach((e, i) => {
          scores.set(known.subarray(i * C, (i + 1) * C), e * C);
        });
      }
      if (odd.length > 0) {
        const asked = JSON.stringify([this.place, 'whole', texts[r]]);
        const afresh = await this.recorder.floats(asked, () =>
          this.classScores.ofTexts(
            odd.map((e) => joint[e]!),
            (share) => onProgress((r + share) / readings.length),
          ),
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
  async withPrefixes<T>(b: number, use: (cache: PrefixCache) => Promise<T>): Promise<T> {
    const block = this.blocks[b]!;
    const result = await use(await this.caches.of(block));
    await this.caches.settle(block);
    return result;
  }

  /** Frees cached keys and values, and programs unless they are shared. */
  async close(): Promise<void> {
    for (const block of this.blocks) await this.caches.drop(block);
    if (!this.options.programs) await this.programs.unload();
  }

  knowRecorded(): void {
    const E = (block: number) => this.blocks[block]!.examples;
    const C = this.task.classes.length;
    for (const { key: asked, values } of this.recorder.known(`["${this.place}",`)) {
      const [, block, prompts] = JSON.parse(asked) as [string, number | string, string[]];
      if (typeof block === 'string') continue;
      const size = E(block).length * C;
      prompts.forEach((prompt, p) => {
        this.known.set(prompt, block, values.subarray(p * size, (p + 1) * size));
      });
    }
  }

  private describe(): string {
    const { task, precision, examples, blocks } = this;
    const words = task.classes.map(({ word }) => word);
    const about = [precision, task.template.source, words, examples.map(({ id }) => id), blocks];
    return sha256Json(about).slice(0, 16);
  }

  /** The one place where a prompt's text has a price. */
  private async charge(texts: readonly string[], scores: PromptScore[]): Promise<PromptScore[]> {
    const prices = await this.options.charge?.(texts);
    return prices ? scores.map((score, i) => charged(score, prices[i]!)) : scores;
  }

  /** Class scores [examples, C] of a prompt on blocks that are known, in their order. */
  private knownOf(prompt: readonly number[], blocks: readonly number[]): Float32Array {
    const name = key(prompt);
    const parts = blocks.map((block) => this.known.get(name, block)!);
    const scores = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      scores.set(part, at);
      at += part.length;
    }
    return scores;
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

  /** Computes what is not known yet of `prompts` on `blocks`. */
  private async fill(
    prompts: readonly (readonly number[])[],
    blocks: readonly number[],
    onProgress: (share: number) => void = () => {},
  ): Promise<void> {
    const unique = [...new Map(prompts.map((ids) => [key(ids), ids])).values()];
    for (const ids of unique) this.texts.checkLength(ids, this.classScores.wordTokens);
    if (this.layout.order === 'prompt-first') {
      await this.fillByPrompts(unique, blocks, onProgress);
      return;
    }
    await this.cacheAhead(unique, blocks);
    for (const [i, b] of blocks.entries()) {
      onProgress(i / blocks.length);
      const block = this.blocks[b]!;
      const missing = unique.filter((ids) => !this.known.get(key(ids), b));
      if (missing.length > 0) await this.compute(missing, block);
      await this.caches.settle(block);
    }
  }

  /** With the prompt first, its keys and values serve all blocks: read once, then dropped. */
  private async fillByPrompts(
    prompts: readonly (readonly number[])[],
    blocks: readonly number[],
    onProgress: (share: number) => void,
  ): Promise<void> {
    const longest = prompts.reduce((n, ids) => Math.max(n, ids.length), 1);
    const fitting = Math.floor(this.caches.limit / (longest * cacheBytesPerToken(this.taskLm)));
    const size = Math.max(1, Math.min(fitting, this.options.promptsPerPass ?? 16));
    for (let i = 0; i < prompts.length; i += size) {
      const some = prompts.slice(i, i + size);
      let cache: PrefixCache | undefined;
      try {
        for (const [j, b] of blocks.entries()) {
          onProgress((i + (some.length * j) / blocks.length) / prompts.length);
          const block = this.blocks[b]!;
          const missing = some.filter((ids) => !this.known.get(key(ids), b));
          if (missing.length < some.length) {
            if (missing.length > 0) await this.compute(missing, block);
            continue;
          }
          await this.compute(some, block, async () => {
            cache ??= await this.caches.ofPrompts(some.map((ids) => this.texts.beforeInput(ids)));
            return cache;
          });
        }
      } finally {
        if (cache) await this.caches.free(cache);
      }
    }
  }

  /**
   * Prefixes are computed before the program that branches off them is loaded, and what computed them
   * is freed, so that two copies of the weights are never in memory at once.
   */
  private async cacheAhead(
    prompts: readonly (readonly number[])[],
    blocks: readonly number[],
  ): Promise<void> {
    if (this.layout.order !== 'input-first') return;
    for (const b of blocks) {
      const block = this.blocks[b]!;
      const isBranchless = prompts.some((ids) => this.texts.isBranchless(ids, block.examples));
      if (this.caches.has(block) || isBranchless) continue;
      if (!this.caches.hasRoomFor(block)) return;
      await this.caches.of(block);
    }
    if (this.blocks.every((block) => this.caches.has(block)))
      await this.programs.releasePrefiller();
  }

  /** Computes prompts on a block; with the prompt first, `kept` gives their keys and values. */
  private async compute(
    prompts: readonly (readonly number[])[],
    block: Block,
    kept?: () => Promise<PrefixCache>,
  ): Promise<void> {
    const E = block.examples.length;
    const at = this.blocks.indexOf(block);
    this.options.signal?.throwIfAborted();
    const asked = JSON.stringify([this.place, at, prompts.map(key)]);
    const scores = await this.recorder.floats(asked, () => this.blockScores(prompts, block, kept));
    this.evaluations += prompts.length * E;
    const size = E * this.task.classes.length;
    prompts.forEach((ids, p) => {
      this.known.set(key(ids), at, scores.subarray(p * size, (p + 1) * size));
    });
  }

  /** Class scores [P, E, C] of prompts on a block's examples. */
  private async blockScores(
    prompts: readonly (readonly number[])[],
    block: Block,
    kept: (() => Promise<PrefixCache>) | undefined,
  ): Promise<Float32Array> {
    const { texts, caches } = this;
    const isBranchless = prompts.some((ids) => texts.isBranchless(ids, block.examples));
    if (this.layout.order === 'masked' || isBranchless) {
      const whole = prompts.flatMap((ids) => block.examples.map((e) => texts.whole(ids, e)));
      return this.classScores.ofTexts(whole);
    }
    if (this.layout.order === 'input-first') {
      const branches = prompts.map((ids) => [...ids, ...texts.after(block.examples[0]!)]);
      const scores = await this.classScores.ofBranches(await caches.of(block), branches);
      return transposed(scores, [block.examples.length, prompts.length]);
    }
    const cache = await (kept?.() ??
      caches.ofPrompts(prompts.map((ids) => texts.beforeInput(ids))));
    const scores = await this.classScores.ofBranches(
      cache,
      block.examples.map((e) => texts.after(e)),
    );
    if (!kept) await caches.free(cache);
    return scores;
  }
}

const key = (ids: readonly number[]): string => ids.join(' ');

/** [A, B, C] as [B, A, C]. */
function transposed(values: Float32Array, [A, B]: readonly [number, number]): Float32Array {
  const C = values.length / (A * B);
  const out = new Float32Array(values.length);
  for (let a = 0; a < A; a++) {
    for (let b = 0; b < B; b++) {
      out.set(values.subarray((a * B + b) * C, (a * B + b + 1) * C), (b * A + a) * C);
    }
  }
  return out;
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
