import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

/** Prompts for a task LM that is asked in text are built from the label words. */
export const classification: TaskKind = {
  name: 'classification',
  summary: 'One of few labels.',
  answers: 'label',
  maxAnswerTokens: 16,
  description: '',
  template: plainTemplate,
  humanPrompts: [],
};
