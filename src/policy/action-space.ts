/**
 * The tokens that a policy may write: printable words, no special tokens, and only such that the
 * text they make is read back as the same tokens, alone.
 */
import type { Tokenizer } from '../models/tokenizer.ts';

export interface ActionSpace {
  /** Vocabulary ids, ascending; an action is an index into this list. */
  readonly ids: readonly number[];
}

/** The action space of a tokenizer. */
export function actionSpaceOf(tokenizer: Tokenizer): ActionSpace {
  const ids: number[] = [];
  for (let id = 0; id < tokenizer.size; id++) {
    if (tokenizer.isSpecial(id)) continue;
    const text = tokenizer.tokenText(id);
    // A space first, so that a sequence of them is read back as it is.
    if (!/^ [\p{L}\p{N}\p{P}\p{S}]+$/u.test(text) || text.includes('\ufffd')) continue;
    const again = tokenizer.encode(text);
    if (again.length === 1 && again[0] === id) ids.push(id);
  }
  return { ids };
}
