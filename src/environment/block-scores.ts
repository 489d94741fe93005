/**
 * Class scores of prompts on blocks of examples, each computed once: which of them are known, in what
 * order the others are computed, and which keys and values serve them.
 */
import type { LanguageModel } from '../models/language-model.ts';
import type { PrefixCache } from '../models/programs.ts';
import { type Block, PrefixCaches } from './blocks.ts';
import type { ClassScores } from './class-scores.ts';
import type { ExampleTexts } from './example-texts.ts';
import { KeptResults } from './kept-results.ts';
import type { TaskLmPrograms } from './programs.ts';
import type { Recorder } from './recorder.ts';

type Ids = readonly number[];
type OnShare = (share: number) => void;

export interface BlockScoresParts {
  readonly taskLm: LanguageModel;
  readonly texts: ExampleTexts;
  readonly programs: TaskLmPrograms;
  readonly classScores: ClassScores;
  readonly blocks: readonly Block[];
  readonly recorder: Recorder;
  /** What the recorder knows the examples by, the task LM's precision and all else but the prompts. */
  readonly place: string;
  /** Most class scores kept between calls; a call holds as many as it needs. */
  readonly scoresKept: number;
  /** Most bytes of keys and values kept between calls. */
  readonly cacheBytes: number;
  /** Prompts of one pass, where they come first. */
  readonly promptsPerPass: number;
  readonly signal?: AbortSignal | undefined;
}

export class BlockScores {
  /** Example evaluations so far: what is known costs none. */
  evaluations = 0;
  private readonly parts: BlockScoresParts;
  private readonly caches: PrefixCaches;
  /** Class scores [E, C] by prompt and block. */
  private readonly known: KeptResults<number, Float32Array>;

  constructor(parts: BlockScoresParts) {
    this.parts = parts;
    this.caches = new PrefixCaches(parts, parts.cacheBytes);
    this.known = new KeptResults(parts.scoresKept, ({ length }) => length);
  }

  /** Runs a call of which no score is given up before it ends. */
  during<T>(call: () => Promise<T>): Promise<T> {
    return this.known.during(call);
  }

  /** Computes what is not known yet of `prompts` on `blocks`, within a call of `during`. */
  async compute(
    prompts: readonly Ids[],
    blocks: readonly number[],
    onProgress: OnShare = () => {},
  ): Promise<void> {
    const { texts, classScores } = this.parts;
    const unique = [...new Map(prompts.map((ids) => [key(ids), ids])).values()];
    for (const ids of unique) texts.checkLength(ids, classScores.wordTokens);
    if (texts.layout.order === 'prompt-first') {
      await this.computeByPrompts(unique, blocks, onProgress);
      return;
    }
    await this.cacheAhead(unique, blocks);
    for (const [i, b] of blocks.entries()) {
      onProgress(i / blocks.length);
      const missing = unique.filter((ids) => !this.known.get(key(ids), b));
      if (missing.length > 0) await this.computeBlock(missing, b);
      await this.caches.settle(this.parts.blocks[b]!);
    }
  }

