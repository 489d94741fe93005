import { plainTemplate } from '../message-template.ts';
import type { TaskKind } from './kind.ts';

export const extraction: TaskKind = {
  name: 'extraction',
  summary: 'Fields of a text as JSON, compared with a gold object.',
  answers: 'text',
  metric: 'json',
  maxAnswerTokens: 256,
  description: 'Extract the facts that the text states, as a JSON object.',
  template: plainTemplate,
  humanPrompts: [
    'Extract the information from the text as a JSON object.',
    'Return a JSON object with the fields that the text mentions. Answer with JSON only.',
    'Read the text and fill in the fields. Output valid JSON and nothing else.',
    'You extract structured data. Copy values exactly as they stand in the text. Answer with one JSON object.',
  ],
};
