/**
 * A new run that begins where another one was after some step, with other settings from there on.
 *
 * With another budget any method goes on: the steps up to there are the parent's, from its journal.
 * With other options of its own a method goes on where it hands in its state. Data, models, the reward
 * and the seed are what the steps so far were made of: with others a branch begins at step 0.
 */
import { ConfigError } from '../errors.ts';
import { applySettings, complaintOfSet } from './config.ts';
import { configSchema } from './config-schema.ts';
import { methodOf } from './configured-method.ts';
import { type Difference, differences } from './differences.ts';
import { stepKey } from './journal.ts';
import { refuseCell } from './lifecycle.ts';
import { recordedConfig } from './resume.ts';
import type { BranchOrigin, NewRun, RunStore, StoredRun } from './store.ts';
import { versions } from './versions.ts';

export interface BranchOptions {
  /** Paths and values, as `--set` takes them. */
  readonly set?: readonly string[] | undefined;
  /** The step to go on from; 0 begins anew. @default the last that settings like these can go on from */
  readonly step?: number | undefined;
}

/**
 * Makes the branch, paused: `resumeRun` goes on with it. Returns it.
 * @throws ConfigError when the settings cannot go on from a step
 */
export function branchRun(store: RunStore, id: string, options: BranchOptions = {}): StoredRun {
  const parent = store.getRun(id);
  refuseCell(store, parent.id);
  const { set = [] } = options;
  const was = recordedConfig(parent);
  const data = structuredClone(was.config) as unknown as Record<string, unknown>;
  for (const assignment of set) applySettings(data, assignment);
  const parsed = configSchema.safeParse(data);
  if (!parsed.success) throw new ConfigError(complaintOfSet(parsed.error.issues[0]!, data));
  const { method, methodOptions } = methodOf(parsed.data);
  const config = {
    ...parsed.data,
    method: { ...(methodOptions as object), name: method.name },
    folder: was.folder,
  };
  const { folder: _, ...recorded } = config;
  const changes = differences(was.config, recorded);
  const start = startOf(store, parent, { changes, step: options.step });
  const run: NewRun = {
    method: method.name,
    config,
    seed: parsed.data.seed,
    versions: start.step === 0 ? versions() : parent.versions,
    hashes: start.step === 0 ? {} : parent.hashes,
    parent: parent.id,
    parentStep: start.step,
    origin: {
      ...('labels' in (parent.origin ?? {}) ? { labels: parent.origin!.labels } : {}),
      ...(parent.origin?.isOwn ? { isOwn: true } : {}),
      ...(start.step === 0
        ? {}
        : {
            branch: {
              step: start.step,
              fromState: start.fromState,
              ...budgetsUpTo(start.step, parent.origin?.branch, was.config.budget),
            },
          }),
    },
  };
  return store.getRun(store.copyRun(parent.id, run, start));
}

/** The budget that a step was made with, and those of the steps before it. */
function budgetsUpTo(
  step: number,
  branch: BranchOrigin | undefined,
  last: unknown,
): Pick<BranchOrigin, 'budget' | 'earlier'> {
  const stages = branch ? [...(branch.earlier ?? []), { step: branch.step, budget: branch.budget }] : []; // biome-ignore format: one list
  const earlier = stages.filter((stage) => stage.step < step);
  const { budget } = stages[earlier.length] ?? { budget: last };
  return { budget, ...(earlier.length > 0 ? { earlier } : {}) };
}

interface Start {
  readonly step: number;
  readonly fromState: boolean;
  readonly eventSeq: number;
  readonly journalSeq: number;
  /** Of the journal, the answers in text alone: decisions are taken anew. */
  readonly answersAlone?: boolean;
}

const ANEW: Start = { step: 0, fromState: false, eventSeq: 0, journalSeq: 0 };

/** Where the branch begins. */
function startOf(
  store: RunStore,
  parent: StoredRun,
  { changes, step }: { changes: readonly Difference[]; step: number | undefined },
): Start {
  if (step === 0) return ANEW;
  const of = (first: string) => changes.find(({ path }) => path.split('.')[0] === first);
  const other = changes.find(({ path }) => !/^(method|budget)(\.|$)/.test(path)) ?? named(changes);
  if (other) {
    throw new ConfigError(
      `--set ${other.path}: the steps of run ${parent.id} were made with ${JSON.stringify(other.a) ?? 'nothing'}; with another value begin anew, by --step 0`,
    );
  }
  if (parent.origin === undefined) {
    throw new ConfigError(`run ${parent.id}: no journal of it was kept; begin anew, by --step 0`);
  }
  const fromState = of('method') !== undefined;
  return fromState ? stateOf(store, parent, step) : endOf(store, parent, step);
}

/** Another method has no use for the steps of this one. */
function named(changes: readonly Difference[]): Difference | undefined {
  return changes.find(({ path }) => path === 'method.name');
}

function stateOf(store: RunStore, { id, method }: StoredRun, step: number | undefined): Start {
  const steps = store.recordings.checkpoints(id).map((place) => place.step);
  if (steps.length === 0) {
    throw new ConfigError(
      `run ${id}: no state of ${method} was kept that other options could go on from; begin anew, by --step 0, or set budget.* alone`,
    );
  }
  if (step !== undefined && !steps.includes(step)) {
    throw new ConfigError(
      `--step ${step}: the state of run ${id} is kept after step ${steps.join(', ')}; with budget.* alone any step can be gone on from`,
    );
  }
  const at = step ?? steps.at(-1)!;
  const { eventSeq, journalSeq } = store.recordings.readCheckpoint(id, at)!;
  return { step: at, fromState: true, eventSeq, journalSeq };
}

/** The end of a step in the record. */
function endOf(store: RunStore, { id }: StoredRun, step: number | undefined): Start {
  const last = store.lastEvent(id, 'step')?.event;
  const lastStep = last?.kind === 'step' ? last.step : 0;
  const at = step ?? lastStep;
  // A run that met a limit before its first step has paid for answers all the same.
  if (at === 0)
    return { ...ANEW, journalSeq: store.recordings.lastJournalSeq(id), answersAlone: true };
  const eventSeq = at > lastStep ? undefined : store.seqOfStep(id, at);
  const journalSeq = store.recordings.journalSeq(id, stepKey(at));
  if (eventSeq === undefined || journalSeq === undefined) {
    if (lastStep === 0) throw new ConfigError(`--step ${at}: run ${id} has made no step yet; leave --step out`); // biome-ignore format: one sentence
    throw new ConfigError(`--step ${at}: run ${id} has the steps 1 to ${lastStep}`);
  }
  return { step: at, fromState: false, eventSeq, journalSeq };
}
