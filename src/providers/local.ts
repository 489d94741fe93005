/**
 * A local LM as a model that answers messages: its own chat template, then sampling in batches. What
 * is too long for its window fails alone and says how long it is; nothing is cut.
 */
import { DataError } from '../errors.ts';
import { type Chat, chatOf } from '../models/chat-template.ts';
import { type Generator, type GeneratorOptions, loadGenerator } from '../models/generate.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Parameters } from '../tensor/index.ts';
import type { Completion, Failure, TextModel, TextRequest } from './text-model.ts';

export interface LocalOptions extends GeneratorOptions {
  /** LoRA's factors and what tells them from others in a cache's key; needs `lora`. */
  readonly adapter?: { readonly parameters: Parameters; readonly key: string };
}

export interface LocalTextModel extends TextModel {
  readonly chat: Chat;
}

/** Programs are loaded with the first request; closing leaves the model itself open. */
export function localTextModel(model: LanguageModel, options: LocalOptions = {}): LocalTextModel {
  const { adapter, ...rest } = options;
  const { precision = 'float32' } = rest;
  const chat = chatOf(model);
  const { contextLength } = model.config;
  let generator: Promise<Generator> | undefined;

  return {
    name: model.name,
    key: ['local', model.key, precision, ...(adapter ? [adapter.key] : [])].join('/'),
    contextLength,
    chat,
    async complete(requests, { signal, onProgress } = {}) {
      const answers = new Array<Completion | Failure>(requests.length);
      const readable: { readonly at: number; readonly prompt: readonly number[] }[] = [];
      requests.forEach((request, at) => {
        const read = readingOf(request, model, chat);
        if ('error' in read) answers[at] = read;
        else readable.push({ at, prompt: read.prompt });
      });
      let done = requests.length - readable.length;
      for (const temperature of new Set(readable.map(({ at }) => requests[at]!.temperature ?? 0))) {
        const group = readable.filter(({ at }) => (requests[at]!.temperature ?? 0) === temperature);
        generator ??= loadGenerator(model, rest);
        const texts = await (await generator).run(
          group.map(({ at, prompt }) => ({ prompt, ...writingOf(requests[at]!) })),
          {
            temperature,
            ...(adapter ? { adapter: adapter.parameters } : {}),
            signal,
            onProgress: (count) => onProgress?.(done + count),
          },
        );
        done += group.length;
        texts.forEach(({ text, ids, finish }, i) => {
          const { at, prompt } = group[i]!;
          const counts = { inputTokens: prompt.length, outputTokens: ids.length };
          answers[at] = { text: text.trim(), finish, ...counts, isCached: false };
        });
      }
      return answers;
    },
    async close() {
      await (await generator)?.unload();
      generator = undefined;
    },
  };
}

function readingOf(
  { messages, maxTokens }: TextRequest,
  model: LanguageModel,
  chat: Chat,
): { readonly prompt: readonly number[] } | Failure {
  try {
    const prompt = chat.ids(messages);
    const { contextLength } = model.config;
    if (prompt.length + maxTokens <= contextLength) return { prompt };
    const error = new DataError(
      `${model.name}: messages of ${prompt.length} tokens and an answer of ${maxTokens} do not fit into its window of ${contextLength}, shorten them`,
    );
    return { error };
  } catch (error) {
    if (error instanceof DataError) return { error };
    throw error;
  }
}

function writingOf({ maxTokens, stop, seed = 0, sample = 0 }: TextRequest) {
  return { maxTokens, stop, seed: `${seed}/${sample}` };
}
