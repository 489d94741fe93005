/** The token ids of label words at the place where the answer is read. */
import { ConfigError } from '../errors.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { Task } from '../tasks/task.ts';

export interface LabelWords {
  /** Per class, the ids of its word. */
  readonly words: readonly (readonly number[])[];
  readonly isSingle: boolean;
}

/** @throws ConfigError when two classes have the same word, one's word begins another's, or a masked LM's word is several tokens */
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
        `label words "${task.classes[same]!.word}" of "${task.classes[same]!.gold}" and "${word}" of "${gold}" are the same tokens to the task LM, give each label its own`,
      );
    }
  }
  refuseBeginnings(task, words);
  return { words, isSingle };
}

/** A word that begins another can never score less than it: every answer would be the shorter one. */
function refuseBeginnings(task: Task, words: LabelWords['words']): void {
  const whole = new Map(words.map((ids, label) => [ids.join(), label]));
  for (const [label, ids] of words.entries()) {
    for (let length = 1; length < ids.length; length++) {
      const shorter = whole.get(ids.slice(0, length).join());
      if (shorter === undefined) continue;
      throw new ConfigError(
        `label word "${task.classes[shorter]!.word}" is how "${task.classes[label]!.word}" begins (its first ${length} of ${ids.length} tokens), so that it would always score higher, choose words of which none begins another`,
      );
    }
  }
}

/** After a text, words begin with a space; a mask stands for the word with its space (RoBERTa) or without. */
function wordIds(word: string, kind: 'causal' | 'masked', tokenizer: Tokenizer): number[] {
  const spaced = tokenizer.encode(word.startsWith(' ') ? word : ` ${word}`);
  if (kind === 'causal' || spaced.length === 1) return spaced;
  return tokenizer.encode(word.trim());
}

export interface Continuation {
  /** Word tokens already written. */
  readonly prefix: readonly number[];
  /** Next tokens, and the words that they belong to. */
  readonly targets: readonly { readonly id: number; readonly words: readonly number[] }[];
}

/** All places at which a token of a word is read: one per distinct beginning. */
export function continuations(words: readonly (readonly number[])[]): Continuation[] {
  const byPrefix = new Map<string, { prefix: number[]; targets: Map<number, number[]> }>();
  words.forEach((word, c) => {
    word.forEach((id, i) => {
      const prefix = word.slice(0, i);
      const entry = byPrefix.get(prefix.join()) ?? { prefix, targets: new Map() };
      entry.targets.set(id, [...(entry.targets.get(id) ?? []), c]);
      byPrefix.set(prefix.join(), entry);
    });
  });
  return [...byPrefix.values()].map(({ prefix, targets }) => ({
    prefix,
    targets: [...targets].map(([id, at]) => ({ id, words: at })),
  }));
}
