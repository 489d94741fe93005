import { describe, expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { balancedDraw } from './subjects.ts';

/** How often each label came up, an item's labels counting one together. */
function counts(drawn: readonly { readonly labels: readonly number[] }[]): number[] {
  const out: number[] = [];
  for (const { labels } of drawn) {
    for (const label of labels) out[label] = (out[label] ?? 0) + 1 / labels.length;
  }
  return out;
}

const items = (labels: readonly number[][]) => labels.map((own, id) => ({ id, labels: own }));

describe('a balanced draw', () => {
  it('has every label as often in each draw, however rare it is', () => {
    const of = (label: number, count: number) => Array.from({ length: count }, () => [label]);
    const draw = balancedDraw(items([...of(0, 40), ...of(1, 4), ...of(2, 9)]), createRng(1));
    for (let i = 0; i < 20; i++) expect(counts(draw(6))).toEqual([2, 2, 2]);
  });

  it('counts what has several labels for each of them', () => {
    const draw = balancedDraw(items([[0, 1, 1, 0], [0, 1], [2], [2, 2], [2]]), createRng(2));
    const drawn = Array.from({ length: 60 }, () => draw(1)).flat();
    const [zero, one, two] = counts(drawn);
    expect(Math.abs(zero! - one!)).toBeLessThan(3);
    expect(Math.abs(two! - (zero! + one!) / 2)).toBeLessThan(3);
  });

  it('draws nothing twice at a time, everything in turn, and all where more is asked for', () => {
    const all = items([[0], [0], [0], [1], [1]]);
    const draw = balancedDraw(all, createRng(3));
    const seen = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const some = draw(2).map(({ id }) => id);
      expect(new Set(some).size).toBe(2);
      for (const id of some) seen.add(id);
    }
    expect(seen.size).toBe(5);
    expect(draw(9)).toHaveLength(5);
    expect(
      draw(9)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([0, 1, 2, 3, 4]);
  });
});
