/**
 * The store of runs: one SQLite file in the data folder, readable by its owner alone.
 *
 * Write-ahead log, so that `runs list` reads while a run writes. `synchronous` is FULL: an event is
 * acknowledged when it would survive a power cut, not only a killed process. That costs one flush a
 * transaction, a few milliseconds; a caller with many events hands them over in one `appendEvents`.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError, StoreError, WhetstoneError } from '../errors.ts';
import { dataFolder } from '../util/data-folder.ts';
import { makeFolder } from '../util/make-folder.ts';
import { suggestion } from '../util/suggest.ts';
import { type ComparisonTable, createComparisonTable } from './comparison-table.ts';
import type { OptimizeResult, RunEvent } from './events.ts';
import { migrate } from './migrations.ts';
import {
  appendJournal,
  createRecordingTable,
  type JournalRow,
  putCheckpoint,
  type RecordingTable,
} from './recording-table.ts';
import {
  type EventRow,
  type NewRun,
  type RunRequest,
  type RunRow,
  type StoredEvent,
  type StoredPrompt,
  type StoredRun,
  toEvent,
  toPrompt,
  toRun,
  writtenHere,
} from './rows.ts';
import * as table from './run-table.ts';
import { type Database, sqliteDriver } from './sqlite.ts';
import { createRunQueries, type RunQueries } from './store-queries.ts';

export type {
  BranchOrigin,
  BudgetStage,
  NewRun,
  RunOrigin,
  RunRequest,
  RunState,
  StoredEvent,
  StoredPrompt,
  StoredRun,
} from './rows.ts';

export type RunEnd =
  | { readonly state: 'done'; readonly result: OptimizeResult }
  | { readonly state: 'interrupted'; readonly result?: OptimizeResult }
  | { readonly state: 'paused' }
  | { readonly state: 'failed'; readonly error: string };

/** What is written as one: all of it is there after a crash, or nothing. */
export interface Entry {
  readonly events?: readonly RunEvent[];
  readonly journal?: readonly JournalRow[];
  /** After the events and the journal of this entry; `pinned` is a step whose state is never dropped. */
  readonly checkpoint?: {
    readonly step: number;
    readonly state: unknown;
    readonly pinned?: number;
  };
  readonly prompts?: readonly StoredPrompt[];
  readonly end?: RunEnd;
}

export interface EventsOptions {
  /** Those with a higher sequence number. @default 0 */
  readonly after?: number;
  /** @default all */
  readonly limit?: number;
  /** @default every kind */
  readonly kinds?: readonly string[];
}

export interface RunStore {
  /** The SQLite file. */
  readonly path: string;
  /** Folder for the files of a run; made by whoever writes there. */
  artifactFolder(run: string): string;
  createRun(run: NewRun): string;
  /**
   * Writes for a run in one transaction.
   * @throws StoreError when another process has taken over a run that was made or claimed here
   */
  append(run: string, entry: Entry): void;
  appendEvent(run: string, event: RunEvent): void;
  appendEvents(run: string, events: readonly RunEvent[]): void;
  /** Stores a prompt, or replaces what was known of the same text. */
  putPrompt(run: string, prompt: StoredPrompt): void;
  finishRun(run: string, end: RunEnd): void;
  /** Newest first; `before` is a run's id, to go on after it. */
  listRuns(options?: { limit?: number; before?: string | undefined }): StoredRun[];
  /** A run by its id, the start of its id, or "last". @throws StoreError when there is none */
  getRun(id: string): StoredRun;
  /** Oldest first. */
  events(run: string, options?: EventsOptions): StoredEvent[];
  /** The newest event of a kind. */
  lastEvent(run: string, kind: string): StoredEvent | undefined;
  /** The sequence number of a step's event. */
  seqOfStep(run: string, step: number): number | undefined;
  /** The sequence number of the newest event; 0 while there is none. */
  lastSeq(run: string): number;
  /** Best reward first. */
  prompts(run: string, options?: { limit?: number; offset?: number }): StoredPrompt[];
  promptCount(run: string): number;
  /** Makes this process the one that writes a run. @throws StoreError when another one does */
  claimRun(run: string): StoredRun;
  /** Data and models of a branch that begins anew, once they are known. */
  putHashes(run: string, hashes: Readonly<Record<string, string>>): void;
  /** Asks the process that writes a run for something; null takes it back. */
  request(run: string, request: RunRequest | null): void;
  /** What was asked of a run. */
  requested(run: string): RunRequest | undefined;
  /** A new run that holds what another one had up to an event. */
  copyRun(
    from: string,
    run: NewRun,
    upTo: { eventSeq: number; journalSeq: number; step: number; answersAlone?: boolean },
  ): string;
  /** Deletes a run's rows. @throws StoreError while a process writes it */
  deleteRun(run: string): void;
  /** The comparison that a run is a cell of. */
  comparisonOf(run: string): string | undefined;
  /** Journal and states of methods. */
  readonly recordings: RecordingTable;
  /** Comparisons and their cells. */
  readonly comparisons: ComparisonTable;
  /** What watchers ask, each answer bounded. */
  readonly queries: RunQueries;
  close(): void;
}

