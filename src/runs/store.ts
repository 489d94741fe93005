/**
 * The store of runs: one SQLite file in the data folder, readable by its owner alone.
 *
 * Write-ahead log, so that `runs list` reads while a run writes. `synchronous` is FULL: an event is
 * acknowledged when it would survive a power cut, not only a killed process. That costs one flush a
 * transaction, a few milliseconds; a caller with many events hands them over in one `appendEvents`.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { StoreError, WhetstoneError } from '../errors.ts';
import { dataFolder } from '../util/data-folder.ts';
import { makeFolder } from '../util/make-folder.ts';
import { suggestion } from '../util/suggest.ts';
import { type ComparisonTable, createComparisonTable } from './comparison-table.ts';
import type { OptimizeResult, RunEvent } from './events.ts';
import { migrate } from './migrations.ts';
import {
  type EventRow,
  type NewRun,
  type PromptRow,
  type RunRow,
  type StoredEvent,
  type StoredPrompt,
  type StoredRun,
  toEvent,
  toPrompt,
  toRun,
} from './rows.ts';
import { type Database, sqliteDriver } from './sqlite.ts';

export type { NewRun, RunState, StoredEvent, StoredPrompt, StoredRun } from './rows.ts';

export type RunEnd =
  | { readonly state: 'done'; readonly result: OptimizeResult }
  | { readonly state: 'interrupted'; readonly result?: OptimizeResult }
  | { readonly state: 'failed'; readonly error: string };

export interface RunStore {
  /** The SQLite file. */
  readonly path: string;
  /** Folder for the files of a run; made by whoever writes there. */
  artifactFolder(run: string): string;
  createRun(run: NewRun): string;
  appendEvent(run: string, event: RunEvent): void;
  appendEvents(run: string, events: readonly RunEvent[]): void;
  /** Stores a prompt, or replaces what was known of the same text. */
  putPrompt(run: string, prompt: StoredPrompt): void;
  finishRun(run: string, end: RunEnd): void;
  /** Newest first. */
  listRuns(options?: { limit?: number }): StoredRun[];
  /** A run by its id, the start of its id, or "last". @throws StoreError when there is none */
  getRun(id: string): StoredRun;
  events(run: string, options?: { after?: number }): StoredEvent[];
  /** Best reward first. */
  prompts(run: string): StoredPrompt[];
  /** Comparisons and their cells. */
  readonly comparisons: ComparisonTable;
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
      database.exec('PRAGMA foreign_keys = ON');
      migrate(database, path);
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
  const running = new Set<string>();
  const lastSeq = new Map<string, number>();
  const beat = () => {
    const now = Date.now();
    for (const run of running) {
      database.prepare('UPDATE runs SET heartbeat = ? WHERE id = ?').run(now, run);
    }
  };
  const timer = setInterval(() => {
    try {
      beat();
    } catch {
      // A full disk shows at the next event, with a message and somebody to read it.
    }
  }, HEARTBEAT_MS);
  timer.unref();

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

  const appendEvents = (run: string, events: readonly RunEvent[]) => {
    if (events.length === 0) return;
    transaction(() => {
      let seq = lastSeq.get(run) ?? readLastSeq(database, run);
      const insert = database.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?)');
      const now = Date.now();
      for (const event of events) insert.run(run, ++seq, now, event.kind, JSON.stringify(event));
      lastSeq.set(run, seq);
    });
  };

  return {
    path,
    artifactFolder: (run) => join(dirname(path), 'runs', run),
    createRun(run) {
      const id = newRunId();
      transaction(() => insertRun(database, id, run));
      running.add(id);
      return id;
    },
    appendEvent: (run, event) => appendEvents(run, [event]),
    appendEvents,
    putPrompt: (run, prompt) => transaction(() => insertPrompt(database, run, prompt)),
    finishRun(run, end) {
      transaction(() => updateEnd(database, run, end));
      running.delete(run);
    },
    listRuns: ({ limit = 50 } = {}) =>
      guarded(path, () => {
        const rows = database.prepare('SELECT * FROM runs ORDER BY started DESC, id DESC LIMIT ?');
        return (rows.all(limit) as unknown as RunRow[]).map(toRun);
      }),
    getRun: (id) => guarded(path, () => findRun(database, id)),
    events: (run, { after = 0 } = {}) =>
      guarded(path, () => {
        const rows = database.prepare(
          'SELECT * FROM events WHERE run = ? AND seq > ? ORDER BY seq',
        );
        return (rows.all(run, after) as unknown as EventRow[]).map(toEvent);
      }),
    prompts: (run) =>
      guarded(path, () => {
        const rows = database.prepare(
          'SELECT * FROM prompts WHERE run = ? ORDER BY reward IS NULL, reward DESC, text',
        );
        return (rows.all(run) as unknown as PromptRow[]).map(toPrompt);
      }),
    comparisons: createComparisonTable(database, {
      newId: newRunId,
      read: (work) => guarded(path, work),
      write: transaction,
    }),
    close() {
      clearInterval(timer);
      database.close();
    },
  };
}

