import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const translation: TaskKind = {
  name: 'translation',
  summary: 'A text in another language.',
  answers: 'text',
  metric: 'chrf',
  maxAnswerTokens: 256,
  description: 'Translate the text.',
  template: plainTemplate,
  humanPrompts: [
    'Translate the text.',
    'Translate the following text. Output the translation only.',
    'You are a professional translator. Translate faithfully and fluently.',
    'Give a natural translation that keeps meaning, tone and names. No comments.',
  ],
};
