/**
 * Hugging Face's router to inference providers: `huggingface:owner/model`, or `owner/model:provider`
 * for one of them. Whether log-probabilities are told depends on the provider behind it.
 * Source: huggingface.co/docs/inference-providers
 */
import { chatCompletions } from './openai-compatible.ts';

export const huggingface = chatCompletions({
  name: 'huggingface',
  title: 'Hugging Face router',
  baseUrl: 'https://router.huggingface.co/v1',
  keyVariables: ['HF_TOKEN'],
  concurrency: 16,
});
