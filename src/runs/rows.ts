/** Rows of the store as they lie in SQLite, and what they mean outside of it. */
import { hostname } from 'node:os';
import { isAlive } from '../util/file-lock.ts';
import type { OptimizeResult, RunEvent, SplitName, SplitScore } from './events.ts';

export type RunState = 'running' | 'done' | 'failed' | 'interrupted';

export interface NewRun {
  readonly method: string;
  /** The effective configuration, every default filled in. */
  readonly config: unknown;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly hashes: Readonly<Record<string, string>>;
}

export interface StoredRun extends NewRun {
  readonly id: string;
  /** `interrupted` also when the process that wrote it is gone. */
  readonly state: RunState;
  readonly started: Date;
  readonly ended?: Date;
  readonly result?: OptimizeResult;
  readonly error?: string;
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

export function toRun(row: RunRow): StoredRun {
  return {
    id: row.id,
    method: row.method,
    state: row.state === 'running' && isAbandoned(row) ? 'interrupted' : row.state,
    config: JSON.parse(row.config),
    seed: row.seed,
    versions: JSON.parse(row.versions),
    hashes: JSON.parse(row.hashes),
    started: new Date(row.started),
    ...(row.ended === null ? {} : { ended: new Date(row.ended) }),
    ...(row.result === null ? {} : { result: JSON.parse(row.result) }),
    ...(row.error === null ? {} : { error: row.error }),
  };
}

function isAbandoned(row: RunRow): boolean {
  if (row.host === hostname() && !isAlive(row.pid)) return true;
  return Date.now() - row.heartbeat > SILENT_MS;
}

export function toEvent(row: EventRow): StoredEvent {
  return { seq: row.seq, time: new Date(row.time), event: JSON.parse(row.data) };
}

export function toPrompt(row: PromptRow): StoredPrompt {
  return {
    text: row.text,
    tokens: JSON.parse(row.tokens),
    ...(row.reward === null ? {} : { reward: row.reward }),
    scores: JSON.parse(row.scores),
  };
}
