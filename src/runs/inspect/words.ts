/**
 * Dictionary words, by a rule that needs no word list: the policy LM's tokenizer is the dictionary. A
 * run of letters counts as a word when it, in lower case, is one whole token with a space before it, or
 * when that holds of what is left after an English inflection ("walked", "prices", "happier").
 *
 * The rule is generous: a tokenizer also holds frequent beginnings of words (" con"). It suits languages
 * that write spaces between words; "a" and "i" are the only words of one letter.
 */
import type { Tokenizer } from '../../models/index.ts';

export interface Word {
  readonly word: string;
  readonly isKnown: boolean;
}

/** Endings, and what stood in their place. */
const INFLECTIONS: readonly (readonly [ending: string, instead: readonly string[]])[] = [
  ["'s", ['']],
  ['’s', ['']],
  ["n't", ['']],
  ['ies', ['y']],
  ['ied', ['y']],
  ['ier', ['y']],
  ['iest', ['y']],
  ['ily', ['y']],
  ['es', ['']],
  ['s', ['']],
  ['ed', ['', 'e']],
  ['ing', ['', 'e']],
  ['er', ['', 'e']],
  ['est', ['', 'e']],
  ['ly', ['']],
];
const SHORTEST_BASE = 3;

/** The words of a text: runs of letters and marks, apostrophes inside them. */
export function wordsOf(text: string, tokenizer: Tokenizer): Word[] {
  const runs = text.match(/[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*/gu) ?? [];
  return runs.map((word) => ({ word, isKnown: isDictionaryWord(word, tokenizer) }));
}

/** Share of known words; none where the text has no words. */
export function dictionaryShare(words: readonly Word[]): number | null {
  return words.length === 0 ? null : words.filter(({ isKnown }) => isKnown).length / words.length;
}

export function isDictionaryWord(word: string, tokenizer: Tokenizer): boolean {
  return [word.toLowerCase(), ...bases(word.toLowerCase())].some((w) => isHeld(w, tokenizer));
}

/** What may have been inflected: "walk" and "walke" for "walked", "stop" for "stopped". */
function bases(word: string): string[] {
  const found = INFLECTIONS.flatMap(([ending, instead]) => {
    if (!word.endsWith(ending)) return [];
    const stem = word.slice(0, -ending.length);
    const undoubled = /([^aeiou])\1$/.test(stem) ? [stem.slice(0, -1)] : [];
    return [...instead.map((letters) => stem + letters), ...undoubled];
  });
  return found.filter((base) => base.length >= SHORTEST_BASE);
}

function isHeld(word: string, tokenizer: Tokenizer): boolean {
  if ([...word].length === 1 && word !== 'a' && word !== 'i') return false;
  const ids = tokenizer.encode(` ${word}`);
  return (
    ids.length === 1 &&
    !tokenizer.isSpecial(ids[0]!) &&
    tokenizer.tokenText(ids[0]!).trim() === word
  );
}
