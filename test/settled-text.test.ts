/** What of a text that is being written cannot change any more, for tokenizers of every kind. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settledText } from '../src/models/generate.ts';
import type { Tokenizer } from '../src/models/tokenizer.ts';
import { loadTokenizerJson } from '../src/models/tokenizer-json.ts';
import { kinds, texts, tokenizerFile } from './tokenizer-fixtures.ts';

/** The pieces that a reader is told while `ids` are written, the rest last. */
function told(tokenizer: Tokenizer, ids: readonly number[], stop: string[]): string[] {
  const pieces: string[] = [];
  let length = 0;
  for (let n = 1; n <= ids.length; n++) {
    const text = settledText(ids.slice(0, n), tokenizer, stop);
    if (text.length > length) pieces.push(text.slice(length));
    length = Math.max(length, text.length);
  }
  return pieces;
}

describe.each(kinds)('%s', (kind) => {
  const tokenizer = loadTokenizerJson(tokenizerFile(kind));

  it('of any ids, broken characters among them, is the beginning of the whole text', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.size - 1), { maxLength: 24 }), (ids) => {
        expect(tokenizer.decode(ids).startsWith(told(tokenizer, ids, []).join(''))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('of real texts is whole characters, and all of them but an end that is open', () => {
    for (const text of texts.slice(0, 120)) {
      const ids = tokenizer.encode(text);
      const whole = tokenizer.decode(ids);
      const pieces = told(tokenizer, ids, []);
      expect(whole.startsWith(pieces.join(''))).toBe(true);
      for (const piece of pieces)
        expect(piece).toBe(/^\p{Surrogate}|\p{Surrogate}$/u.test(piece) ? '' : piece);
    }
  });

  it('holds back what may be the beginning of a stop text', () => {
    const stop = ['the end', '\n\n'];
    for (const text of ['one two the end three', 'a\n\nb', 'say the the ended', 'no the']) {
      const ids = tokenizer.encode(text);
      const whole = tokenizer.decode(ids);
      const places = stop.map((one) => whole.indexOf(one)).filter((at) => at >= 0);
      const cut = places.length > 0 ? whole.slice(0, Math.min(...places)) : whole;
      // A generator looks for stop texts after every token, so what is told behind one is never asked for.
      const until = ids.findIndex((_, n) => stop.some((one) => tokenizer.decode(ids.slice(0, n + 1)).includes(one))); // biome-ignore format: one value
      const read = until < 0 ? ids : ids.slice(0, until);
      expect(cut.startsWith(told(tokenizer, read, stop).join(''))).toBe(true);
    }
  });
});
