/** Statements on runs, their events and prompts. Those that write are to be called inside of a transaction. */
import { hostname } from 'node:os';
import { StoreError } from '../errors.ts';
import type { RunEvent } from './events.ts';
import { ANSWER_KEYS, dropOrphans } from './recording-table.ts';
import {
  type EventRow,
  isAbandoned,
  type NewRun,
  type PromptRow,
  type RunRequest,
  type RunRow,
  type RunState,
  type StoredPrompt,
  type StoredRun,
  storedText,
  toRun,
} from './rows.ts';
import { copySeries, sumUp } from './series-table.ts';
import type { Database } from './sqlite.ts';
import type { EventsOptions, RunEnd } from './store.ts';

export function insertRun(database: Database, id: string, run: NewRun, state: RunState): void {
  const now = Date.now();
  database
    .prepare(
      `INSERT INTO runs (id, method, state, config, seed, versions, hashes, started, pid, host,
         heartbeat, session_started, parent, parent_step, origin)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      id,
      run.method,
      state,
      JSON.stringify(run.config),
      run.seed,
      JSON.stringify(run.versions),
      JSON.stringify(run.hashes),
      now,
      process.pid,
      hostname(),
      now,
      now,
      run.parent ?? null,
      run.parentStep ?? null,
      run.origin ? JSON.stringify(run.origin) : null,
    );
}

/** Says that the run is being written; false where that is another session's by now. */
export function beat(database: Database, run: string, session: number, now: number): boolean {
  const { changes } = database
    .prepare("UPDATE runs SET heartbeat = ? WHERE id = ? AND session = ? AND state = 'running'")
    .run(now, run, session);
  return Number(changes) === 1;
}

export function insertEvents(database: Database, run: string, events: readonly RunEvent[]): void {
  if (events.length === 0) return;
  let seq = readLastSeq(database, run);
  const insert = database.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?)');
  const now = Date.now();
  for (const event of events) insert.run(run, ++seq, now, event.kind, JSON.stringify(event));
  sumUp(database, run, seq);
}

export function insertPrompt(database: Database, run: string, prompt: StoredPrompt): void {
  database
    .prepare('INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?, ?, ?)')
    .run(
      run,
      storedText(prompt.text),
      JSON.stringify(prompt.tokens),
      prompt.reward ?? null,
      JSON.stringify(prompt.scores),
      Date.now(),
    );
}

export function updateEnd(database: Database, run: string, end: RunEnd): void {
  const result = 'result' in end && end.result !== undefined ? JSON.stringify(end.result) : null;
  const error = end.state === 'failed' ? end.error : null;
  database
    .prepare(
      'UPDATE runs SET state = ?, ended = ?, result = ?, error = ?, request = NULL WHERE id = ?',
    )
    .run(end.state, Date.now(), result, error, run);
}

export function readLastSeq(database: Database, run: string): number {
  const row = database.prepare('SELECT max(seq) AS seq FROM events WHERE run = ?').get(run);
  return (row as { seq: number | null } | undefined)?.seq ?? 0;
}

export function selectRuns(database: Database, limit: number, before?: string): RunRow[] {
  const order = 'ORDER BY started DESC, id DESC LIMIT ?';
  const rows =
    before === undefined
      ? database.prepare(`SELECT * FROM runs ${order}`).all(limit)
      : database
          .prepare(
            `SELECT * FROM runs
             WHERE (started, id) < (SELECT started, id FROM runs WHERE id = ?) ${order}`,
          )
          .all(before, limit);
  return rows as unknown as RunRow[];
}

export function selectEvents(
  database: Database,
  run: string,
  { after = 0, limit = -1, kinds }: EventsOptions,
): EventRow[] {
  const order = 'AND seq > ? ORDER BY seq LIMIT ?';
  if (!kinds) {
    const all = database.prepare(`SELECT * FROM events WHERE run = ? ${order}`);
    return all.all(run, after, limit) as unknown as EventRow[];
  }
  // Kind by kind, since an index gives each in its order; left alone, the planner takes the other one.
  const one = database.prepare(
    `SELECT * FROM events INDEXED BY events_kind WHERE run = ? AND kind = ? ${order}`,
  );
  const rows = [...new Set(kinds)].flatMap(
    (kind) => one.all(run, kind, after, limit) as unknown as EventRow[],
  );
  rows.sort((a, b) => a.seq - b.seq);
  return limit < 0 ? rows : rows.slice(0, limit);
}

/** Of the pages that are skipped only the index is read. */
export function selectPrompts(
  database: Database,
  run: string,
  { limit = -1, offset = 0 }: { readonly limit?: number; readonly offset?: number },
): PromptRow[] {
  return database
    .prepare(
      `SELECT p.* FROM (SELECT text AS key FROM prompts INDEXED BY prompts_reward WHERE run = ?
         ORDER BY reward DESC, text LIMIT ? OFFSET ?)
       CROSS JOIN prompts p ON p.run = ? AND p.text = key`,
    )
    .all(run, limit, offset, run) as unknown as PromptRow[];
}

/**
 * Makes this process the run's own. One UPDATE decides: of two that try, one finds the session that it
 * saw gone.
 */
export function claim(database: Database, run: StoredRun): StoredRun {
  const row = database.prepare('SELECT * FROM runs WHERE id = ?').get(run.id) as unknown as RunRow;
  if (row.state === 'running' && !isAbandoned(row)) {
    const where = row.host === hostname() ? '' : ` on ${row.host}`;
    throw new StoreError(
      `run ${run.id}: process ${row.pid}${where} is at work on it; pause it with "whetstone runs pause ${run.id}" or wait`,
    );
  }
  const now = Date.now();
  const { changes } = database
    .prepare(
      `UPDATE runs SET state = 'running', pid = ?, host = ?, heartbeat = ?, session = session + 1,
         session_started = ?, spent_ms = spent_ms + max(0, coalesce(ended, heartbeat) - session_started),
         ended = NULL, error = NULL, request = NULL
       WHERE id = ? AND session = ? AND state = ?`,
    )
    .run(process.pid, hostname(), now, now, run.id, row.session, row.state);
  if (Number(changes) !== 1) {
    throw new StoreError(`run ${run.id}: another process has just taken it over`);
  }
  return toRun(
    database.prepare('SELECT * FROM runs WHERE id = ?').get(run.id) as unknown as RunRow,
  );
}

export function sessionOf(database: Database, run: string): number {
  const row = database.prepare('SELECT session FROM runs WHERE id = ?').get(run);
  return (row as { session: number }).session;
}

export function setRequest(database: Database, run: string, request: RunRequest | null): void {
  database.prepare('UPDATE runs SET request = ? WHERE id = ?').run(request, run);
}

export function readRequest(database: Database, run: string): RunRequest | undefined {
  const row = database.prepare('SELECT request FROM runs WHERE id = ?').get(run);
  return (row as { request: RunRequest | null } | undefined)?.request ?? undefined;
}

/** Rows of a journal that hold what models answered in text, and what was sent for it. */
const ANSWERS = `AND (${ANSWER_KEYS.map((key) => `key LIKE '${key}%'`).join(' OR ')})`;

/** A run that begins with what another one had: its events, its journal and its states up to there. */
export function copy(
  database: Database,
  c: {
    readonly from: string;
    readonly id: string;
    readonly run: NewRun;
    readonly upTo: {
      readonly eventSeq: number;
      readonly journalSeq: number;
      readonly step: number;
      readonly answersAlone?: boolean;
    };
  },
): void {
  const { from, id, upTo } = c;
  const which = upTo.answersAlone ? ANSWERS : '';
  insertRun(database, id, c.run, 'paused');
  database
    .prepare(
      `INSERT INTO events SELECT ?, seq, time, kind,
         CASE kind WHEN 'start' THEN json_set(data, '$.runId', ?) ELSE data END
       FROM events WHERE run = ? AND seq <= ?`,
    )
    .run(id, id, from, upTo.eventSeq);
  copySeries(database, from, id, upTo.eventSeq);
  database
    .prepare(
      `INSERT INTO journal SELECT ?, seq, key, data FROM journal WHERE run = ? AND seq <= ? ${which}`,
    )
    .run(id, from, upTo.journalSeq);
  database
    .prepare(
      'INSERT INTO checkpoints SELECT ?, step, name, sha256 FROM checkpoints WHERE run = ? AND step <= ?',
    )
    .run(id, from, upTo.step);
}

export function remove(database: Database, { id, state }: StoredRun): void {
  if (state === 'running') {
    throw new StoreError(
      `run ${id}: a process is at work on it; stop it first with "whetstone runs stop ${id}"`,
    );
  }
  database.prepare('DELETE FROM runs WHERE id = ?').run(id);
  dropOrphans(database);
}
