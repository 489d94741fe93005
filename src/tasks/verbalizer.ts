/**
 * Label words: which classes a task has, the word that stands for each, and the word's tokens for a
 * task LM. How tokens are scored is the environment's matter.
 */
import { ConfigError, DataError } from '../errors.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { excerpt } from './excerpt.ts';
import type { TaskClass } from './task.ts';

/** More distinct labels than this is taken for a wrong column. */
export const maxClasses = 1000;

/** A gold label and where it was first seen: "reviews.csv row 7". */
export type SeenLabels = ReadonlyMap<string, string>;

/**
 * The classes: in the order of `labels` when given, else by gold value (numbers as numbers).
 * @throws ConfigError for a label without a word, or one word for two labels
 * @throws DataError when there are fewer than two labels
 */
export function resolveClasses(
  seen: SeenLabels,
  labels: Readonly<Record<string, string>> | undefined,
): TaskClass[] {
  const words = new Map(Object.entries(labels ?? {}).map(([g, w]) => [g.trim(), w.trim()]));
  if (seen.size < 2) {
    const [only] = seen.keys();
    throw new DataError(
      `the data holds one label only, "${excerpt(only ?? '')}", expected at least two; ` +
        'check task.gold and the file',
    );
  }
  for (const [gold, place] of seen) {
    if (labels !== undefined && !words.has(gold)) throw noWord(gold, place, words);
    if (labels === undefined && !isWord(gold)) throw notAWord(gold, place, seen);
  }
  const golds = labels !== undefined ? [...words.keys()] : sortLabels([...seen.keys()]);
  const classes = golds.map((gold) => ({ gold, word: words.get(gold) ?? gold }));
  checkWords(classes);
  return classes;
}

/**
 * Token ids of each class's word, as they follow a text (`leadingSpace`) or start one.
 * @throws ConfigError when a word has no tokens, is unknown to the tokenizer, or cannot be told from
 *   another because its tokens begin that one's
 */
export function labelTokens(
  classes: readonly TaskClass[],
  tokenizer: Tokenizer,
  { leadingSpace = true }: { readonly leadingSpace?: boolean } = {},
): number[][] {
  const tokens = classes.map(({ word }) => tokenizer.encode(leadingSpace ? ` ${word}` : word));
  classes.forEach(({ word }, i) => {
    const own = tokens[i]!;
    if (own.length === 0 || own.includes(tokenizer.special.unknown ?? -1)) {
      throw new ConfigError(
        `label word "${excerpt(word)}" has no tokens in the task LM's vocabulary; ` +
          'choose another in task.labels',
      );
    }
    const other = tokens.findIndex((t, j) => j !== i && own.every((id, k) => t[k] === id));
    if (other >= 0) {
      throw new ConfigError(
        `label words "${excerpt(word)}" and "${excerpt(classes[other]!.word)}" begin with the ` +
          'same tokens in the task LM and cannot be told apart; choose others in task.labels',
      );
    }
  });
  return tokens;
}

function isWord(gold: string): boolean {
  return /\p{L}/u.test(gold) && gold.length <= 64 && !/[\r\n]/.test(gold);
}

function sortLabels(golds: string[]): string[] {
  return golds.sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1));
}

function checkWords(classes: readonly TaskClass[]): void {
  const byWord = new Map<string, string>();
  for (const { gold, word } of classes) {
    if (word === '')
      throw new ConfigError(`task.labels: label "${excerpt(gold)}" has an empty word`);
    const other = byWord.get(word);
    if (other !== undefined) {
      throw new ConfigError(
        `task.labels: labels "${excerpt(other)}" and "${excerpt(gold)}" have the same word ` +
          `"${excerpt(word)}"; each needs its own`,
      );
    }
    byWord.set(word, gold);
  }
}

function noWord(gold: string, place: string, words: ReadonlyMap<string, string>): ConfigError {
  const given = list([...words].map(([g, w]) => `"${excerpt(g)}": ${excerpt(w)}`));
  return new ConfigError(
    `label "${excerpt(gold)}" (${place}) has no word; task.labels gives ${given || 'none'}`,
  );
}

function notAWord(gold: string, place: string, seen: SeenLabels): ConfigError {
  const all = list(sortLabels([...seen.keys()]).map((g) => `"${excerpt(g)}"`));
  return new ConfigError(
    `label "${excerpt(gold)}" (${place}) is not a word; give task.labels a word for each of ${all}`,
  );
}

function list(items: readonly string[]): string {
  const rest = items.length - 10;
  return rest > 0 ? `${items.slice(0, 10).join(', ')} and ${rest} more` : items.join(', ');
}