function insertRun(database: Database, id: string, run: NewRun): void {
  const now = Date.now();
  database
    .prepare(
      `INSERT INTO runs (id, method, state, config, seed, versions, hashes, started, pid, host, heartbeat)
       VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      id,
      run.method,
      JSON.stringify(run.config),
      run.seed,
      JSON.stringify(run.versions),
      JSON.stringify(run.hashes),
      now,
      process.pid,
      hostname(),
      now,
    );
}

function insertPrompt(database: Database, run: string, prompt: StoredPrompt): void {
  database
    .prepare('INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?, ?, ?)')
    .run(
      run,
      prompt.text,
      JSON.stringify(prompt.tokens),
      prompt.reward ?? null,
      JSON.stringify(prompt.scores),
      Date.now(),
    );
}

function updateEnd(database: Database, run: string, end: RunEnd): void {
  const result = 'result' in end && end.result !== undefined ? JSON.stringify(end.result) : null;
  const error = end.state === 'failed' ? end.error : null;
  database
    .prepare('UPDATE runs SET state = ?, ended = ?, result = ?, error = ? WHERE id = ?')
    .run(end.state, Date.now(), result, error, run);
}

function readLastSeq(database: Database, run: string): number {
  const row = database.prepare('SELECT max(seq) AS seq FROM events WHERE run = ?').get(run);
  return (row as { seq: number | null } | undefined)?.seq ?? 0;
}

function findRun(database: Database, id: string): StoredRun {
  if (id === 'last') {
    const row = database.prepare('SELECT * FROM runs ORDER BY started DESC, id DESC LIMIT 1').get();
    if (row === undefined) throw new StoreError('there is no run yet; start with "whetstone demo"');
    return toRun(row as unknown as RunRow);
  }
  const rows = database
    .prepare('SELECT * FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT 4')
    .all(id.length, id) as unknown as RunRow[];
  if (rows.length === 1 && id !== '') return toRun(rows[0]!);
  const ids = database.prepare('SELECT id FROM runs').all() as unknown as { id: string }[];
  if (rows.length > 1) {
    throw new StoreError(`run ${id}: several begin so (${rows.map((row) => row.id).join(', ')})`);
  }
  const hint =
    suggestion(id, ids.map((row) => row.id).slice(-100)) || '; see "whetstone runs list"';
  throw new StoreError(`run ${id}: there is none${hint}`);
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

function problemOf(error: NodeJS.ErrnoException & { errcode?: number }): string {
  const text = `${error.code ?? ''} ${error.message}`;
  const elsewhere = 'set WHETSTONE_HOME to another folder';
  if (/disk is full|SQLITE_FULL|ENOSPC|EDQUOT/.test(text)) {
    return `the disk is full; free some space or ${elsewhere}`;
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
