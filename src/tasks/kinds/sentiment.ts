import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const sentiment: TaskKind = {
  name: 'sentiment',
  summary: 'The sentiment of a text, as one of few labels.',
  answers: 'label',
  maxAnswerTokens: 16,
  description: 'Say which sentiment the text expresses.',
  template: plainTemplate,
  humanPrompts: [
    'What is the sentiment of this text?',
    'Read the review and decide how its author feels.',
    'Judge the sentiment of the text below.',
  ],
};