  /** Class scores [examples, C] of a prompt on blocks that have been computed, in their order. */
  of(prompt: Ids, blocks: readonly number[]): Float32Array {
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

  /** Class scores [texts, C] of examples with `prompt` in them, read as whole texts. */
  ofWholes(prompt: string, wholes: readonly Ids[], onProgress: OnShare): Promise<Float32Array> {
    const { recorder, place, classScores } = this.parts;
    const asked = JSON.stringify([place, 'whole', prompt]);
    return recorder.floats(asked, () => classScores.ofTexts(wholes, onProgress));
  }

  /** Takes as known what the recorder holds. */
  knowRecorded(): void {
    const { recorder, place } = this.parts;
    for (const { key: asked, values } of recorder.known(`["${place}",`)) {
      const [, block, prompts] = JSON.parse(asked) as [string, number | string, string[]];
      if (typeof block === 'string') continue;
      this.keep(prompts, block, values);
    }
  }

  /** Lends a block's keys and values, where the input comes first; they stay as those of `compute` do. */
  async withPrefixes<T>(b: number, use: (cache: PrefixCache) => Promise<T>): Promise<T> {
    const block = this.parts.blocks[b]!;
    const result = await use(await this.caches.of(block));
    await this.caches.settle(block);
    return result;
  }

  /** Frees cached keys and values. */
  async close(): Promise<void> {
    for (const block of this.parts.blocks) await this.caches.drop(block);
  }

  /** With the prompt first, its keys and values serve all blocks: read once, then dropped. */
  private async computeByPrompts(
    prompts: readonly Ids[],
    blocks: readonly number[],
    onProgress: OnShare,
  ): Promise<void> {
    const longest = prompts.reduce((n, ids) => Math.max(n, ids.length), 1);
    const fitting = this.caches.promptsWithin(longest);
    const size = Math.max(1, Math.min(fitting, this.parts.promptsPerPass));
    for (let i = 0; i < prompts.length; i += size) {
      const some = prompts.slice(i, i + size);
      let cache: PrefixCache | undefined;
      try {
        for (const [j, b] of blocks.entries()) {
          onProgress((i + (some.length * j) / blocks.length) / prompts.length);
          const missing = some.filter((ids) => !this.known.get(key(ids), b));
          if (missing.length < some.length) {
            if (missing.length > 0) await this.computeBlock(missing, b);
            continue;
          }
          await this.computeBlock(some, b, async () => {
            cache ??= await this.cacheOf(some);
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
  private async cacheAhead(prompts: readonly Ids[], blocks: readonly number[]): Promise<void> {
    const { texts, programs } = this.parts;
    if (texts.layout.order !== 'input-first') return;
    for (const b of blocks) {
      const block = this.parts.blocks[b]!;
      const isBranchless = prompts.some((ids) => texts.isBranchless(ids, block.examples));
      if (this.caches.has(block) || isBranchless) continue;
      if (!this.caches.hasRoomFor(block)) return;
      await this.caches.of(block);
    }
    if (this.parts.blocks.every((block) => this.caches.has(block)))
      await programs.releasePrefiller();
  }

  /** Computes prompts on a block; with the prompt first, `kept` gives their keys and values. */
  private async computeBlock(
    prompts: readonly Ids[],
    b: number,
    kept?: () => Promise<PrefixCache>,
  ): Promise<void> {
    const { signal, place, recorder } = this.parts;
    const block = this.parts.blocks[b]!;
    signal?.throwIfAborted();
    const names = prompts.map(key);
    const asked = JSON.stringify([place, b, names]);
    const scores = await recorder.floats(asked, () => this.blockScores(prompts, block, kept));
    this.evaluations += prompts.length * block.examples.length;
    this.keep(names, b, scores);
  }

  /** Keeps class scores [P, E, C] of prompts on a block. */
  private keep(names: readonly string[], block: number, scores: Float32Array): void {
    const size = scores.length / names.length;
    names.forEach((name, p) => {
      this.known.set(name, block, scores.subarray(p * size, (p + 1) * size));
    });
  }

  /** Class scores [P, E, C] of prompts on a block's examples. */
  private async blockScores(
    prompts: readonly Ids[],
    block: Block,
    kept: (() => Promise<PrefixCache>) | undefined,
  ): Promise<Float32Array> {
    const { texts, classScores } = this.parts;
    const { examples } = block;
    const isBranchless = prompts.some((ids) => texts.isBranchless(ids, examples));
    if (texts.layout.order === 'masked' || isBranchless) {
      const whole = prompts.flatMap((ids) => examples.map((e) => texts.whole(ids, e)));
      return classScores.ofTexts(whole);
    }
    if (texts.layout.order === 'input-first') {
      const branches = prompts.map((ids) => [...ids, ...texts.after(examples[0]!)]);
      const scores = await classScores.ofBranches(await this.caches.of(block), branches);
      return transposed(scores, [examples.length, prompts.length]);
    }
    const cache = await (kept?.() ?? this.cacheOf(prompts));
    const scores = await classScores.ofBranches(
      cache,
      examples.map((e) => texts.after(e)),
    );
    if (!kept) await this.caches.free(cache);
    return scores;
  }

  /** Keys and values of prompts that come first; whoever asks frees them. */
  private cacheOf(prompts: readonly Ids[]): Promise<PrefixCache> {
    return this.caches.ofPrompts(prompts.map((ids) => this.parts.texts.beforeInput(ids)));
  }
}

const key = (ids: Ids): string => ids.join(' ');

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
