import { expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { Archive } from './archive.ts';
import type { ScoredEpisode } from './policy-loop.ts';

function scored(text: string, reward: number): ScoredEpisode {
  return {
    episode: {
      ids: [],
      actions: [1, 2, 3],
      states: new Float32Array(),
      entropy: 0,
      logProb: 0,
      sampledLogProbs: [],
    },
    prompt: { text },
    score: {
      reward,
      accuracy: 0,
      examples: [],
      rewards: [],
      predicted: [],
      scores: new Float32Array(),
    },
  };
}

it('keeps the best distinct prompts', () => {
  const archive = new Archive(2);
  archive.add([scored('a', 1), scored('b', 3), scored('c', 2)]);
  archive.add([scored('b', 3), scored('d', 0)]);
  const rng = createRng(1);
  const parents = Array.from({ length: 100 }, () => archive.depart(rng).parent.prompt.text);
  expect([...new Set(parents)].sort()).toEqual(['b', 'c']);
  expect(parents.filter((text) => text === 'b').length).toBeGreaterThan(50);
});

it('leaves at least one token to the policy and sets the others as the parent has them', () => {
  const archive = new Archive(1);
  archive.add([scored('a', 1)]);
  const rng = createRng(2);
  const frees = Array.from({ length: 200 }, () => {
    const { plan } = archive.depart(rng);
    expect(plan.actions).toEqual([1, 2, 3]);
    return plan.isFree.filter(Boolean).length;
  });
  expect(Math.min(...frees)).toBe(1);
  expect(Math.max(...frees)).toBe(3);
});