const HEARTBEAT_MS = 10_000;

/** The folder of the store: WHETSTONE_HOME or the platform's data folder. */
export function storeFolder(): string {
  return dataFolder(process.env);
}

/**
 * Opens the store in a folder, making both where they are missing. With `maxBytes` its file does
 * not grow beyond: further writes fail as on a full disk.
 * @throws StoreError when the disk is full or read-only, the file damaged, or its schema newer
 */
export async function openStore(
  folder: string = storeFolder(),
  options: { maxBytes?: number } = {},
): Promise<RunStore> {
  const driver = await sqliteDriver();
  const path = join(folder, 'runs.sqlite');
  return guarded(path, () => {
    makeFolder(folder, 0o700);
    // SQLite gives its log files the mode of the database file.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
    else if (process.platform !== 'win32') tightenMode(path);
    const database = driver.open(path);
    try {
      database.exec('PRAGMA busy_timeout = 10000');
      database.exec('PRAGMA journal_mode = WAL');
      database.exec('PRAGMA synchronous = FULL');
      database.exec('PRAGMA journal_size_limit = 67108864');
      database.exec('PRAGMA foreign_keys = OFF');
      migrate(database, path);
      database.exec('PRAGMA foreign_keys = ON');
      if (options.maxBytes !== undefined) limitSize(database, options.maxBytes);
    } catch (error) {
      database.close();
      throw error;
    }
    return createStore(database, path);
  });
}

function limitSize(database: Database, maxBytes: number): void {
  const row = database.prepare('PRAGMA page_size').get() as { page_size: number };
  database.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / row.page_size)}`);
}

function tightenMode(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch {
    // Somebody else's file: whether it can be used, opening it will tell.
  }
}

function createStore(database: Database, path: string): RunStore {
  /** Runs that this process writes, by the session that it writes them as. */
  const own = new Map<string, number>();
  const adopt = (run: string, session: number) => {
    own.set(run, session);
    writtenHere.add(run);
  };
  const disown = (run: string) => {
    if (own.delete(run)) writtenHere.delete(run);
  };
  const timer = setInterval(() => {
    try {
      const now = Date.now();
      for (const [run, session] of own) table.beat(database, run, session, now);
    } catch {
      // A full disk shows at the next event, with a message and somebody to read it.
    }
  }, HEARTBEAT_MS);
  timer.unref();

  const read = <T>(work: () => T): T => guarded(path, work);
  const transaction = <T>(work: () => T): T =>
    guarded(path, () => {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        // SQLite has rolled back by itself after a full disk.
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });

  const append = (run: string, entry: Entry) => {
    const { events = [], journal = [], prompts = [], checkpoint, end } = entry;
    transaction(() => {
      const session = own.get(run);
      if (session !== undefined && !table.beat(database, run, session, Date.now())) {
        throw new StoreError(`run ${run}: another process has taken it over, this one ends`);
      }
      appendJournal(database, run, journal);
      table.insertEvents(database, run, events);
      for (const prompt of prompts) table.insertPrompt(database, run, prompt);
      if (checkpoint) {
        putCheckpoint(database, run, { ...checkpoint, eventSeq: table.readLastSeq(database, run) });
      }
      if (end) table.updateEnd(database, run, end);
    });
    if (end) disown(run);
  };

  return {
    path,
    artifactFolder: (run) => artifactFolder(path, run),
    createRun(run) {
      refuseNul('method.name', run.method);
      const id = newRunId();
      transaction(() => table.insertRun(database, id, run, 'running'));
      adopt(id, 1);
      return id;
    },
    append,
    appendEvent: (run, event) => append(run, { events: [event] }),
    appendEvents(run, events) {
      if (events.length > 0) append(run, { events });
    },
    putPrompt: (run, prompt) => append(run, { prompts: [prompt] }),
    finishRun: (run, end) => append(run, { end }),
    listRuns: ({ limit = 50, before } = {}) =>
      read(() => table.selectRuns(database, limit, before).map(toRun)),
    getRun: (id) => read(() => findRun(database, id)),
    events: (run, options = {}) =>
      read(() => table.selectEvents(database, run, options).map(toEvent)),
    lastEvent: (run, kind) =>
      read(() => {
        const row = database.prepare(
          'SELECT * FROM events INDEXED BY events_kind WHERE run = ? AND kind = ? ORDER BY seq DESC LIMIT 1',
        );
        const found = row.get(run, kind) as unknown as EventRow | undefined;
        return found && toEvent(found);
      }),
    seqOfStep: (run, step) =>
      read(() => {
        const row = database.prepare(
          "SELECT seq FROM events INDEXED BY events_kind WHERE run = ? AND kind = 'step' AND json_extract(data, '$.step') = ? LIMIT 1",
        );
        return (row.get(run, step) as { seq: number } | undefined)?.seq;
      }),
    lastSeq: (run) => read(() => table.readLastSeq(database, run)),
    prompts: (run, options = {}) =>
      read(() => table.selectPrompts(database, run, options).map(toPrompt)),
    promptCount: (run) =>
      read(() => {
        const row = database.prepare('SELECT count(*) AS n FROM prompts WHERE run = ?').get(run);
        return (row as { n: number }).n;
      }),
    claimRun(id) {
      const run = transaction(() => table.claim(database, findRun(database, id)));
      adopt(run.id, table.sessionOf(database, run.id));
      return run;
    },
    putHashes: (run, hashes) =>
      transaction(() => {
        database
          .prepare('UPDATE runs SET hashes = ? WHERE id = ?')
          .run(JSON.stringify(hashes), run);
      }),
    request: (run, request) => transaction(() => table.setRequest(database, run, request)),
    requested: (run) => read(() => table.readRequest(database, run)),
    copyRun(from, run, upTo) {
      const id = newRunId();
      transaction(() => table.copy(database, { from, id, run, upTo }));
      return id;
    },
    deleteRun: (id) => transaction(() => table.remove(database, findRun(database, id))),
    comparisonOf: (run) =>
      read(() => {
        const row = database.prepare('SELECT comparison FROM cells WHERE run = ?').get(run);
        return (row as { comparison: string } | undefined)?.comparison;
      }),
    recordings: createRecordingTable(database, read),
    comparisons: createComparisonTable(database, { newId: newRunId, read, write: transaction }),
    queries: createRunQueries(database, read),
    close() {
      clearInterval(timer);
      for (const run of [...own.keys()]) disown(run);
      database.close();
    },
  };
}

function findRun(database: Database, id: string): StoredRun {
  if (id === 'last') {
    const [row] = table.selectRuns(database, 1);
    if (row === undefined) throw new StoreError('there is no run yet; start with "whetstone demo"');
    return toRun(row);
  }
  const rows = database
    .prepare('SELECT * FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 4')
    .all(id.length, id) as unknown as RunRow[];
  if (rows.length === 1 && id !== '') return toRun(rows[0]!);
  if (rows.length > 1) {
    throw new StoreError(`run ${id}: several begin so (${rows.map((row) => row.id).join(', ')})`);
  }
  const ids = table.selectRuns(database, 100).map((row) => row.id);
  throw new StoreError(
    `run ${id}: there is none${suggestion(id, ids) || '; see "whetstone runs list"'}`,
  );
}

/** SQLite's drivers cut a text there without a word. */
function refuseNul(place: string, name: string): void {
  if (!name.includes('\0')) return;
  throw new ConfigError(`${place}: ${JSON.stringify(name)} holds the character U+0000, which no name may; leave it out`); // biome-ignore format: one sentence
}

/** An id of a store that somebody made by hand leads nowhere else. */
function artifactFolder(path: string, run: string): string {
  if (/^[A-Za-z0-9][\w.-]*$/.test(run)) return join(dirname(path), 'runs', run);
  throw new StoreError(`${path}: holds a run with the id ${JSON.stringify(run)}, which is none of whetstone's; it was not touched`); // biome-ignore format: one sentence
}

