import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const summarisation: TaskKind = {
  name: 'summarisation',
  summary: 'A short text that says what a long one says.',
  answers: 'text',
  metric: 'rouge-l',
  maxAnswerTokens: 160,
  description: 'Summarise the text.',
  template: plainTemplate,
  humanPrompts: [
    'Summarise the text.',
    'Summarise the text in one sentence.',
    'Write a short summary of the text. Output the summary only.',
    'State the main point of the text in plain words, without opinions of your own.',
  ],
};
