/**
 * The tokens that a policy may write: printable words, no special tokens, and only such that the
 * text they make is read back as the same tokens, alone.
 */
import { ConfigError } from '../errors.ts';
import type { Tokenizer } from '../models/tokenizer.ts';

export interface ActionSpace {
  /** Vocabulary ids, ascending; an action is an index into this list. */
  readonly ids: readonly number[];
}

/**
 * The action space of a tokenizer.
 * @throws ConfigError when no token is a word
 */
export function actionSpaceOf(tokenizer: Tokenizer): ActionSpace {
  const ids = wholeWords(tokenizer);
  if (ids.length === 0) {
    throw new ConfigError(
      'the vocabulary has no token that is a whole word to write prompts with, take another model',
    );
  }
  return { ids };
}

/** Ids of the tokens that are a whole word, ascending; none in vocabularies of characters. */
export function wholeWords(tokenizer: Tokenizer): number[] {
  // A space first, so that a sequence of them is read back as it is; vocabularies of words
  // (WordPiece) keep no spaces in their tokens, and put them between words themselves.
  const spaced = wordIds(tokenizer, '');
  return spaced.length > 0 ? spaced : wordIds(tokenizer, ' ');
}

/** Tokens that are one word with a space before it, the space `lead` or their own. */
function wordIds(tokenizer: Tokenizer, lead: '' | ' '): number[] {
  const ids: number[] = [];
  for (let id = 0; id < tokenizer.size; id++) {
    if (tokenizer.isSpecial(id)) continue;
    const text = lead + tokenizer.tokenText(id);
    if (!/^ [\p{L}\p{N}\p{P}\p{S}]+$/u.test(text) || text.includes('\ufffd')) continue;
    const again = tokenizer.encode(text);
    if (again.length === 1 && again[0] === id) ids.push(id);
  }
  return ids;
}
