/**
 * How a task LM reads an example while something about it is learnt: the ids of the rendered text,
 * with −1 … −P where virtual tokens stand, and whether the part before them can be cached. Label words
 * of several tokens are read in whole sequences, nothing cached.
 */
import { type Layout, layoutOf } from '../environment/index.ts';
import { labelWordsOf } from '../environment/label-words.ts';
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
  /** Vocabulary ids of the label words, one a class; their first tokens, if `words` is there. */
  readonly labels: readonly number[];
  /** All tokens of the label words, where some have several. */
  readonly words?: readonly (readonly number[])[];
  sequence(input: string): number[];
  /** Index at which a sequence is answered. */
  answerPlace(ids: readonly number[]): number;
  /** Where nothing before the virtual tokens depends on them: the input's side, and the rest. */
  readonly cached?: {
    prefix(input: string): number[];
    readonly branch: readonly number[];
  };
}

export function readingOf(task: Task, lm: LanguageModel, options: ReadingOptions): Reading {
  const { tokenizer } = lm;
  const { kind } = lm.config;
  const layout = layoutOf(task, kind, tokenizer);
  const { words, isSingle } = labelWordsOf(task, kind, tokenizer);
  const labels = words.map(([id]) => id!);
  const { mask } = tokenizer.special;
  const answerPlace = (ids: readonly number[]) =>
    kind === 'masked' ? ids.indexOf(mask!) : ids.length - 1;
  const { sequence, cached } = placed(layout, lm, options);
  if (!isSingle) return { labels, words, answerPlace, sequence };
  return { labels, answerPlace, sequence, ...(cached ? { cached } : {}) };
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
