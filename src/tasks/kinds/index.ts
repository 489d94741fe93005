/** The kinds of task: one file each and one line here. */
import { arithmetic } from './arithmetic.ts';
import { classification } from './classification.ts';
import { extraction } from './extraction.ts';
import type { TaskKind } from './kind.ts';
import { questionAnswering } from './question-answering.ts';
import { sentiment } from './sentiment.ts';
import { styleTransfer } from './style-transfer.ts';
import { summarisation } from './summarisation.ts';
import { translation } from './translation.ts';

export const taskKinds = {
  classification,
  sentiment,
  extraction,
  'question-answering': questionAnswering,
  translation,
  summarisation,
  'style-transfer': styleTransfer,
  arithmetic,
} as const satisfies Record<string, TaskKind>;

export type TaskKindName = keyof typeof taskKinds;

export const taskKindNames = Object.keys(taskKinds) as [TaskKindName, ...TaskKindName[]];

export type { TaskKind } from './kind.ts';
