/**
 * OpenAI: chat completions (not the Responses API, which tells neither seeds nor stop texts).
 * Reasoning models take no temperature, stop texts or log-probabilities.
 * Source: platform.openai.com/docs/api-reference/chat
 */
import { createOpenAI } from '@ai-sdk/openai';
import { firstTokenAlternatives } from './chat-log-probs.ts';
import type { Provider } from './provider.ts';

export const openai: Provider = {
  name: 'openai',
  title: 'OpenAI',
  baseUrl: 'https://api.openai.com/v1',
  keyVariables: ['OPENAI_API_KEY'],
  concurrency: 32,
  optionsName: 'openai',
  open: ({ model, baseUrl, apiKey = '', fetch }) =>
    createOpenAI({ baseURL: baseUrl, apiKey, fetch }).chat(model),
  logProbs: {
    most: 20,
    options: (alternatives) => ({ logprobs: alternatives }),
    read: firstTokenAlternatives,
  },
};
