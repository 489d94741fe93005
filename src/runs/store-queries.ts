/**
 * What a watcher asks of the store while others write it: each answer is bounded, whatever a run's size
 * is, since a server that shows a run of a million events must not read them.
 *
 * Steps are found by seeking, not by scanning: the events of one kind lie in the order of their
 * sequence numbers (index `events_kind`), so that "the first step at or after a number" costs one
 * descent. A series comes from what was summed up as it was written (series-table.ts). The order in which
 * prompts became the best is found by halving: between two steps with the same best prompt it did not
 * change.
 */
import { hostname } from 'node:os';
import type { RunEvent, StepEvent } from './events.ts';
import type { EventRow, RunRow, StoredEvent, StoredPrompt, StoredRun } from './rows.ts';
import { toEvent, toPrompt, toRun } from './rows.ts';
import { selectPrompts } from './run-table.ts';
import {
  joined,
  readMeasured,
  readSummaries,
  readWhole,
  type Summary,
  summaryOf,
  thinnedSummary,
} from './series-table.ts';
import type { Database } from './sqlite.ts';

export interface EventQuery {
  /** Sequence number after which they begin. @default 0 */
  readonly after?: number | undefined;
  /** @default 500 */
  readonly limit?: number | undefined;
  /** @default all */
  readonly kinds?: readonly string[] | undefined;
}

export interface RunQueries {
  /** Newest first, after the run with the id `before`. */
  listRuns(options: { limit: number; before?: string | undefined }): StoredRun[];
  countRuns(): number;
  /** Undefined where there is none of exactly this id. */
  findRun(id: string): StoredRun | undefined;
  /** The run that a process began at or after a time. */
  runOfProcess(pid: number, since: number): string | undefined;
  /** Oldest first. */
  events(run: string, options?: EventQuery): StoredEvent[];
  /** 0 where there is none. */
  lastSeq(run: string): number;
  /** The last events of a kind, oldest first. */
  lastEvents<K extends RunEvent['kind']>(
    run: string,
    kind: K,
    limit: number,
  ): Extract<RunEvent, { kind: K }>[];
  /** So many steps at most, evenly spaced, the first and the last among them. */
  steps(run: string, points: number): StepEvent[];
  /** Least and greatest values of all that was measured, at most so many places of each measure. */
  series(run: string, points: number): Summary;
  /** Steps at which another prompt became the best; the latest, where there are more than `limit`. */
  lineage(run: string, limit: number): StepEvent[];
  /** Best reward first. */
  prompts(run: string, options: { limit: number; offset: number }): StoredPrompt[];
  countPrompts(run: string): number;
  /** The comparison to which a process's runs belong that began at or after a time. */
  comparisonOfProcess(pid: number, since: number): string | undefined;
  /** Cells by state. */
  countCells(comparison: string): Readonly<Record<string, number>>;
}

/** Most seeks that a lineage may take. */
const MAX_SEEKS = 1500;

interface StepAt {
  readonly seq: number;
  readonly event: StepEvent;
}

