import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const arithmetic: TaskKind = {
  name: 'arithmetic',
  summary: 'A calculation or a word problem whose answer is a number.',
  answers: 'text',
  metric: 'numeric',
  maxAnswerTokens: 256,
  description: 'Work out the number that is asked for.',
  template: plainTemplate,
  humanPrompts: [
    'Solve the problem.',
    'Answer with the number only.',
    "Let's think step by step.",
    'Work it out step by step and end with "The answer is" and the number.',
    'Calculate carefully, check the result, and give the final number last.',
  ],
};
