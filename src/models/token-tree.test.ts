import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupByTree, tokenTree } from './token-tree.ts';

// Few different tokens, so that many sequences begin alike and some are equal.
const sequence = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 6 });
const sequences = fc.array(sequence, { minLength: 1, maxLength: 40 });
const beginnings = (all: readonly (readonly number[])[]) =>
  new Set(all.flatMap((ids) => ids.map((_, i) => ids.slice(0, i + 1).join(' '))));

describe('tokenTree', () => {
  it('holds every beginning once, and every sequence on the way to its end', () => {
    fc.assert(
      fc.property(sequences, (all) => {
        const { ids, parents, depths, ends } = tokenTree(all);
        expect(ids.length).toBe(beginnings(all).size);
        expect(parents.every((parent, node) => parent < node)).toBe(true);
        all.forEach((expected, i) => {
          const path: number[] = [];
          for (let at = ends[i]!; at >= 0; at = parents[at]!) path.unshift(ids[at]!);
          expect(path).toEqual(expected);
          expect(depths[ends[i]!]).toBe(expected.length - 1);
        });
      }),
    );
  });
});

describe('groupByTree', () => {
  it('puts each sequence into one group, within the limit unless it is alone', () => {
    fc.assert(
      fc.property(sequences, fc.integer({ min: 1, max: 12 }), (all, most) => {
        const groups = groupByTree(all, most);
        expect(groups.flat().sort((a, b) => a - b)).toEqual(all.map((_, i) => i));
        for (const group of groups) {
          const members = group.map((i) => all[i]!);
          // One that is too long stands alone, with what is a part of it.
          const longest = members.at(-1)!.length;
          expect(beginnings(members).size).toBeLessThanOrEqual(Math.max(most, longest));
        }
      }),
    );
  });

  it('keeps those that begin alike together', () => {
    const all = [[1, 2, 3], [7, 8, 9], [1, 2, 4], [7, 8, 1]]; // biome-ignore format: a table
    expect(groupByTree(all, 4)).toEqual([
      [0, 2],
      [3, 1],
    ]);
  });
});
