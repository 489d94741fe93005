import { expect, it } from 'vitest';
import type { PromptScore } from '../environment/index.ts';
import { CandidatePool } from './candidate-pool.ts';

const scoreOf = (reward: number, examples: number): PromptScore => ({
  reward,
  accuracy: reward / 10,
  examples: Array.from({ length: examples }, (_, i) => i),
  rewards: [],
  predicted: [],
  scores: new Float32Array(),
});

it('keeps the mean over all minibatches that a prompt was scored on', () => {
  const pool = new CandidatePool();
  pool.add({ text: 'lucky' }, scoreOf(9, 8));
  pool.add({ text: 'steady' }, scoreOf(6, 8));
  expect(pool.best?.prompt.text).toBe('lucky');
  pool.add({ text: 'lucky' }, scoreOf(3, 24));
  expect(pool.best?.prompt.text).toBe('steady');
  const [, lucky] = pool.top(2);
  expect(lucky?.reward).toBeCloseTo((9 * 8 + 3 * 24) / 32, 12);
  expect(lucky?.accuracy).toBeCloseTo((0.9 * 8 + 0.3 * 24) / 32, 12);
});

it('is not moved by the same score again', () => {
  const pool = new CandidatePool();
  for (let i = 0; i < 3; i++) pool.add({ text: 'same' }, scoreOf(0.7, 11));
  expect(pool.best?.reward).toBe(0.7);
});