/** Sorts by time and can be read aloud: 20260131-134502-3f9a. */
function newRunId(): string {
  const time = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${time}-${randomBytes(2).toString('hex')}`;
}

/** SQLite's and the file system's failures as a StoreError of one sentence. */
function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof WhetstoneError) throw error;
    throw new StoreError(`${path}: ${problemOf(error as NodeJS.ErrnoException)}`);
  }
}

/** A failure as SQLite tells it; `systemErrno` stands behind an "I/O error", but not with `node:sqlite`. */
interface SqliteProblem extends NodeJS.ErrnoException {
  readonly errcode?: number;
  readonly systemErrno?: number;
}

/** SQLITE_IOERR_SHMSIZE: the index of the log, which readers need too, found no room. */
const NO_ROOM_FOR_INDEX = 4874;

const NO_ROOM: readonly (number | undefined)[] = [constants.errno.ENOSPC, constants.errno.EDQUOT];

function problemOf(error: SqliteProblem): string {
  const text = `${error.code ?? ''} ${error.message}`;
  const elsewhere = 'set WHETSTONE_HOME to another folder';
  const isFull = /disk is full|SQLITE_FULL|ENOSPC|EDQUOT/.test(text);
  if (isFull || NO_ROOM.includes(error.systemErrno) || error.errcode === NO_ROOM_FOR_INDEX) {
    return `the disk is full; free some space or ${elsewhere}`;
  }
  if (/disk I\/O error|SQLITE_IOERR|EIO/.test(text)) {
    return `the disk failed to read or write it; ${elsewhere}`;
  }
  if (/readonly|read-only|EROFS|EACCES|EPERM|ENOENT|unable to open/i.test(text)) {
    return `cannot be written; ${elsewhere}`;
  }
  if (/not a database|malformed/.test(text)) {
    return `damaged or not a store of runs; move it away or ${elsewhere}`;
  }
  if (/locked|busy/.test(text)) return 'another process keeps it locked; try again';
  if (/ENOTDIR|EEXIST/.test(text)) return `expected a folder; ${elsewhere}`;
  return error.message.split('\n')[0]!;
}
