/**
 * How a task LM reads an example while something about it is learnt: the ids of the rendered text,
 * with −1 … −P where virtual tokens stand, and whether the part before them can be cached.
 */
import { type Layout, layoutOf } from '../environment/index.ts';
import { labelWordsOf } from '../environment/label-words.ts';
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Task } from '../tasks/task.ts';

export interface ReadingOptions {
  /** P; 0 for none. */
  readonly virtualTokens: number;
  /** Virtual tokens at the prompt's place behind the input, or in front of everything (PEFT). */
  readonly place: 'after' | 'before';
  /** Text in the template's prompt slot, behind virtual tokens that stand there too. */
  readonly prompt: string;
}

export interface Reading {
  /** Vocabulary ids of the label words, one a class. */
  readonly labels: readonly number[];
  sequence(input: string): number[];
  /** Index at which a sequence is answered. */
  answerPlace(ids: readonly number[]): number;
  /** Where nothing before the virtual tokens depends on them: the input's side, and the rest. */
  readonly cached?: {
    prefix(input: string): number[];
    readonly branch: readonly number[];
  };
}

/** @throws ConfigError when a label word is several tokens */
export function readingOf(task: Task, lm: LanguageModel, options: ReadingOptions): Reading {
  const { tokenizer } = lm;
  const { kind } = lm.config;
  const layout = layoutOf(task, kind, tokenizer);
  const { words, isSingle } = labelWordsOf(task, kind, tokenizer);
  if (!isSingle) {
    const at = words.findIndex((ids) => ids.length > 1);
    throw new ConfigError(
      `label word "${task.classes[at]!.word}" is ${words[at]!.length} tokens for ${lm.name}, training needs words of one token, choose others in task.labels`,
    );
  }
  const labels = words.map(([id]) => id!);
  const { mask } = tokenizer.special;
  const answerPlace = (ids: readonly number[]) =>
    kind === 'masked' ? ids.indexOf(mask!) : ids.length - 1;
  return { labels, answerPlace, ...placed(layout, lm, options) };
}

function placed(
  layout: Layout,
  lm: LanguageModel,
  { virtualTokens, place, prompt }: ReadingOptions,
): Pick<Reading, 'sequence' | 'cached'> {
  const virtual = Array.from({ length: virtualTokens }, (_, i) => -i - 1);
  const whole = (input: string) => layout.whole(input, prompt);
  if (place === 'before' || virtualTokens === 0) {
    return { sequence: (input) => [...virtual, ...whole(input)] };
  }
  if (layout.order === 'prompt-first') {
    return {
      sequence: (input) => [...whole(input), ...virtual],
      cached: { prefix: whole, branch: virtual },
    };
  }
  const own = [...virtual, ...layout.prompt(prompt)];
  if (layout.order === 'masked') {
    const frame = lm.tokenizer.encode('', { addSpecialTokens: true });
    const half = frame.length / 2;
    return {
      sequence: (input) => [
        ...frame.slice(0, half),
        ...layout.before(input),
        ...own,
        ...layout.after(input),
        ...frame.slice(half),
      ],
    };
  }
  const branch = [...own, ...layout.after('')];
  return {
    sequence: (input) => [...layout.before(input), ...branch],
    cached: { prefix: (input) => layout.before(input), branch },
  };
}
