/**
 * Google: Gemini's generateContent. Its log-probabilities are left out: few models tell them.
 * Source: ai.google.dev/api/generate-content
 */
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import type { Provider } from './provider.ts';

export const google: Provider = {
  name: 'google',
  title: 'Google Gemini',
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  keyVariables: ['GEMINI_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY'],
  concurrency: 16,
  optionsName: 'google',
  open: ({ model, baseUrl, apiKey = '', fetch }) =>
    createGoogleGenerativeAI({ baseURL: baseUrl, apiKey, fetch })(model),
};
