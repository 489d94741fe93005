/** Rows of the store as they lie in SQLite, and what they mean outside of it. */
import { hostname } from 'node:os';
import { isAlive } from '../util/file-lock.ts';
import type { OptimizeResult, RunEvent, SplitName, SplitScore } from './events.ts';

export type RunState = 'running' | 'paused' | 'interrupted' | 'done' | 'failed';

/** What a running process is asked to do at its next step. */
export type RunRequest = 'pause' | 'stop';

export interface NewRun {
  readonly method: string;
  /** The effective configuration, every default filled in. */
  readonly config: unknown;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly hashes: Readonly<Record<string, string>>;
  /** The run that it branched off, and the step of it. */
  readonly parent?: string;
  readonly parentStep?: number;
  /** What another process must know to go on with it; a run without cannot be resumed. */
  readonly origin?: RunOrigin;
}

/** Where a run came from, beside its configuration. */
export interface RunOrigin {
  /** The configuration's file with what was set on top of it, where there was such a file. */
  readonly file?: {
    readonly path: string;
    readonly sha256: string;
    readonly set: readonly string[];
  };
  /** The task's label words as they were given, where others were found. */
  readonly labels?: unknown;
  /** What the whole run was promised to take. */
  readonly totalSeconds?: number;
  /** Names of methods and models that a library's user brought: they are needed again. */
  readonly isOwn?: boolean;
  /** A branch: budget and method options as they were up to a step, and what holds from there on. */
  readonly branch?: BranchOrigin;
}

/** A budget that a run's steps were made with. */
export interface BudgetStage {
  /** The last of those steps. */
  readonly step: number;
  readonly budget: unknown;
}

/** The budget is that of the parent's last steps. */
export interface BranchOrigin extends BudgetStage {
  /** True where the method's own options differ: the state of that step is where it begins. */
  readonly fromState: boolean;
  /** Those of its first steps, where it had branched off itself; in their order. */
  readonly earlier?: readonly BudgetStage[];
}

export interface StoredRun extends NewRun {
  readonly id: string;
  /** `interrupted` also when the process that wrote it is gone. */
  readonly state: RunState;
  /** Whether another process could go on with it. */
  readonly canResume: boolean;
  readonly started: Date;
  readonly ended?: Date;
  readonly result?: OptimizeResult;
  readonly error?: string;
  readonly request?: RunRequest;
  /** Seconds that earlier processes worked on it. */
  readonly spentSeconds: number;
}

export interface StoredEvent {
  readonly seq: number;
  readonly time: Date;
  readonly event: RunEvent;
}

export interface StoredPrompt {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly reward?: number;
  readonly scores: Readonly<Partial<Record<SplitName, SplitScore>>>;
}

/** A run is given up when it was silent for as long, whatever its process id says. */
const SILENT_MS = 120_000;

export interface RunRow {
  id: string;
  method: string;
  state: RunState;
  config: string;
  seed: number;
  versions: string;
  hashes: string;
  started: number;
  ended: number | null;
  pid: number;
  host: string;
  heartbeat: number;
  result: string | null;
  error: string | null;
  session: number;
  session_started: number;
  spent_ms: number;
  request: RunRequest | null;
  parent: string | null;
  parent_step: number | null;
  origin: string | null;
}

export interface EventRow {
  seq: number;
  time: number;
  data: string;
}

export interface PromptRow {
  text: string;
  tokens: string;
  reward: number | null;
  scores: string;
}

const resumable: readonly RunState[] = ['paused', 'interrupted', 'failed'];

export function toRun(row: RunRow): StoredRun {
  const state = row.state === 'running' && isAbandoned(row) ? 'interrupted' : row.state;
  return {
    id: row.id,
    method: row.method,
    state,
    canResume: row.origin !== null && resumable.includes(state),
    config: JSON.parse(row.config),
    seed: row.seed,
    versions: JSON.parse(row.versions),
    hashes: JSON.parse(row.hashes),
    started: new Date(row.started),
    ...(row.ended === null ? {} : { ended: new Date(row.ended) }),
    ...(row.result === null ? {} : { result: JSON.parse(row.result) }),
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.request === null ? {} : { request: row.request }),
    ...(row.parent === null ? {} : { parent: row.parent }),
    ...(row.parent_step === null ? {} : { parentStep: row.parent_step }),
    ...(row.origin === null ? {} : { origin: JSON.parse(row.origin) }),
    spentSeconds: row.spent_ms / 1000,
  };
}

/** Runs that a store of this process writes. */
export const writtenHere = new Set<string>();

export function isAbandoned(row: RunRow): boolean {
  if (row.host === hostname()) {
    if (row.pid === process.pid) return !writtenHere.has(row.id);
    if (!isAlive(row.pid)) return true;
  }
  // A beat that lies in the future is of a clock that was put back since: nobody beats by it now.
  return Math.abs(Date.now() - row.heartbeat) > SILENT_MS;
}

export function toEvent(row: EventRow): StoredEvent {
  return { seq: row.seq, time: new Date(row.time), event: JSON.parse(row.data) };
}

/**
 * A text as it is bound: SQLite's drivers cut it at U+0000, which stands as U+0001 "0" there, and U+0001
 * as U+0001 "1".
 */
export function storedText(text: string): string {
  return text.replaceAll('\u0001', '\u00011').replaceAll('\0', '\u00010');
}

function givenText(stored: string): string {
  return stored.replaceAll('\u00010', '\0').replaceAll('\u00011', '\u0001');
}

export function toPrompt(row: PromptRow): StoredPrompt {
  return {
    text: givenText(row.text),
    tokens: JSON.parse(row.tokens),
    ...(row.reward === null ? {} : { reward: row.reward }),
    scores: JSON.parse(row.scores),
  };
}
