/** What can be done with runs: start, pause, stop, go on, branch off, delete, compare two. */
import { applySettings, type Config } from '../../runs/config.ts';
import { recordedConfig } from '../../runs/resume.ts';
import type { StoredRun } from '../../runs/store.ts';
import { acknowledged, branch, newRun, runDiff, started } from '../answers.ts';
import type { RunDiff } from '../contract.ts';
import { configOf, refuseKeys, refuseOwnCode } from '../own-code.ts';
import { route } from '../route.ts';
import type { Studio } from '../studio.ts';
import { runOf } from './runs.ts';

const startRun = route({
  method: 'post',
  path: '/api/runs',
  summary: 'Starts a run in a process of its own',
  body: newRun,
  answer: started,
  status: 201,
  async handle({ body: { yaml } }, studio) {
    configOf(studio, yaml);
    const path = await studio.children.keep(yaml);
    const id = await studio.children.start(
      ['optimize', path, '--folder', studio.folder],
      ({ pid, since }) => studio.store.queries.runOfProcess(pid, since),
    );
    return { id };
  },
});

const pauseRun = ask('pause', 'Asks the process that works on a run to keep its state and end');
const stopRun = ask('stop', 'Asks it to end the search and to measure what was found');

function ask(what: 'pause' | 'stop', summary: string) {
  return route({
    method: 'post',
    path: `/api/runs/:id/${what}`,
    summary,
    answer: acknowledged,
    async handle({ params }, studio) {
      await studio.children.run(['runs', what, runOf(studio, params.id!).id]);
      return { ok: true };
    },
  });
}

const resumeRun = route({
  method: 'post',
  path: '/api/runs/:id/resume',
  summary: 'Goes on with a run in a process of its own',
  answer: acknowledged,
  async handle({ params }, studio) {
    const run = ownRun(studio, params.id!);
    const { queries } = studio.store;
    await studio.children.start(['runs', 'resume', run.id], ({ code }) => {
      const isAtWork = queries.findRun(run.id)?.state === 'running';
      return isAtWork || code === 0 || undefined;
    });
    return { ok: true };
  },
});

const branchRun = route({
  method: 'post',
  path: '/api/runs/:id/branch',
  summary: 'A run of its own that goes on from a step of another with other options',
  body: branch,
  answer: started,
  status: 201,
  async handle({ params, body: { set, step } }, studio) {
    const run = ownRun(studio, params.id!, set);
    const args = [
      ...set.map((one) => `--set=${one}`),
      ...(step === undefined ? [] : ['--step', String(step)]),
    ];
    const id = await studio.children.start(['runs', 'branch', run.id, ...args], ({ pid, since }) =>
      studio.store.queries.runOfProcess(pid, since),
    );
    return { id };
  },
});

const deleteRun = route({
  method: 'delete',
  path: '/api/runs/:id',
  summary: 'Deletes a run with its files',
  answer: acknowledged,
  async handle({ params }, studio) {
    await studio.children.run(['runs', 'delete', '--yes', runOf(studio, params.id!).id]);
    return { ok: true };
  },
});

const compareRuns = route({
  method: 'get',
  path: '/api/runs/:id/diff/:other',
  summary: 'Settings, facts, prompts and scores in which two runs differ',
  answer: runDiff,
  async handle({ params }, studio) {
    const ids = [runOf(studio, params.id!).id, runOf(studio, params.other!).id];
    const { kind: _, ...diff } = await studio.children.run(['runs', 'diff', ...ids]);
    return diff as unknown as RunDiff;
  },
});

/** A run that the studio may work with. @throws ConfigError where that would run a user's own code */
export function ownRun(studio: Studio, id: string, set: readonly string[] = []): StoredRun {
  const run = runOf(studio, id);
  refuseKeys(studio.redact, set);
  const { config } = recordedConfig(run);
  refuseOwnCode(config);
  // As they come out: "task={metric: function}" says it, too.
  const changed = structuredClone(config) as unknown as Record<string, unknown>;
  for (const one of set) applySettings(changed, one);
  refuseOwnCode(changed as Partial<Config>);
  return run;
}

export const actionRoutes = [
  startRun,
  pauseRun,
  stopRun,
  resumeRun,
  branchRun,
  deleteRun,
  compareRuns,
];
