/**
 * The gradient of a prompt's loss: the mean over examples of −log p(gold label word), p over the
 * label words, differentiated with respect to the prompt's word embeddings [T, D]. With
 * `{input} {prompt}` the examples' cached keys and values are used, so that it flows through the
 * prompt's own positions; elsewhere through whole texts. Always float32.
 *
 * Of label words of several tokens the first token is taken.
 */
import { ConfigError } from '../errors.ts';
import { type FirstOrder, loadFirstOrder } from '../models/first-order.ts';
import {
  type BranchTrainer,
  loadBranchTrainer,
  loadSequenceTrainer,
  type SequenceTrainer,
} from '../models/training.ts';
import type { Environment } from './environment.ts';
import { labelWordsOf } from './label-words.ts';

/** Loss and gradient at a prompt. */
export interface PromptSlope {
  /** Mean cross-entropy over the examples, in nats. */
  readonly loss: number;
  /** Examples differentiated, each as often as there were embeddings in turn. */
  readonly examples: number;
  /** ∇ [T, D], of the mean loss. */
  readonly gradient: Float32Array<ArrayBuffer>;
  /** Word embeddings of the prompt [T, D]. */
  readonly words: Float32Array<ArrayBuffer>;
}

export interface SlopeOptions {
  /** @default all */
  readonly blocks?: readonly number[];
  /** A class to ask for in place of each example's gold one. */
  readonly label?: number;
  /** Embeddings [D] that take turns with the word in a slot: the gradient is averaged over them. */
  readonly turns?: { readonly slot: number; readonly words: readonly Float32Array[] };
  /** Told how many examples were differentiated since it was last told; what it throws ends the work. */
  readonly onExamples?: (examples: number) => void;
}

/** Losses of a block's examples at each of N prompts, and the gradients of their sums. */
interface BlockSlope {
  /** [E, N] */
  readonly losses: Float32Array;
  /** [N, T, D] */
  readonly gradient: Float32Array;
}

/** N prompts of T tokens, by their word embeddings [N, T, D]. */
interface Prompts {
  readonly words: Float32Array<ArrayBuffer>;
  readonly count: number;
  readonly length: number;
}

export class PromptGradient {
  private readonly environment: Environment;
  private readonly firstOrder: FirstOrder;
  private readonly labels: readonly number[];
  private branches: Promise<BranchTrainer> | undefined;
  /** By the number of the prompt's tokens. */
  private readonly sequences = new Map<number, Promise<SequenceTrainer>>();

  private readonly means = new Map<readonly number[], Promise<Float32Array>>();

  private constructor(environment: Environment, firstOrder: FirstOrder, labels: number[]) {
    this.environment = environment;
    this.firstOrder = firstOrder;
    this.labels = labels;
  }

  /** @throws ConfigError when label words begin with the same token */
  static async load(environment: Environment): Promise<PromptGradient> {
    const labels = firstTokens(environment);
    return new PromptGradient(environment, await loadFirstOrder(environment.taskLm), labels);
  }

  /** At the ids of a prompt of at least one token. */
  async at(
    ids: readonly number[],
    { blocks, label, turns, onExamples }: SlopeOptions = {},
  ): Promise<PromptSlope> {
    const { environment } = this;
    const words = await this.firstOrder.words(ids);
    const prompts = inTurns(words, ids.length, turns);
    const size = words.length;
    const gradient = new Float32Array(size);
    let loss = 0;
    let examples = 0;
    for (const block of blocks ?? Array.from({ length: environment.blockCount }, (_, b) => b)) {
      const gold = environment
        .examplesOf(block)
        .map((e) => label ?? environment.examples[e]!.label);
      const part =
        environment.layout.order === 'input-first'
          ? await this.afterPrefixes(prompts, { block, gold })
          : await this.throughTexts(prompts, { block, gold });
      examples += gold.length;
      for (let e = 0; e < gold.length; e++) loss += part.losses[e * prompts.count]!;
      for (const [i, value] of part.gradient.entries()) gradient[i % size]! += value;
      onExamples?.(gold.length);
    }
    const all = examples * prompts.count;
    return {
      loss: loss / examples,
      examples: all,
      gradient: gradient.map((value) => value / all),
      words,
    };
  }

  /** Word embeddings, one [D] for each id. */
  async wordsOf(ids: readonly number[]): Promise<Float32Array[]> {
    const D = this.environment.taskLm.config.width;
    const words = await this.firstOrder.words(ids);
    return ids.map((_, i) => words.slice(i * D, (i + 1) * D));
  }