export function createRunQueries(database: Database, read: <T>(work: () => T) => T): RunQueries {
  const statements = new Map<string, ReturnType<Database['prepare']>>();
  const prepared = (sql: string) => {
    const statement = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  const all = <Row>(sql: string, ...values: (string | number)[]): Row[] =>
    read(() => prepared(sql).all(...values) as unknown as Row[]);
  const one = <Row>(sql: string, ...values: (string | number)[]): Row | undefined =>
    read(() => prepared(sql).get(...values) as unknown as Row | undefined);
  const count = (sql: string, ...values: (string | number)[]): number =>
    one<{ n: number | null }>(sql, ...values)?.n ?? 0;

  /**
   * The numbers come from the index alone and the rows by their numbers: asked in one, SQLite takes the
   * primary key and reads all events of the run.
   */
  const ofKind = (
    run: string,
    kind: string,
    { from = 0, order, limit }: { from?: number; order: 'ASC' | 'DESC'; limit: number },
  ) =>
    all<EventRow>(
      `SELECT seq, time, data FROM events WHERE run = ? AND seq IN (
         SELECT seq FROM events WHERE run = ? AND kind = ? AND seq >= ? ORDER BY seq ${order} LIMIT ?
       ) ORDER BY seq`,
      run,
      run,
      kind,
      from,
      limit,
    );
  const stepAt = (row: EventRow | undefined): StepAt | undefined =>
    row && { seq: row.seq, event: toEvent(row).event as StepEvent };
  const stepFrom = (run: string, from: number) =>
    stepAt(
      one<EventRow>(
        `SELECT seq, time, data FROM events INDEXED BY events_kind
         WHERE run = ? AND kind = 'step' AND seq >= ? ORDER BY seq LIMIT 1`,
        run,
        from,
      ),
    );
  const lastStep = (run: string) => stepAt(ofKind(run, 'step', { order: 'DESC', limit: 1 })[0]);
  const steps = (run: string, points: number, from = 0): StepEvent[] => {
    const [first, last] = [stepFrom(run, from), lastStep(run)];
    if (!first || !last) return [];
    const out = [first];
    const stride = (last.seq - first.seq) / Math.max(1, points - 1);
    for (let i = 1; i < points - 1; i++) {
      const wanted = Math.ceil(first.seq + i * stride);
      if (wanted <= out.at(-1)!.seq) continue;
      const next = stepFrom(run, wanted);
      if (!next || next.seq >= last.seq) break;
      out.push(next);
    }
    if (points > 1 && last.seq > first.seq) out.push(last);
    return out.map(({ event }) => event);
  };
  /** Of a stretch that was not summed up: evenly spaced steps. */
  const spaced = (run: string, points: number, after: number): Summary => ({
    ...summaryOf(steps(run, points, after + 1)),
    steps: count(
      `SELECT count(*) AS n FROM events WHERE run = ? AND kind = 'step' AND seq > ?`,
      run,
      after,
    ),
  });
  const lastSeq = (run: string) => count('SELECT max(seq) AS n FROM events WHERE run = ?', run);

  return {
    listRuns: ({ limit, before }) => {
      const from = before === undefined ? '' : 'WHERE (started, id) < (SELECT started, id FROM runs WHERE id = ?)'; // biome-ignore format: one clause
      const sql = `SELECT * FROM runs ${from} ORDER BY started DESC, id DESC LIMIT ?`;
      const values = before === undefined ? [limit] : [before, limit];
      return all<RunRow>(sql, ...values).map(toRun);
    },
    countRuns: () => count('SELECT count(*) AS n FROM runs'),
    findRun: (id) => {
      const row = one<RunRow>('SELECT * FROM runs WHERE id = ?', id);
      return row && toRun(row);
    },
    runOfProcess: (pid, since) =>
      one<{ id: string }>(
        'SELECT id FROM runs WHERE pid = ? AND host = ? AND started >= ? ORDER BY started LIMIT 1',
        pid,
        hostname(),
        since,
      )?.id,
    events: (run, { after = 0, limit = 500, kinds } = {}) => {
      if (!kinds) {
        return all<EventRow>(
          'SELECT seq, time, data FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?',
          run,
          after,
          limit,
        ).map(toEvent);
      }
      const rows = [...new Set(kinds)].flatMap((kind) =>
        ofKind(run, kind, { from: after + 1, order: 'ASC', limit }),
      );
      const inOrder = rows.sort((a, b) => a.seq - b.seq);
      return inOrder.slice(0, limit).map(toEvent);
    },
    lastSeq,
    lastEvents: <K extends RunEvent['kind']>(run: string, kind: K, limit: number) =>
      ofKind(run, kind, { order: 'DESC', limit }).map(
        (row) => toEvent(row).event as Extract<RunEvent, { kind: K }>,
      ),
    steps: (run, points) => steps(run, points),
    series(run, points) {
      const end = lastSeq(run);
      const { summaries, upTo } = read(() =>
        readSummaries(database, run, { lastSeq: end, points }),
      );
      const start = summaryOf(upTo > 0 ? steps(run, 1) : []);
      const isShort = end - upTo <= readWhole(points);
      const rest = isShort
        ? read(() => readMeasured(database, run, [upTo, end]))
        : spaced(run, points, upTo);
      // The first step is shown, and counted with its stretch.
      return thinnedSummary(joined([{ ...start, steps: 0 }, ...summaries, rest]), points);
    },
    lineage(run, limit) {
      const [first, last] = [stepFrom(run, 0), lastStep(run)];
      if (!first || !last) return [];
      return changesOf(first, last, { limit, from: (seq) => stepFrom(run, seq) });
    },
    prompts: (run, { limit, offset }) =>
      // No reward sorts as the lowest.
      read(() => selectPrompts(database, run, { limit, offset }).map(toPrompt)),
    countPrompts: (run) => count('SELECT count(*) AS n FROM prompts WHERE run = ?', run),
    comparisonOfProcess: (pid, since) =>
      one<{ comparison: string }>(
        `SELECT comparison FROM cells JOIN runs ON cells.run = runs.id
         WHERE runs.pid = ? AND runs.host = ? AND runs.started >= ? LIMIT 1`,
        pid,
        hostname(),
        since,
      )?.comparison,
    countCells: (comparison) => {
      const rows = all<{ state: string; n: number }>(
        'SELECT state, count(*) AS n FROM cells WHERE comparison = ? GROUP BY state',
        comparison,
      );
      return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
    },
  };
}

/**
 * The steps from `first` to `last` at which the best prompt became another, oldest first. Later ones are
 * looked for first, so that a limit leaves out the oldest.
 */
function changesOf(
  first: StepAt,
  last: StepAt,
  { limit, from }: { limit: number; from: (seq: number) => StepAt | undefined },
): StepEvent[] {
  const found: StepEvent[] = [];
  let seeks = 0;
  const look = (low: StepAt, high: StepAt): void => {
    if (low.event.bestPrompt === high.event.bestPrompt) return;
    if (found.length >= limit || seeks >= MAX_SEEKS) return;
    const middle = Math.floor((low.seq + high.seq) / 2);
    const next = middle > low.seq ? from(middle) : undefined;
    seeks++;
    if (next && next.seq < high.seq) {
      look(next, high);
      look(low, next);
      return;
    }
    // No step from the middle on: look for one before it.
    const after = from(low.seq + 1);
    seeks++;
    if (!after || after.seq >= high.seq) found.push(high.event);
    else {
      look(after, high);
      look(low, after);
    }
  };
  look(first, last);
  if (first.event.bestPrompt !== '' && found.length < limit) found.push(first.event);
  return found.reverse();
}
