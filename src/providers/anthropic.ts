/**
 * Anthropic: the Messages API. Tells no log-probabilities and takes no seed.
 * Source: docs.anthropic.com/en/api/messages
 */
import { createAnthropic } from '@ai-sdk/anthropic';
import type { Provider } from './provider.ts';

export const anthropic: Provider = {
  name: 'anthropic',
  title: 'Anthropic',
  baseUrl: 'https://api.anthropic.com/v1',
  keyVariables: ['ANTHROPIC_API_KEY'],
  concurrency: 16,
  optionsName: 'anthropic',
  open: ({ model, baseUrl, apiKey = '', fetch }) =>
    createAnthropic({ baseURL: baseUrl, apiKey, fetch })(model),
};
