import { expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { Archive } from './archive.ts';

const kept = (text: string, reward: number, ids = [1, 2, 3]) => ({ ids, text, reward });

it('keeps the best distinct prompts', () => {
  const archive = new Archive(2, 3);
  archive.add([kept('a', 1), kept('b', 3), kept('c', 2)]);
  archive.add([kept('b', 3), kept('d', 0)]);
  const rng = createRng(1);
  const parents = Array.from({ length: 100 }, () => archive.depart(rng).parent.text);
  expect([...new Set(parents)].sort()).toEqual(['b', 'c']);
  expect(parents.filter((text) => text === 'b').length).toBeGreaterThan(50);
});

it('leaves at least one token to the policy and sets the others as the parent has them', () => {
  const archive = new Archive(1, 3);
  archive.add([kept('a', 1)]);
  const rng = createRng(2);
  const frees = Array.from({ length: 200 }, () => {
    const { plan } = archive.depart(rng);
    expect(plan.ids).toEqual([1, 2, 3]);
    return plan.isFree.filter(Boolean).length;
  });
  expect(Math.min(...frees)).toBe(1);
  expect(Math.max(...frees)).toBe(3);
});

it('lets the policy write before a prompt that is short', () => {
  const archive = new Archive(1, 5);
  archive.add([kept('It was', 1, [7, 8])]);
  const { plan } = archive.depart(createRng(3));
  expect(plan.ids.slice(3)).toEqual([7, 8]);
  expect(plan.isFree).toEqual([true, true, true, false, false]);
});
