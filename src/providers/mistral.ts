/**
 * Mistral: chat completions of its own. Tells no log-probabilities.
 * Source: docs.mistral.ai/api
 */
import { createMistral } from '@ai-sdk/mistral';
import type { Provider } from './provider.ts';

export const mistral: Provider = {
  name: 'mistral',
  title: 'Mistral',
  baseUrl: 'https://api.mistral.ai/v1',
  keyVariables: ['MISTRAL_API_KEY'],
  concurrency: 8,
  optionsName: 'mistral',
  open: ({ model, baseUrl, apiKey = '', fetch }) =>
    createMistral({ baseURL: baseUrl, apiKey, fetch })(model),
};
