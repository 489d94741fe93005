/**
 * Any server that speaks OpenAI's chat completions: named by its address, or one of the usual local
 * ones at its usual port. Also what the providers with such an API are made of.
 */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { firstTokenAlternatives } from './chat-log-probs.ts';
import type { Provider } from './provider.ts';

/** The AI SDK passes options under this name on as they are, into the request's body. */
const NAME = 'compatible';

/** A provider with an API of this kind. */
export function chatCompletions(
  provider: Omit<Provider, 'open' | 'optionsName' | 'logProbs'>,
): Provider {
  return {
    ...provider,
    optionsName: NAME,
    open: ({ model, baseUrl, apiKey, fetch }) => {
      const key = apiKey === undefined ? {} : { apiKey };
      const settings = { name: NAME, baseURL: baseUrl, fetch, includeUsage: true, ...key };
      return createOpenAICompatible(settings).chatModel(model);
    },
    logProbs: {
      most: 20,
      options: (alternatives) => ({ logprobs: true, top_logprobs: alternatives }),
      read: firstTokenAlternatives,
    },
  };
}

const localServer = (name: string, title: string, port: number, concurrency: number) =>
  chatCompletions({
    name,
    title,
    baseUrl: `http://127.0.0.1:${port}/v1`,
    keyVariables: [],
    concurrency,
  });

export const openaiCompatible = chatCompletions({
  name: 'openai-compatible',
  title: 'Any OpenAI-compatible server',
  keyVariables: [],
  concurrency: 16,
});
export const ollama = localServer('ollama', 'Ollama', 11434, 4);
export const vllm = localServer('vllm', 'vLLM', 8000, 64);
export const llamaCpp = localServer('llama.cpp', "llama.cpp's server", 8080, 4);
export const lmStudio = localServer('lm-studio', 'LM Studio', 1234, 4);
