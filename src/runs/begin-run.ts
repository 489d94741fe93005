/**
 * How a run begins: what is recorded of it before anything is spent (configuration, versions, hashes of
 * data and models), the check that a run which goes on still has the same, and its first event.
 */
import { StoreError } from '../errors.ts';
import type { Method } from '../methods/index.ts';
import type { Bench } from './bench.ts';
import type { Config, LoadedConfig } from './config.ts';
import { differences } from './differences.ts';
import type { RunEvent } from './events.ts';
import { nameOf } from './model-reference.ts';
import type { RunOrigin, RunStore, StoredRun } from './store.ts';
import { versions } from './versions.ts';
import { Workbench } from './workbench.ts';

export interface RunParts {
  readonly bench: Bench;
  readonly loaded: LoadedConfig;
  readonly method: Method;
  readonly methodOptions: unknown;
  /** @default those of the data and the task LM */
  readonly hashes?: Readonly<Record<string, string>>;
  /** @default the run cannot be resumed by itself */
  readonly origin?: RunOrigin;
}

/** Records the effective configuration, versions and hashes; returns the run's id. */
export function beginRun(store: RunStore, r: RunParts): string {
  const { methods: _, ...given } = r.loaded.config;
  const { task } = r.bench;
  let config = given;
  if (given.labelWords === 'search' && task.kind === 'classification') {
    const labels = Object.fromEntries(task.classes.map(({ gold, word }) => [gold, word]));
    config = { ...given, task: { ...given.task, labels } };
  }
  return store.createRun({
    method: r.method.name,
    config: {
      ...config,
      method: { ...(r.methodOptions as object), name: r.method.name },
      folder: r.loaded.folder,
    },
    seed: config.seed,
    versions: versions(),
    hashes: r.hashes ?? { ...r.bench.task.hashes, taskLm: r.bench.taskLm.key },
    ...(r.origin ? { origin: r.origin } : {}),
  });
}

/** What a run's course hangs on beside its configuration: data files and models, by name. */
export async function hashesOf({ bench, method }: RunParts): Promise<Record<string, string>> {
  const hashes = { ...bench.task.hashes, taskLm: bench.taskLm.key };
  if (!method.needs?.policyLm || !(bench instanceof Workbench)) return hashes;
  return { ...hashes, policyLm: (await bench.policyLm()).key };
}

/** @throws StoreError naming the first file or model that is not what it was when the run began */
export function refuseChanged(
  run: StoredRun,
  {
    facts,
    config,
    store,
  }: { facts: Readonly<Record<string, string>>; config: Config; store: RunStore },
): void {
  // Of a branch that begins anew nothing is known yet.
  if (Object.keys(run.hashes).length === 0) {
    store.putHashes(run.id, facts);
    return;
  }
  const changed = differences(run.hashes, facts);
  if (changed.length === 0) return;
  const { path } = changed.find((one) => !one.path.startsWith('split:')) ?? changed[0]!;
  const isModel = path === 'taskLm' || path === 'policyLm';
  const what = isModel ? `${path} (${nameOf(config[path])})` : path;
  throw new StoreError(
    `run ${run.id}: ${what} is not what it was when the run began, nothing is mixed; put it back, or begin anew with what there is now by "whetstone runs branch ${run.id} --step 0"`,
  );
}

/** The first event of a run. */
export function startEvent(
  runId: string,
  { task, taskLm }: Bench,
  { method, config }: { method: Method; config: LoadedConfig['config'] },
): RunEvent {
  return {
    kind: 'start',
    runId,
    method: method.name,
    task: task.name,
    taskLm: taskLm.name,
    policyLm: nameOf(config.policyLm),
    examples: {
      train: task.train.length,
      validation: task.validation.length,
      test: task.test.size,
    },
    seed: config.seed,
  };
}
