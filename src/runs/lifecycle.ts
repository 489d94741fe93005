/**
 * What can be done with a recorded run, the same for the command line and the studio: asking the
 * process that works on it to pause or to stop, going on with it, branching off, deleting, comparing.
 * A request is a word in the store; the process that writes the run sees it at its next step.
 */
import { rmSync } from 'node:fs';
import { StoreError } from '../errors.ts';
import { differences } from './differences.ts';
import type { SplitScore } from './events.ts';
import type { RunRequest, RunStore, StoredRun } from './store.ts';

export { type BranchOptions, branchRun } from './branch.ts';
export { type ResumeOptions, resumeRun } from './resume.ts';

/** Asks the process that works on a run to keep its state and end. @throws StoreError when none does */
export function requestPause(store: RunStore, id: string): StoredRun {
  return ask(store, id, 'pause');
}

/** Asks it to end the search and measure what was found. @throws StoreError when none works on it */
export function requestStop(store: RunStore, id: string): StoredRun {
  return ask(store, id, 'stop');
}

function ask(store: RunStore, id: string, request: RunRequest): StoredRun {
  const run = store.getRun(id);
  if (run.state !== 'running') {
    throw new StoreError(`run ${run.id}: no process works on it, it is ${run.state}`);
  }
  refuseCell(store, run.id);
  store.request(run.id, request);
  return store.getRun(run.id);
}

/** Deletes a run with its files. @throws StoreError while a process works on it */
export function deleteRun(store: RunStore, id: string): StoredRun {
  const run = store.getRun(id);
  const folder = store.artifactFolder(run.id);
  store.deleteRun(run.id);
  rmSync(folder, { recursive: true, force: true });
  return run;
}

/** @throws StoreError for a run that belongs to a comparison, which alone goes on with it */
export function refuseCell(store: RunStore, id: string): void {
  const comparison = store.comparisonOf(id);
  if (comparison === undefined) return;
  throw new StoreError(
    `run ${id}: is a cell of comparison ${comparison}; the same "whetstone compare" goes on with it, Ctrl-C stops it`,
  );
}

/** Where two runs differ. */
export interface RunDiff {
  readonly a: string;
  readonly b: string;
  /** Settings that differ, by path. */
  readonly config: readonly { readonly path: string; readonly a: unknown; readonly b: unknown }[];
  /** Data, models and versions that differ, by name. */
  readonly facts: readonly { readonly name: string; readonly a?: string; readonly b?: string }[];
  readonly prompts: { readonly a?: string; readonly b?: string };
  readonly test?: { readonly a?: SplitScore; readonly b?: SplitScore };
}

export function diffRuns(store: RunStore, first: string, second: string): RunDiff {
  const [a, b] = [store.getRun(first), store.getRun(second)];
  const facts = (run: StoredRun) => ({ ...run.versions, ...run.hashes });
  const [own, other] = [bestPrompt(store, a), bestPrompt(store, b)];
  const [test, otherTest] = [a.result?.test, b.result?.test];
  return {
    a: a.id,
    b: b.id,
    config: differences(a.config, b.config),
    facts: differences(facts(a), facts(b)).map(({ path: name, ...values }) => ({
      name,
      ...(values.a === undefined ? {} : { a: String(values.a) }),
      ...(values.b === undefined ? {} : { b: String(values.b) }),
    })),
    prompts: {
      ...(own === undefined ? {} : { a: own }),
      ...(other === undefined ? {} : { b: other }),
    },
    ...(test || otherTest
      ? { test: { ...(test && { a: test }), ...(otherTest && { b: otherTest }) } }
      : {}),
  };
}

/** The found prompt, or the best so far. */
function bestPrompt(store: RunStore, run: StoredRun): string | undefined {
  if (run.result) return run.result.prompt;
  const step = store.lastEvent(run.id, 'step')?.event;
  return step?.kind === 'step' && step.bestPrompt !== '' ? step.bestPrompt : undefined;
}
