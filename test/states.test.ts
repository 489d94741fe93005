/**
 * Methods that hand in their state go on from it exactly: a run that broke off and was resumed ends as
 * one that never stopped, and what it had computed before the state is not computed again.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OptimizeResult, RunEvent } from '../src/runs/events.ts';
import { branchRun, requestPause, resumeRun } from '../src/runs/lifecycle.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const cases: Readonly<Record<string, readonly string[]>> = {
  'soft-q': [
    'method.name=soft-q',
    'method.batchSize=4',
    'method.adapterWidth=16',
    'method.replay=0.5',
    'budget.evaluations=4000',
  ],
  'policy-gradient, fluency at a price': [
    'method.name=policy-gradient',
    'method.batchSize=4',
    'method.adapterWidth=16',
    'fluency.weight=0.05',
    'budget.evaluations=4000',
  ],
  'autoprompt, from human prompts': [
    'method.name=autoprompt',
    'method.searchWidth=6',
    'method.promptTokens=3',
    'method.patience=2',
    'method.start=human',
    'budget.evaluations=6000',
  ],
  grpo: [
    'method.name=grpo',
    'method.groups=1',
    'method.groupSize=4',
    'method.promptTokens=4',
    'method.rank=2',
    'method.warmSteps=2',
    'method.klWeight=0.01',
    'budget.evaluations=1500',
  ],
  'soft-prompt, rates tried, an encoder': [
    'method.name=soft-prompt',
    'method.virtualTokens=2',
    'method.encoder=mlp',
    'method.encoderWidth=8',
    'method.init=random',
    'method.steps=12',
    'method.restarts=2',
    'budget.evaluations=20000',
  ],
  'fine-tune': [
    'method.name=fine-tune',
    'method.rank=2',
    'method.batchSize=8',
    'method.learningRate=0.003',
    'method.steps=20',
    'method.restarts=2',
    'budget.evaluations=4000',
  ],
};

class Cut extends Error {}

let task: TinyTask;
let store: RunStore;
beforeAll(async () => {
  task = await tinyTask();
  store = await openStore(`${task.folder}/home`);
});
afterAll(async () => {
  store.close();
  await task.remove();
});

const lasting = ({ seconds, runId, files, ...result }: OptimizeResult) => result;

function run(set: readonly string[], onEvent?: (event: RunEvent) => void) {
  return task
    .load('budget.minutes=60', ...set)
    .then((loaded) => optimize(loaded, { store, onEvent, statesApartMs: 0 }));
}

const steps = (id: string) =>
  store
    .events(id, { kinds: ['step'] })
    .map(({ event }) => (event.kind === 'step' ? event : undefined)!);

describe.each(Object.entries(cases))('%s', (_, set) => {
  const isAutoprompt = set[0] === 'method.name=autoprompt';
  let whole: OptimizeResult;
  beforeAll(async () => {
    whole = await run(set);
  });

  it('ends the same after it broke off', async () => {
    const all = steps(whole.runId);
    const at = Math.ceil(0.7 * all.length);
    let seen = 0;
    const cut = run(set, (event) => {
      if (event.kind === 'step' && ++seen === at) throw new Cut('cut');
    });
    await expect(cut).rejects.toThrow(Cut);
    const broken = store.getRun('last');
    expect(broken).toMatchObject({ state: 'failed', canResume: true });
    const kept = store.recordings.checkpoints(broken.id).map(({ step }) => step);
    expect(kept.length).toBeGreaterThan(0);
    const followed: number[] = [];
    const result = await resumeRun(broken.id, {
      store,
      statesApartMs: 0,
      onEvent: (event) => {
        if (event.kind === 'progress' && event.phase === 'following the record') {
          followed.push(event.done);
        }
      },
    });
    expect(lasting(result)).toEqual(lasting(whole));
    // Steps before the state were not taken again.
    expect(followed).toHaveLength(at - kept.at(-1)!);
    const timeless = (id: string) =>
      steps(id).map(({ promptsPerSecond, secondsLeft, spent, ...step }) => step);
    expect(timeless(broken.id)).toEqual(timeless(whole.runId));
  });

  it('keeps the last few states and no blob of others', async () => {
    const places = store.recordings.checkpoints(whole.runId);
    expect(places.length).toBeLessThanOrEqual(4);
    expect(places.length).toBeGreaterThan(1);
  });

  it('goes on from a state with another option', async () => {
    const places = store.recordings.checkpoints(whole.runId);
    const { step } = places[0]!;
    const other = isAutoprompt ? 'method.patience=3' : 'method.learningRate=0.0001';
    const branch = branchRun(store, whole.runId, { set: [other], step });
    expect(branch).toMatchObject({ state: 'paused', parent: whole.runId, parentStep: step });
    const result = await resumeRun(branch.id, { store, statesApartMs: 0 });
    expect(result.runId).toBe(branch.id);
    const [own, parents] = [steps(branch.id), steps(whole.runId)];
    expect(own.slice(0, step)).toEqual(parents.slice(0, step));
    expect(own.length).toBeGreaterThan(step);
  });

  // Of a trigger's length nothing is learnt that another one could not go on from.
  it.skipIf(isAutoprompt)('is refused where the state does not fit', async () => {
    const size = set.some((one) => /adapterWidth/.test(one)) ? 'adapterWidth=24' : 'rank=3';
    const other = set[0]!.endsWith('soft-prompt') ? 'virtualTokens=3' : size;
    const misfit = branchRun(store, whole.runId, { set: [`method.${other}`] });
    await expect(resumeRun(misfit.id, { store })).rejects.toThrow(/does not fit; begin anew/);
  });

  it('pauses after a step when that is asked for, and goes on', async () => {
    let seen = 0;
    const paused = run(set, (event) => {
      if (event.kind === 'step' && ++seen === 3) requestPause(store, store.getRun('last').id);
    });
    await expect(paused).rejects.toThrow(/is paused; go on with it by/);
    const { id } = store.getRun('last');
    expect(store.getRun(id)).toMatchObject({ state: 'paused', canResume: true });
    expect(steps(id)).toHaveLength(4);
    expect(lasting(await resumeRun(id, { store }))).toEqual(lasting(whole));
  });
});

describe('a branch with other minutes', () => {
  const short = ['method.name=random', 'method.batchSize=4', 'budget.evaluations=50000000'];
  const load = (...set: string[]) => task.load(...short, ...set);
  const firstSteps = (id: string, count: number) => steps(id).slice(0, count);

  it('goes on from a run that was paused and resumed, and from that branch', async () => {
    let seen = 0;
    const paused = optimize(await load('budget.minutes=0.02'), {
      store,
      onEvent: (event) => {
        if (event.kind === 'step' && ++seen === 3) requestPause(store, store.getRun('last').id);
      },
    });
    await expect(paused).rejects.toThrow(/is paused/);
    const { id } = store.getRun('last');
    await resumeRun(id, { store });
    const all = steps(id).length;
    const more = branchRun(store, id, { set: ['budget.minutes=0.03'] });
    await resumeRun(more.id, { store });
    expect(firstSteps(more.id, all)).toEqual(steps(id));
    expect(steps(more.id).length).toBeGreaterThan(all);
    // Each step was made with the limits that held then.
    for (const step of [3, all, steps(more.id).length]) {
      const next = branchRun(store, more.id, { set: ['budget.minutes=0.04'], step });
      await resumeRun(next.id, { store });
      expect(firstSteps(next.id, step)).toEqual(firstSteps(more.id, step));
      expect(steps(next.id).length).toBeGreaterThan(step);
    }
  });

  it('goes on from a run whose search was shortened to end in time', async () => {
    const { runId } = await optimize(await load('budget.minutes=1', 'budget.evaluations=300'), {
      store,
      totalSeconds: 1,
    });
    const warnings = (id: string) =>
      store.events(id, { kinds: ['warning'] }).map(({ event }) => event);
    expect(JSON.stringify(warnings(runId))).toContain('is shortened to');
    const at = 2;
    const set = ['budget.minutes=60', 'budget.evaluations=600'];
    const branch = branchRun(store, runId, { set, step: at });
    const result = await resumeRun(branch.id, { store });
    expect(result.evaluations).toBeGreaterThanOrEqual(600);
    expect(firstSteps(branch.id, at)).toEqual(firstSteps(runId, at));
  });

  it('goes on from a state with other options and other minutes at once', async () => {
    const learns = ['method.name=policy-gradient', 'method.batchSize=4', 'method.adapterWidth=16'];
    const { runId } = await run([...learns, 'budget.evaluations=4000']);
    const set = ['method.learningRate=0.0001', 'budget.minutes=120', 'budget.evaluations=4500'];
    const branch = branchRun(store, runId, { set });
    const result = await resumeRun(branch.id, { store });
    expect(result.evaluations).toBeGreaterThanOrEqual(4500);
  });
});
