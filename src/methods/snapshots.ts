/**
 * Snapshots of what learning changes: adapter, target and the optimiser's state, each copied, so that
 * nothing that is written later can reach them. Two are kept, and the older one is given back: trouble
 * shows some steps after it began.
 */
import type { AdamState, Parameters } from '../tensor/index.ts';

export interface Learnt {
  readonly parameters: Parameters;
  readonly target: Parameters;
  readonly optimizer: AdamState;
}

export interface Snapshot {
  /** The first step that the snapshot has not seen. */
  readonly step: number;
  readonly learnt: Learnt;
}

/** The newest last. */
export type Snapshots = readonly Snapshot[];

/** Steps between two snapshots. */
const INTERVAL = 10;

/** With one more snapshot when the last is old enough. */
export function keep(snapshots: Snapshots, step: number, learnt: Learnt): Snapshots {
  const last = snapshots.at(-1);
  if (last && step - last.step < INTERVAL) return snapshots;
  return [...snapshots, { step, learnt: copyOf(learnt) }].slice(-2);
}

/** A copy of the oldest snapshot, which alone is kept. */
export function fallBack(snapshots: Snapshots): [Snapshots, Snapshot] {
  const [oldest] = snapshots;
  if (!oldest) throw new RangeError('snapshots: there is none to fall back to');
  return [[oldest], { step: oldest.step, learnt: copyOf(oldest.learnt) }];
}

function copyOf({ parameters, target, optimizer }: Learnt): Learnt {
  // One by one: a single call would keep two references to one array one array.
  return {
    parameters: structuredClone(parameters),
    target: structuredClone(target),
    optimizer: structuredClone(optimizer),
  };
}
