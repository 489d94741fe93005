/**
 * A policy LM that writes prompts in words: its own chat template, sampling, and LoRA beside its
 * frozen weights. What learns is `parameters`; how, is the caller's.
 */
import { ConfigError } from '../errors.ts';
import { type Chat, type ChatMessage, chatOf } from '../models/chat-template.ts';
import type { CompletionGroup } from '../models/completions.ts';
import { endIdsOf, type Generated, type Generator, loadGenerator } from '../models/generate.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { freshLora, type LoraOptions, loraShapes } from '../models/lora.ts';
import type { Precision } from '../models/prepared-weights.ts';
import type { Parameters } from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';

export interface WriterOptions {
  readonly lora: LoraOptions;
  /** Most tokens of a prompt, its end included. */
  readonly promptTokens: number;
  /** Of sampling; gradients run in float32. @default 'float32' */
  readonly precision?: Precision;
  readonly rng: Rng;
}

/** One prompt as it was written. */
export interface WrittenPrompt {
  readonly text: string;
  /** Tokens as sampled, the one that ended it included. */
  readonly ids: readonly number[];
  /** ln of what each was drawn with. */
  readonly logProbs: readonly number[];
  readonly finish: Generated['finish'];
}

export interface WriteOptions {
  readonly each: number;
  readonly rng: Rng;
  /** @default 1 */
  readonly temperature?: number;
  readonly signal?: AbortSignal | undefined;
}

export class PromptWriter {
  readonly lm: LanguageModel;
  readonly chat: Chat;
  readonly lora: LoraOptions;
  parameters: Parameters;
  private readonly generator: Generator;
  private readonly promptTokens: number;

  private constructor(lm: LanguageModel, generator: Generator, o: WriterOptions) {
    this.lm = lm;
    this.chat = chatOf(lm);
    this.lora = o.lora;
    this.parameters = freshLora(loraShapes(lm.architecture, lm.config, o.lora), o.rng);
    this.generator = generator;
    this.promptTokens = o.promptTokens;
  }

  /** @throws ConfigError for a masked LM */
  static async open(lm: LanguageModel, options: WriterOptions): Promise<PromptWriter> {
    const { lora, precision = 'float32' } = options;
    return new PromptWriter(lm, await loadGenerator(lm, { lora, precision }), options);
  }

  /** Ids that a prompt is written after. @throws ConfigError when they leave no room for it */
  reading(messages: readonly ChatMessage[]): number[] {
    const ids = this.chat.ids(messages);
    const { contextLength } = this.lm.config;
    if (ids.length + this.promptTokens > contextLength) {
      throw new ConfigError(
        `policyLm: a context of ${ids.length} tokens and a prompt of ${this.promptTokens} do not fit into ${this.lm.name}'s window of ${contextLength}, shorten what it reads, as the task's description, its examples or the conversation`,
      );
    }
    return ids;
  }

  /** `each` prompts after each reading, sampled from all words; at temperature 0 the likeliest ones. */
  async write(
    readings: readonly (readonly number[])[],
    { each, rng, signal, temperature = 1 }: WriteOptions,
  ): Promise<WrittenPrompt[][]> {
    const requests = readings.flatMap((prompt) =>
      Array.from({ length: each }, () => ({
        prompt,
        maxTokens: this.promptTokens,
        seed: rng.integer(2 ** 32),
        stop: ['\n'],
      })),
    );
    const adapter = this.parameters;
    const texts = await this.generator.run(requests, { adapter, temperature, signal });
    const written = texts.map(({ text, ids, logProbs, end, finish }) => ({
      text: asPrompt(text),
      ids: end ? [...ids, end.id] : ids,
      logProbs: end ? [...logProbs, end.logProb] : logProbs,
      finish,
    }));
    return readings.map((_, g) => written.slice(g * each, (g + 1) * each));
  }

  /** A text as this policy would have written it, its end included; cut to the longest that it writes. */
  idsOf(text: string): number[] {
    const [end] = endIdsOf(this.lm);
    const ids = this.lm.tokenizer.encode(text).slice(0, this.promptTokens - 1);
    return end === undefined ? ids : [...ids, end];
  }

  async close(): Promise<void> {
    await this.generator.unload();
  }
}

/** Written prompts as groups of completions. */
export function completionsOf(
  readings: readonly (readonly number[])[],
  groups: readonly (readonly WrittenPrompt[])[],
): CompletionGroup[] {
  return readings.map((prompt, g) => ({ prompt, texts: groups[g]!.map(({ ids }) => ids) }));
}

/** What was written as it is pasted: one line, without the quotes around it. */
export function asPrompt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const quoted = /^["'“‘](.*)["'”’]$/.exec(line);
  return (quoted ? quoted[1]! : line).trim();
}
