/**
 * Words and counts as the reference implementations see them: they are written in Python, whose white
 * space, punctuation and word characters differ a little from JavaScript's.
 */

/** What Python's `str.split()` takes for white space: four separators more than Unicode does. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is meant
const SPACES = /[\p{White_Space}\x1c-\x1f]+/u;

/** The words between white space; none in a blank text. */
export function splitWords(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== '');
}

/** The text without the white space at its end. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && SPACES.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** How often each item occurs. */
export function countItems(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** All runs of `n` items, joined by `glue`. */
export function ngrams(items: readonly string[], n: number, glue: string): string[] {
  const out: string[] = [];
  for (let i = 0; i + n <= items.length; i++) out.push(items.slice(i, i + n).join(glue));
  return out;
}

/** Number of items that two bags share. */
export function sharedCount(
  a: ReadonlyMap<string, number>,
  b: ReadonlyMap<string, number>,
): number {
  let shared = 0;
  for (const [item, count] of a) shared += Math.min(count, b.get(item) ?? 0);
  return shared;
}

/** Sum of a bag's counts. */
export function totalCount(bag: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of bag.values()) total += count;
  return total;
}

/** Harmonic mean of precision and recall, 0 where both are. */
export function f1Of(precision: number, recall: number): number {
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}
