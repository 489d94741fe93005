/** A prompt taken apart: its tokens, the texts without one of them, the texts in another order. */
import type { Tokenizer } from '../../models/index.ts';
import type { Rng } from '../../util/rng.ts';

/** The text that ids are, special tokens included, without the space that the template gives. */
export function textOf(ids: readonly number[], tokenizer: Tokenizer): string {
  return tokenizer.decode(ids, { keepSpecialTokens: true }).replace(/^ /, '');
}

/** One text per token: all the others. */
export function withoutEach(ids: readonly number[], tokenizer: Tokenizer): string[] {
  return ids.map((_, t) => textOf(ids.toSpliced(t, 1), tokenizer));
}

/** Tries for each permutation wanted: short prompts have few. */
const TRIES = 20;

/** At most `count` distinct texts of the same tokens in another order. */
export function permutations(
  ids: readonly number[],
  tokenizer: Tokenizer,
  { rng, count }: { rng: Rng; count: number },
): string[] {
  const own = textOf(ids, tokenizer);
  const found = new Set<string>();
  for (let i = 0; i < count * TRIES && found.size < count; i++) {
    const text = textOf(rng.shuffle(ids), tokenizer);
    if (text !== own) found.add(text);
  }
  return [...found];
}

/** Places in the text, in UTF-16 units, at which each token ends. */
export function endsOf(ids: readonly number[], tokenizer: Tokenizer): number[] {
  return ids.map((_, t) => textOf(ids.slice(0, t + 1), tokenizer).length);
}

/**
 * Log-probabilities of one division of a text, given to the tokens of another: each goes to the token
 * in which its own ends, so that the sum over the text, ln P(text), stays.
 */
export function attribute(
  logProbs: ArrayLike<number>,
  from: readonly number[],
  to: readonly number[],
): number[] {
  // The same division: pieces of one character end in the same place, but are not one token.
  if (from.length === to.length && from.every((end, i) => end === to[i])) {
    return Array.from(logProbs);
  }
  const out = to.map(() => 0);
  from.forEach((end, i) => {
    const at = to.findIndex((other) => other >= end);
    out[at < 0 ? to.length - 1 : at]! += logProbs[i]!;
  });
  return out;
}
