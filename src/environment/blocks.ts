/**
 * Examples in blocks that are computed together, and the keys and values that stay between steps
 * where the input comes first: as many as the limit holds, the rest is computed again each time.
 */
import type { LanguageModel } from '../models/language-model.ts';
import { cacheBytesPerToken, type PrefixCache } from '../models/programs.ts';
import type { ExampleTexts } from './example-texts.ts';
import type { TaskLmPrograms } from './programs.ts';

/** Examples of a block, unless an environment says otherwise. */
export const EXAMPLES_PER_PASS = 8;

/** Examples that are computed together, in order of length. */
export interface Block {
  readonly examples: readonly number[];
}

/** Examples by length in blocks of `size`; a block holds examples of one group alone. */
export function divide(
  texts: ExampleTexts,
  groups: readonly (readonly number[])[],
  size = EXAMPLES_PER_PASS,
): Block[] {
  return groups.flatMap((group) => {
    const order = [...group].sort((a, b) => texts.lengthOf(a) - texts.lengthOf(b));
    const blocks: Block[] = [];
    for (let i = 0; i < order.length; i += size)
      blocks.push({ examples: order.slice(i, i + size) });
    return blocks;
  });
}

export class PrefixCaches {
  /** Most bytes that stay. */
  private readonly limit: number;
  private readonly taskLm: LanguageModel;
  private readonly texts: ExampleTexts;
  private readonly programs: TaskLmPrograms;
  private readonly kept = new Map<Block, PrefixCache>();
  private bytes = 0;

  constructor(
    parts: { taskLm: LanguageModel; texts: ExampleTexts; programs: TaskLmPrograms },
    limit: number,
  ) {
    this.taskLm = parts.taskLm;
    this.texts = parts.texts;
    this.programs = parts.programs;
    this.limit = limit;
  }

  has(block: Block): boolean {
    return this.kept.has(block);
  }

  /** Whether a block's keys and values fit beside those that are kept. */
  hasRoomFor({ examples }: Block): boolean {
    const longest = Math.max(...examples.map((e) => this.texts.before(e).length));
    const bytes = examples.length * longest * cacheBytesPerToken(this.taskLm);
    return this.bytes + bytes <= this.limit;
  }

  /** Prompts of so many tokens whose keys and values are no more than may stay. */
  promptsWithin(tokens: number): number {
    return Math.floor(this.limit / (tokens * cacheBytesPerToken(this.taskLm)));
  }

  /** A block's keys and values; `settle` must follow once they have been read. */
  async of(block: Block): Promise<PrefixCache> {
    const known = this.kept.get(block);
    if (known) return known;
    const prefiller = await this.programs.prefiller();
    const cache = await prefiller.run(block.examples.map((e) => this.texts.before(e)));
    this.kept.set(block, cache);
    this.bytes += cache.sizeBytes;
    return cache;
  }

  /** Gives up a block's keys and values where more is kept than may be. */
  async settle(block: Block): Promise<void> {
    if (this.bytes > this.limit) await this.drop(block);
  }

  /** Keys and values of what stands before the input; whoever asks frees them. */
  async ofPrompts(prefixes: readonly (readonly number[])[]): Promise<PrefixCache> {
    return (await this.programs.promptPrefiller()).run(prefixes);
  }

  async free(cache: PrefixCache): Promise<void> {
    await this.taskLm.engine.drop(Object.values(cache.tensors));
  }

  async drop(block: Block): Promise<void> {
    const cache = this.kept.get(block);
    if (!cache) return;
    await this.free(cache);
    this.bytes -= cache.sizeBytes;
    this.kept.delete(block);
  }
}
