import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../models/index.ts';
import { createRng } from '../../util/rng.ts';
import { attribute, endsOf, permutations, textOf, withoutEach } from './variants.ts';
import { dictionaryShare, isDictionaryWord, wordsOf } from './words.ts';

const VOCABULARY = [
  ' walk',
  ' stop',
  ' happy',
  ' love',
  ' a',
  ' b',
  ' good',
  ' Paris',
  '.',
  ' con',
];

/** Whole words and full stops; what it does not hold is spelt in two pieces. */
const tokenizer: Tokenizer = {
  size: VOCABULARY.length,
  special: {},
  encode(text) {
    return (text.match(/ ?[^ .]+|\./g) ?? []).flatMap((word) => {
      const id = VOCABULARY.indexOf(word);
      return id < 0 ? [98, 99] : [id];
    });
  },
  decode: (ids) => ids.map((id) => VOCABULARY[id]).join(''),
  tokenText: (id) => VOCABULARY[id] ?? '?',
  isSpecial: () => false,
  idOf: () => undefined,
};

describe('variants', () => {
  const ids = [6, 0, 1, 8]; // good walk stop.

  it('leaves each token out in turn', () => {
    expect(textOf(ids, tokenizer)).toBe('good walk stop.');
    expect(withoutEach(ids, tokenizer)).toEqual([
      'walk stop.',
      'good stop.',
      'good walk.',
      'good walk stop',
    ]);
    expect(withoutEach([6], tokenizer)).toEqual(['']);
  });

  it('permutes by the seed: distinct, other than the text itself, of the same tokens', () => {
    const draw = (seed: number) => permutations(ids, tokenizer, { rng: createRng(seed), count: 8 });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(new Set(draw(1)).size).toBe(8);
    for (const text of draw(1)) {
      expect(text).not.toBe('good walk stop.');
      expect([...text.replaceAll(' ', '')].sort()).toEqual([...'goodwalkstop.'].sort());
    }
  });

  it('finds all other orders of a short prompt, none of a single token', () => {
    const rng = createRng(3);
    expect(permutations([6, 0], tokenizer, { rng, count: 8 })).toEqual(['walk good']);
    expect(permutations([6], tokenizer, { rng, count: 8 })).toEqual([]);
    expect(permutations([6, 6], tokenizer, { rng, count: 8 })).toEqual([]);
  });

  it('gives log-probabilities to the tokens in which theirs end, and keeps the sum', () => {
    expect(endsOf(ids, tokenizer)).toEqual([4, 9, 14, 15]);
    // "go", "od walk", " stop." against "good", " walk", " stop", "."
    expect(attribute([-1, -2, -4], [2, 9, 15], [4, 9, 14, 15])).toEqual([-1, -2, 0, -4]);
    expect(attribute([-1, -2], [2, 99], [4, 9])).toEqual([-1, -2]);
    expect(attribute([-1, -2, -4], [1, 1, 2], [1, 1, 2])).toEqual([-1, -2, -4]);
  });
});

describe('dictionary words', () => {
  it.each(['walk', 'Walked', 'walking', 'stopped', 'happier', 'loves', 'loving', 'a', "love's"])(
    '%s is one',
    (word) => expect(isDictionaryWord(word, tokenizer)).toBe(true),
  );

  it.each(['paris', 'Paris', 'b', 'walkstop', 'iciticititableually', 'ing'])('%s is none', (word) =>
    expect(isDictionaryWord(word, tokenizer)).toBe(false),
  );

  it('are counted among runs of letters', () => {
    const words = wordsOf('walk, 42 xyzzy stopped!', tokenizer);
    expect(words.map(({ word }) => word)).toEqual(['walk', 'xyzzy', 'stopped']);
    expect(dictionaryShare(words)).toBeCloseTo(2 / 3, 12);
    expect(dictionaryShare(wordsOf('42 :-)', tokenizer))).toBeNull();
  });
});
