import { expect, it } from 'vitest';
import { adam } from '../tensor/index.ts';
import { fallBack, keep, type Learnt, type Snapshots } from './snapshots.ts';

/** State after `step` updates that each add to every number. */
function learntAt(step: number): Learnt {
  const parameters = { w: Float32Array.of(step, step + 0.5) };
  const optimizer = adam({ learningRate: 1 }).init(parameters);
  return { parameters, target: parameters, optimizer: { ...optimizer, step } };
}

it('gives back what was, whatever is written into the arrays afterwards', () => {
  const live = learntAt(7);
  const snapshots = keep([], 7, live);
  live.parameters.w!.fill(99);
  live.optimizer.mean.w!.fill(99);
  const [, { learnt }] = fallBack(snapshots);
  expect(learnt).toEqual(learntAt(7));
});

it('shares no array between adapter and target, nor with the snapshot that is kept', () => {
  const [kept, { learnt }] = fallBack(keep([], 1, learntAt(1)));
  expect(learnt.target.w).not.toBe(learnt.parameters.w);
  learnt.parameters.w!.fill(99);
  expect(fallBack(kept)[1].learnt).toEqual(learntAt(1));
});

it('takes one every tenth step, keeps two, and falls back to the older', () => {
  let snapshots: Snapshots = [];
  for (let step = 1; step <= 45; step++) snapshots = keep(snapshots, step, learntAt(step));
  expect(snapshots.map(({ step }) => step)).toEqual([31, 41]);
  const [left, { step, learnt }] = fallBack(snapshots);
  expect({ step, learnt }).toEqual({ step: 31, learnt: learntAt(31) });
  expect(left.map((kept) => kept.step)).toEqual([31]);
});

it('has nothing to fall back to before the first', () => {
  expect(() => fallBack([])).toThrow('none to fall back to');
});
