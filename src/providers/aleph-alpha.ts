/**
 * Aleph Alpha: the chat completions of PhariaInference; an installation of one's own has another
 * baseUrl. A conversation must alternate between user and assistant, with one system message at most.
 * Source: docs.aleph-alpha.com/api/pharia-inference/4.1.0/chat-completions
 */
import { chatCompletions } from './openai-compatible.ts';

export const alephAlpha = chatCompletions({
  name: 'aleph-alpha',
  title: 'Aleph Alpha',
  baseUrl: 'https://api.aleph-alpha.com',
  keyVariables: ['AA_TOKEN'],
  concurrency: 8,
});
