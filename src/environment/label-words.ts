/** The token ids of label words at the place where the answer is read. */
import { ConfigError } from '../errors.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { Task } from '../tasks/task.ts';

export interface LabelWords {
  /** Per class, the ids of its word. */
  readonly words: readonly (readonly number[])[];
  readonly isSingle: boolean;
}

/** @throws ConfigError when two classes have the same word, or a masked LM's word is several tokens */
export function labelWordsOf(
  task: Task,
  kind: 'causal' | 'masked',
  tokenizer: Tokenizer,
): LabelWords {
  const words = task.classes.map(({ word }) => wordIds(word, kind, tokenizer));
  const isSingle = words.every((ids) => ids.length === 1);
  for (const [i, { gold, word }] of task.classes.entries()) {
    if (kind === 'masked' && words[i]!.length !== 1) {
      throw new ConfigError(
        `label word "${word}" of label "${gold}" is ${words[i]!.length} tokens, a masked task LM needs a word of one token`,
      );
    }
    const same = words.findIndex((ids) => ids.join() === words[i]!.join());
    if (same < i) {
      throw new ConfigError(
        `labels "${task.classes[same]!.gold}" and "${gold}" have the same label word "${word}", give each its own`,
      );
    }
  }
  return { words, isSingle };
}

/** After a text, words begin with a space; a mask stands for the word with its space (RoBERTa) or without. */
function wordIds(word: string, kind: 'causal' | 'masked', tokenizer: Tokenizer): number[] {
  const spaced = tokenizer.encode(word.startsWith(' ') ? word : ` ${word}`);
  if (kind === 'causal' || spaced.length === 1) return spaced;
  return tokenizer.encode(word.trim());
}
