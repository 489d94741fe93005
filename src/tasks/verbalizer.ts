/**
 * Label words: which classes a task has and the word that stands for each. A word may be several
 * tokens; which they are for a task LM, and how they are scored, is the environment's matter.
 */
import { ConfigError, DataError } from '../errors.ts';
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
