import { describe, expect, it } from 'vitest';
import { compilePattern } from './pattern.ts';
import { eachLiteral, SPLIT_BEHAVIOURS, splitBy } from './split.ts';

const pieces = (text: string, source: string) => splitBy(text, compilePattern(source), 'Isolated');

describe('splitting', () => {
  it.each([
    ['Removed', 'the|final|countdown'],
    ['Isolated', 'the|-|final|-|-|countdown'],
    ['MergedWithPrevious', 'the-|final-|-|countdown'],
    ['MergedWithNext', 'the|-final|-|-countdown'],
    ['Contiguous', 'the|-|final|--|countdown'],
  ])('%s', (name, want) => {
    const behaviour = SPLIT_BEHAVIOURS.find((known) => known === name)!;
    expect(splitBy('the-final--countdown', eachLiteral('-'), behaviour).join('|')).toBe(want);
  });

  it('can take the pattern for what to keep', () => {
    expect(splitBy('a-b', compilePattern('[a-z]'), 'Removed', true)).toEqual(['a', 'b']);
  });
});

describe('a pattern', () => {
  it('prefers the first alternative and gives characters back', () => {
    expect(pieces('abab', 'a|ab')).toEqual(['a', 'b', 'a', 'b']);
    expect(pieces('a   b', '\\s+(?!\\S)|\\s+')).toEqual(['a', '  ', ' ', 'b']);
  });

  it('knows greedy, lazy, possessive and counted repeats', () => {
    expect(pieces('aaab', 'a{2}')).toEqual(['aa', 'ab']);
    expect(pieces('aaab', 'a+?')).toEqual(['a', 'a', 'a', 'b']);
    expect(pieces('aaab', 'a++b')).toEqual(['aaab']);
    expect(pieces('aaa', 'a++a|a')).toEqual(['a', 'a', 'a']);
    expect(pieces('12345', '\\d{1,3}')).toEqual(['123', '45']);
  });

  it('folds case as Unicode does, inside its group only', () => {
    expect(pieces("it'ſ", "(?i:'s)")).toEqual(['it', "'ſ"]);
    expect(pieces('aAbB', '(?i:a)b')).toEqual(['a', 'Ab', 'B']);
  });

  it('takes a character outside the basic plane for one', () => {
    expect(pieces('a😀😀b', '[^a-z]')).toEqual(['a', '😀', '😀', 'b']);
    expect(pieces('😀x', '.x')).toEqual(['😀x']);
  });

  it('knows the ends of words, in every script', () => {
    expect(pieces('no nose, кот', '\\bno\\b|\\bкот\\b')).toEqual(['no', ' nose, ', 'кот']);
    expect(pieces('ab b', '\\Bb')).toEqual(['a', 'b', ' b']);
  });

  it('splits at empty matches', () => {
    expect(pieces('1234567', '(?=(\\d{3})+(?!\\d))')).toEqual(['1', '234', '567']);
  });
});
