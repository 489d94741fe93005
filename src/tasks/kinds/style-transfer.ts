import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const styleTransfer: TaskKind = {
  name: 'style-transfer',
  summary: 'The same content in another style.',
  answers: 'text',
  metric: 'chrf',
  maxAnswerTokens: 160,
  description: 'Rewrite the text in the wanted style and keep what it says.',
  template: plainTemplate,
  humanPrompts: [
    'Rewrite the text.',
    'Rewrite the text in the wanted style and keep its meaning.',
    'Change the style and nothing else. Output the rewritten text only.',
    'Rewrite the sentence formally.',
    'Rewrite the sentence as one would say it to a friend.',
  ],
};
