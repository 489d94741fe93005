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
    async complete(requests, { signal, onProgress, onText, isWanted } = {}) {
      const answers = new Array<Completion | Failure>(requests.length);
      const readable: Readable[] = [];
      requests.forEach((request, at) => {
        const read = readingOf(request, model, chat);
        if ('error' in read) answers[at] = read;
        else readable.push({ at, prompt: read.prompt });
      });
      let done = requests.length - readable.length;
      for (const group of alike(readable, requests)) {
        const { temperature = 0, topP } = requests[group[0]!.at]!;
        const told = onText && group.map(({ at }) => trimmed((piece) => onText(at, piece)));
        generator ??= loadGenerator(model, rest);
        const texts = await (await generator).run(
          group.map(({ at, prompt }) => ({ prompt, ...writingOf(requests[at]!) })),
          {
            temperature,
            ...(temperature > 0 && topP !== undefined ? { topP } : {}),
            ...(adapter ? { adapter: adapter.parameters } : {}),
            signal,
            onProgress: (count) => onProgress?.(done + count),
            onText: told && ((i, piece) => told[i]!(piece)),
            isWanted: isWanted && ((i) => isWanted(group[i]!.at)),
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

interface Readable {
  /** Which request it is. */
  readonly at: number;
  readonly prompt: readonly number[];
}

/** Those that are drawn alike are written in one batch. */
function alike(readable: readonly Readable[], requests: readonly TextRequest[]): Readable[][] {
  const groups = new Map<string, Readable[]>();
  for (const one of readable) {
    const { temperature = 0, topP = 1 } = requests[one.at]!;
    const key = temperature > 0 ? `${temperature} ${topP}` : '0';
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

/** Passes pieces on without the white space at both ends of their text. */
function trimmed(tell: (piece: string) => void): (piece: string) => void {
  let [hasBegun, held] = [false, ''];
  return (piece) => {
    const text = hasBegun ? held + piece : piece.trimStart();
    const body = text.trimEnd();
    held = text.slice(body.length);
    if (body === '') return;
    hasBegun = true;
    tell(body);
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
