import { describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../errors.ts';
import { resolveClasses } from './verbalizer.ts';

const seen = (...golds: string[]) => new Map(golds.map((gold, i) => [gold, `d.csv row ${i + 2}`]));

describe('resolveClasses', () => {
  it('takes the given words in the given order', () => {
    expect(resolveClasses(seen('1', '0'), { '0': 'bad', '1': ' good' })).toEqual([
      { gold: '0', word: 'bad' },
      { gold: '1', word: 'good' },
    ]);
  });

  it('takes gold values that are words, sorted', () => {
    const classes = resolveClasses(seen('sport', 'art'), undefined);
    expect(classes.map(({ word }) => word)).toEqual(['art', 'sport']);
  });

  it.each([
    [seen('0', '2'), { '0': 'bad', '1': 'good' }, '"2" (d.csv row 3) has no word'],
    [seen('0', '2'), { '0': 'bad', '1': 'good' }, '"0": bad, "1": good'],
    [seen('10', '9'), undefined, 'a word for each of "9", "10"'],
    [seen('a', 'b'), { a: 'x', b: 'x' }, 'have the same word "x"'],
    [seen('a', 'b'), { a: 'x', b: ' ' }, 'has an empty word'],
  ])('refuses %j with %j', (golds, labels, message) => {
    const resolve = () => resolveClasses(golds, labels as Record<string, string>);
    expect(resolve).toThrow(ConfigError);
    expect(resolve).toThrow(message);
  });

  it('refuses one label only, whatever the words', () => {
    const resolve = () => resolveClasses(seen('1'), { '0': 'bad', '1': 'good' });
    expect(resolve).toThrow(DataError);
    expect(resolve).toThrow('one label only, "1"');
  });
});
