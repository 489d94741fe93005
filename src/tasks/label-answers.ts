/**
 * Classification by a task LM that gives no log-probabilities: it is asked in text, and the answer is
 * matched to the label words. An answer that names no label word, or several, is wrong.
 */
import type { ParsedTaskConfig } from './config.ts';
import { type TaskKind, type TaskKindName, taskKinds } from './kinds/index.ts';
import { parseMessageTemplate } from './message-template.ts';
import type { Metric } from './metrics/metric.ts';
import { sealSplit } from './sealed-split.ts';
import type { Example, Task, TextExample, TextTask } from './task.ts';

/** The metric's name in reports. */
export const LABEL_MATCH = 'label-match';

/** The same task, answered in text; `source` is its configuration. */
export function answeredInText(task: Task, source: ParsedTaskConfig): TextTask {
  const taskKind: TaskKindName = source.kind ?? 'classification';
  const kind: TaskKind = taskKinds[taskKind];
  const words = task.classes.map(({ word }) => word.trim());
  const toText = ({ label, ...rest }: Example): TextExample => {
    return { ...rest, golds: [words[label]!], label };
  };
  return {
    kind: 'text',
    taskKind,
    name: task.name,
    description: task.description,
    template: parseMessageTemplate(source.template ?? kind.template),
    labelWords: words,
    maxAnswerTokens: source.maxAnswerTokens ?? kind.maxAnswerTokens,
    ...(source.stop ? { stop: source.stop } : {}),
    humanPrompts: promptsNaming(words, kind),
    train: task.train.map(toText),
    validation: task.validation.map(toText),
    test: sealSplit(task.test.open().map(toText)),
    hashes: task.hashes,
    warnings: task.warnings,
  };
}

/** 1 where the answer names the gold label's word and no other. */
export function labelMatch(words: readonly string[]): Metric {
  return {
    name: LABEL_MATCH,
    score: async (answers) =>
      answers.map(({ output, golds }) => (golds.includes(labelIn(output, words) ?? '') ? 1 : 0)),
  };
}

/** The one label word that a text names: all of it, or as a whole word in it. */
export function labelIn(text: string, words: readonly string[]): string | undefined {
  const plain = (s: string) => s.toLowerCase().replace(/^[\s\p{P}]+|[\s\p{P}]+$/gu, '');
  const whole = words.find((word) => plain(word) === plain(text));
  if (whole !== undefined) return whole;
  // The longest first, so that "not good" is not read as "good".
  let rest = text.toLowerCase();
  const named = [...words]
    .sort((a, b) => b.length - a.length)
    .filter((word) => {
      const escaped = word.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      const found = new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'gu');
      const before = rest;
      rest = rest.replace(found, ' ');
      return rest !== before;
    });
  return named.length === 1 ? named[0] : undefined;
}

function promptsNaming(words: readonly string[], { humanPrompts }: TaskKind): string[] {
  const list = words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${words.at(-1)}` : words[0]!;
  const end = `Answer with one of: ${words.join(', ')}.`;
  return [
    `Classify the text as ${list}. Answer with the label only.`,
    `Is this ${list}?`,
    end,
    `Read the text and decide whether it is ${list}. Reply with one label and nothing else.`,
    ...humanPrompts.map((prompt) => `${prompt} ${end}`),
  ];
}
