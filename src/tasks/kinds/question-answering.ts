import { questionTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const questionAnswering: TaskKind = {
  name: 'question-answering',
  summary: 'A short answer to a question, with or without a text that holds it.',
  answers: 'text',
  metric: 'token-f1',
  maxAnswerTokens: 64,
  description: 'Answer the question briefly.',
  template: questionTemplate,
  humanPrompts: [
    'Answer the question.',
    'Answer the question in as few words as possible.',
    'Answer with the shortest phrase that is right, and nothing else.',
    'Give only the answer, without a full sentence or an explanation.',
    'Read carefully, then answer. Copy the answer from the text where it stands there.',
  ],
};
