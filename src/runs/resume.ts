/**
 * Going on with a run where it was left: by a pause, Ctrl-C, a failure, a killed process. The method
 * begins again with the run's seed and the journal's answers, or from the state that it handed in, and
 * takes the course that it had taken; then it goes on. Nothing is mixed: what does not stand as it was
 * recorded is refused.
 */
import { readFile } from 'node:fs/promises';
import { ConfigError, DataError, StoreError, WeightsError } from '../errors.ts';
import { sha256 } from '../util/hash.ts';
import { shellWord } from '../util/text.ts';
import { type LoadedConfig, parseConfig } from './config.ts';
import { configSchema } from './config-schema.ts';
import { type Difference, differences } from './differences.ts';
import type { OptimizeResult } from './events.ts';
import { refuseCell } from './lifecycle.ts';
import { type OptimizeOptions, optimize } from './optimize.ts';
import type { RunOrigin, StoredRun } from './store.ts';
import { versions } from './versions.ts';

export interface ResumeOptions extends Omit<OptimizeOptions, 'run' | 'totalSeconds'> {
  /** Go on as recorded, even where the configuration's file says otherwise by now. */
  readonly asRecorded?: boolean | undefined;
}

/**
 * Goes on with a run to its end.
 * @throws StoreError when it cannot be gone on with, and why
 * @throws PauseError when it was paused again
 */
export async function resumeRun(id: string, options: ResumeOptions): Promise<OptimizeResult> {
  const { store, asRecorded = false, ...rest } = options;
  const before = store.getRun(id);
  refuseEnded(before, options);
  refuseCell(store, before.id);
  refuseVersion(before);
  const loaded = recordedConfig(before);
  if (!asRecorded) await refuseChangedFile(before);
  const { state } = before;
  const run = { ...store.claimRun(before.id), state };
  try {
    return await optimize(loaded, {
      ...rest,
      store,
      run,
      totalSeconds: before.origin!.totalSeconds,
    });
  } catch (error) {
    throw explained(error, before.id);
  }
}

/** @throws StoreError where there is nothing to go on with */
function refuseEnded(run: StoredRun, { methods, openText }: ResumeOptions): void {
  if (run.state === 'done') {
    throw new StoreError(
      `run ${run.id}: is done; more of it is a branch, as in "whetstone runs branch ${run.id} --set budget.minutes=20"`,
    );
  }
  if (run.origin === undefined) {
    throw new StoreError(
      `run ${run.id}: was recorded by a whetstone that kept no journal, it cannot be resumed; begin anew with "whetstone runs branch ${run.id} --step 0"`,
    );
  }
  if (run.origin.isOwn && !methods && !openText) {
    throw new StoreError(
      `run ${run.id}: was made by a program with a method or a model of its own; that program can resume it`,
    );
  }
}

function refuseVersion({ id, versions: recorded }: StoredRun): void {
  const { whetstone: now } = versions();
  const { whetstone: then } = recorded;
  if (then === now) return;
  throw new StoreError(
    `run ${id}: was recorded by whetstone ${then}, this is ${now} and may take another course; resume it with ${then}, or begin anew with "whetstone runs branch ${id} --step 0"`,
  );
}

/** A run's configuration as it was loaded then. @throws StoreError for one of an older version */
export function recordedConfig({ id, config: recorded, origin }: StoredRun): LoadedConfig {
  const { folder, ...config } = recorded as { folder?: string; task?: object };
  const task = origin && 'labels' in origin ? { ...config.task, ...labelsOf(origin) } : config.task;
  const parsed = configSchema.safeParse({ ...config, task });
  if (!parsed.success || folder === undefined) {
    throw new StoreError(
      `run ${id}: its configuration is of another version of whetstone, it cannot be gone on with`,
    );
  }
  return { config: parsed.data, path: origin?.file?.path ?? id, folder };
}

/** The label words before others were looked for. */
function labelsOf({ labels }: RunOrigin): { labels: unknown } {
  return { labels: labels ?? undefined };
}

/** @throws StoreError where the file that the run was started with says something else by now */
async function refuseChangedFile(run: StoredRun): Promise<void> {
  const file = run.origin?.file;
  if (!file) return;
  const text = await readFile(file.path, 'utf8').catch(() => undefined);
  // Without the file the record stands alone.
  if (text === undefined || sha256(text) === file.sha256) return;
  const [change] = changesOf(run, text);
  if (!change) return;
  const set = shellWord(`${change.path}=${JSON.stringify(change.b) ?? ''}`);
  throw new StoreError(
    `run ${run.id}: ${file.path} has changed since it began (${change.path}: ${show(change.a)}, now ${show(change.b)}); go on as it was with --as-recorded, or with the change by "whetstone runs branch ${run.id} --set ${set}"`,
  );
}

/** What the file says otherwise than the run recorded. */
function changesOf(run: StoredRun, text: string): Difference[] {
  const { file } = run.origin!;
  const now = parseConfig(text, { label: file!.path, set: file!.set });
  const { config } = recordedConfig(run);
  const { method, methods: _, ...rest } = now;
  // The record has every option of the method, the file those that were given.
  const given = Object.fromEntries(Object.keys(method).map((key) => [key, config.method[key]]));
  return differences({ ...config, method: given }, { ...rest, method });
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

/** What is missing on going on is no fault of the configuration: the way out is another. */
function explained(error: unknown, id: string): unknown {
  if (error instanceof DataError || error instanceof WeightsError || error instanceof ConfigError) {
    return new StoreError(
      `run ${id}: ${error.message}; put back what it was begun with, or begin anew with "whetstone runs branch ${id} --step 0"`,
      { cause: error },
    );
  }
  return error;
}
