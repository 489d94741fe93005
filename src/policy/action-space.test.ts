import { expect, it } from 'vitest';
import { loadTokenizerJson } from '../models/tokenizer-json.ts';
import { actionSpaceOf } from './action-space.ts';

/** A vocabulary of whole words, without spaces in them. */
const wordTokenizer = (vocab: Record<string, number>) =>
  loadTokenizerJson({
    added_tokens: [{ id: 0, content: '<unk>', special: true }],
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab: { '<unk>': 0, ...vocab }, unk_token: '<unk>' },
  });

it('takes the words of a vocabulary whose tokens hold no spaces', () => {
  const tokenizer = wordTokenizer({ good: 1, 'two words': 2, 'fine.': 3 });
  expect(actionSpaceOf(tokenizer).ids).toEqual([1, 3]);
});

it('refuses a vocabulary without words', () => {
  expect(() => actionSpaceOf(wordTokenizer({ '': 1 }))).toThrow(/no token that is a whole word/);
});
