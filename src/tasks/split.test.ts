import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { createRng } from '../util/rng.ts';
import { apportion, sampleStratified, splitStratified, takeShots } from './split.ts';

const golds = ['no', 'yes'];
/** 60 of label 0, 30 of label 1, mixed. */
const examples = Array.from({ length: 90 }, (_, i) => ({ i, label: i % 3 === 0 ? 1 : 0 }));
const parts = [
  { name: 'train', share: 5 },
  { name: 'validation', share: 2 },
  { name: 'test', share: 3 },
];
const countOf = (list: readonly { label: number }[], label: number) =>
  list.filter((e) => e.label === label).length;

describe('splitStratified', () => {
  it('divides every label by the shares, each example once, in order', () => {
    const split = splitStratified(examples, parts, createRng(1), { golds });
    expect(split.map((list) => [countOf(list, 0), countOf(list, 1)])).toEqual([
      [30, 15],
      [12, 6],
      [18, 9],
    ]);
    expect(split.flat().toSorted((a, b) => a.i - b.i)).toEqual(examples);
    for (const list of split) expect(list).toEqual(list.toSorted((a, b) => a.i - b.i));
  });

  it('depends on the seed alone', () => {
    const draw = (seed: number) => splitStratified(examples, parts, createRng(seed), { golds });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it('refuses a label with fewer examples than splits', () => {
    const few = [...examples.filter((e) => e.label === 0), { i: 99, label: 1 }];
    const split = () => splitStratified(few, parts, createRng(1), { golds });
    expect(split).toThrow(DataError);
    expect(split).toThrow('label "yes" has 1 example, too few for the 3 splits');
  });
});

describe('takeShots', () => {
  it('draws k of each label for each part and gives the rest', () => {
    const names = ['train', 'validation'];
    const { parts: drawn, rest } = takeShots(examples, 4, names, createRng(3), { golds });
    for (const list of drawn) expect([countOf(list, 0), countOf(list, 1)]).toEqual([4, 4]);
    expect(rest).toHaveLength(90 - 16);
    expect(new Set([...drawn.flat(), ...rest]).size).toBe(90);
  });

  it('says how many shots are possible', () => {
    const draw = () => takeShots(examples, 16, ['train', 'validation'], createRng(3), { golds });
    expect(draw).toThrow('label "yes" has 30 examples, too few for 16 shots');
    expect(draw).toThrow('lower task.shots to 15');
  });
});

describe('sampleStratified', () => {
  it('keeps proportions and never drops a label', () => {
    const sample = sampleStratified(examples, 9, createRng(1));
    expect([countOf(sample, 0), countOf(sample, 1)]).toEqual([6, 3]);
    const rare = [...examples.filter((e) => e.label === 0), { i: 99, label: 1 }];
    expect(countOf(sampleStratified(rare, 5, createRng(1)), 1)).toBe(1);
  });

  it('gives all when there are no more', () => {
    expect(sampleStratified(examples, 90, createRng(1))).toBe(examples);
  });
});

describe('apportion', () => {
  it.each([
    [10, [1, 1, 1], [4, 3, 3]],
    [10, [0.5, 0.2, 0.3], [5, 2, 3]],
    [3, [100, 1, 1], [1, 1, 1]],
    [2, [1, 5, 3], [0, 1, 1]],
    [0, [1, 1], [0, 0]],
  ])('%i by %j is %j', (total, shares, sizes) => {
    expect(apportion(total, shares)).toEqual(sizes);
  });
});