  /** The mean of words' embeddings, [D]; `ids` is a list that stays the same. */
  meanOf(ids: readonly number[]): Promise<Float32Array> {
    const known = this.means.get(ids) ?? this.firstOrder.mean(ids);
    this.means.set(ids, known);
    return known;
  }

  /** First-order change of the loss for each token of `ids` in each slot: T rows of [A]. */
  async changes({ gradient, words }: PromptSlope, ids: readonly number[]): Promise<Float32Array[]> {
    const D = this.environment.taskLm.config.width;
    const A = ids.length;
    const products = await this.firstOrder.products(gradient, ids); // [T, A]
    return Array.from({ length: gradient.length / D }, (_, t) => {
      let own = 0;
      for (let d = t * D; d < (t + 1) * D; d++) own += words[d]! * gradient[d]!;
      return products.subarray(t * A, (t + 1) * A).map((product) => product - own);
    });
  }

  async close(): Promise<void> {
    await this.firstOrder.unload();
    await (await this.branches)?.unload();
    for (const trainer of this.sequences.values()) await (await trainer).unload();
  }

  private async afterPrefixes(
    { words, count, length }: Prompts,
    { block, gold }: { block: number; gold: readonly number[] },
  ): Promise<BlockSlope> {
    const { environment, firstOrder, labels } = this;
    this.branches ??= loadBranchTrainer(environment.taskLm, { prepack: false });
    const trainer = await this.branches;
    const suffix = environment.layout.after('');
    const after = suffix.length > 0 ? await firstOrder.words(suffix) : new Float32Array(0);
    const own = words.length / count;
    const whole = new Float32Array(words.length + count * after.length);
    for (let n = 0; n < count; n++) {
      const start = n * (own + after.length);
      whole.set(words.subarray(n * own, (n + 1) * own), start);
      whole.set(after, start + own);
    }
    const branches = { words: whole, rows: count, length: length + suffix.length };
    const { losses, gradient } = await environment.withPrefixes(block, (cache) =>
      trainer.run(cache, branches, { labels, gold }),
    );
    const kept = new Float32Array(words.length);
    for (let n = 0; n < count; n++) {
      const start = n * (own + after.length);
      kept.set(gradient.subarray(start, start + own), n * own);
    }
    return { losses, gradient: kept };
  }

  private async throughTexts(
    { words, count, length: P }: Prompts,
    { block, gold }: { block: number; gold: readonly number[] },
  ): Promise<BlockSlope> {
    const { environment, labels } = this;
    const trainer =
      this.sequences.get(P) ??
      loadSequenceTrainer(environment.taskLm, { virtualTokens: P, prepack: false });
    this.sequences.set(P, trainer);
    // The prompt's places hold −1 … −P, which stand for its words.
    const prompt = Array.from({ length: P }, (_, p) => -1 - p);
    const texts = environment.examplesOf(block).map((e) => environment.rendered(prompt, e));
    const ids = texts.map((text) => text.ids);
    const answers = { labels, gold, places: texts.map(({ answer }) => answer) };
    const gradient = new Float32Array(words.length);
    const losses = new Float32Array(count * gold.length);
    const own = words.length / count;
    for (let n = 0; n < count; n++) {
      const virtual = words.slice(n * own, (n + 1) * own);
      const part = await (await trainer).run(ids, answers, { virtual });
      gradient.set(part.gradients.virtual!, n * own);
      part.losses.forEach((loss, e) => {
        losses[e * count + n] = loss;
      });
    }
    return { losses, gradient };
  }
}

/** The prompt itself, then with other embeddings in one slot. */
function inTurns(
  words: Float32Array<ArrayBuffer>,
  length: number,
  turns: SlopeOptions['turns'],
): Prompts {
  const others = turns?.words ?? [];
  const count = 1 + others.length;
  const all = new Float32Array(count * words.length);
  for (let n = 0; n < count; n++) all.set(words, n * words.length);
  others.forEach((word, i) => {
    all.set(word, (i + 1) * words.length + turns!.slot * word.length);
  });
  return { words: all, count, length };
}

function firstTokens({ task, taskLm }: Environment): number[] {
  const { words } = labelWordsOf(task, taskLm.config.kind, taskLm.tokenizer);
  const first = words.map((ids) => ids[0]!);
  first.forEach((id, c) => {
    const same = first.indexOf(id);
    if (same < c) {
      throw new ConfigError(
        `label words "${task.classes[same]!.word}" and "${task.classes[c]!.word}" begin with the same token, a gradient needs words that differ there, choose another for one of them`,
      );
    }
  });
  return first;
}
