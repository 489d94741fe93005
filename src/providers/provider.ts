/**
 * What a provider's file says: where its API is, what its key is called, and how the AI SDK speaks
 * to it. We call the SDK's models directly (`doGenerate`): its own retries stay out, our scheduler
 * sees every request through the `fetch` that it is given.
 */
import type { createOpenAI } from '@ai-sdk/openai';
import type { Alternative } from './text-model.ts';

/** A language model of the AI SDK, by its interface alone. */
export type ChatModel = ReturnType<ReturnType<typeof createOpenAI>['chat']>;
export type ChatOptions = Parameters<ChatModel['doGenerate']>[0];
export type ChatResult = Awaited<ReturnType<ChatModel['doGenerate']>>;
export type ProviderOptions = NonNullable<ChatOptions['providerOptions']>[string];

export interface ChatSettings {
  readonly model: string;
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly fetch: typeof globalThis.fetch;
}

export interface Provider {
  /** The first part of a reference: "openai". */
  readonly name: string;
  readonly title: string;
  /** Where the API is, unless the configuration says otherwise; without it, it must. */
  readonly baseUrl?: string;
  /** Variables that hold the key, unless the configuration names another. None: no key is needed. */
  readonly keyVariables: readonly string[];
  /** Most requests under way, unless the configuration says otherwise. */
  readonly concurrency: number;
  /** The name under which the AI SDK takes options of this provider. */
  readonly optionsName: string;
  open(settings: ChatSettings): ChatModel;
  /** There where the API tells log-probabilities of tokens. */
  readonly logProbs?: LogProbs;
}

export interface LogProbs {
  /** Most alternatives that the API tells for a token. */
  readonly most: number;
  options(alternatives: number): ProviderOptions;
  /** Those of the first token, the likeliest first; undefined where the answer has none. */
  read(result: Pick<ChatResult, 'response'>): readonly Alternative[] | undefined;
}
