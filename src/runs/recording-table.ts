/**
 * What resuming needs, in the store: the journal (what the world answered to a search), and states of
 * methods, whose tensors lie among the blobs by their content, so that what stays the same from one
 * state to the next is kept once.
 */
import { deserialize, serialize } from 'node:v8';
import { sha256 } from '../util/hash.ts';
import type { Database } from './sqlite.ts';

/** How keys begin of what models answered in text, of what was sent for it, and of what became of that. */
export const ANSWER_KEYS = ['text ', 'sent ', 'settled '] as const;

export interface JournalRow {
  /** What was asked. */
  readonly key: string;
  readonly data: Uint8Array;
}

/** A state of a method and of what a run keeps for it, after a step. */
export interface Checkpoint {
  readonly step: number;
  /** The last event and the last journal row that the state has seen. */
  readonly eventSeq: number;
  readonly journalSeq: number;
  /** Plain data; tensors are Float32Arrays anywhere in it. */
  readonly state: unknown;
}

export interface CheckpointPlace {
  readonly step: number;
  /** Of what this one alone would free. */
  readonly sizeBytes: number;
}

export interface RecordingTable {
  /** Number and key of each row, in their order. */
  journalKeys(run: string): Iterable<{ readonly seq: number; readonly key: string }>;
  journalData(run: string, seq: number): Uint8Array;
  lastJournalSeq(run: string): number;
  /** The row with a key, where there is one. */
  journalSeq(run: string, key: string): number | undefined;
  /** Steps whose state is kept, oldest first. */
  checkpoints(run: string): CheckpointPlace[];
  /** The newest one, or that of a step. */
  readCheckpoint(run: string, step?: number): Checkpoint | undefined;
}

/** States of a run that are kept beside those that are pinned. */
const KEPT = 4;

export function createRecordingTable(
  database: Database,
  read: <T>(work: () => T) => T,
): RecordingTable {
  return {
    *journalKeys(run) {
      let after = 0;
      for (;;) {
        const rows = read(
          () =>
            database
              .prepare(
                'SELECT seq, key FROM journal WHERE run = ? AND seq > ? ORDER BY seq LIMIT 4096',
              )
              .all(run, after) as unknown as { seq: number; key: string }[],
        );
        yield* rows;
        if (rows.length === 0) return;
        after = rows.at(-1)!.seq;
      }
    },
    journalData: (run, seq) =>
      read(() => {
        const row = database.prepare('SELECT data FROM journal WHERE run = ? AND seq = ?');
        return (row.get(run, seq) as unknown as { data: Uint8Array }).data;
      }),
    journalSeq: (run, key) =>
      read(() => {
        const row = database.prepare('SELECT seq FROM journal WHERE run = ? AND key = ? LIMIT 1');
        return (row.get(run, key) as { seq: number } | undefined)?.seq;
      }),
    lastJournalSeq: (run) => read(() => lastJournalSeq(database, run)),
    checkpoints: (run) =>
      read(
        () =>
          database
            .prepare(
              `SELECT step, sum(length(data)) AS sizeBytes FROM checkpoints JOIN blobs USING (sha256)
               WHERE run = ? GROUP BY step ORDER BY step`,
            )
            .all(run) as unknown as CheckpointPlace[],
      ),
    readCheckpoint: (run, step) => read(() => readCheckpoint(database, run, step)),
  };
}

/** To be called inside of a transaction. */
export function appendJournal(database: Database, run: string, rows: readonly JournalRow[]): void {
  if (rows.length === 0) return;
  let seq = lastJournalSeq(database, run);
  const insert = database.prepare('INSERT INTO journal VALUES (?, ?, ?, ?)');
  for (const { key, data } of rows) insert.run(run, ++seq, key, data);
}

/**
 * Keeps a state and drops old ones: the last few stay, and the `pinned` step. To be called inside of
 * a transaction, after the event and the journal that belong to it.
 */
export function putCheckpoint(
  database: Database,
  run: string,
  { step, eventSeq, state, pinned }: Omit<Checkpoint, 'journalSeq'> & { readonly pinned?: number },
): void {
  const journalSeq = lastJournalSeq(database, run);
  const put = database.prepare('INSERT OR IGNORE INTO blobs VALUES (?, ?)');
  const link = database.prepare('INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)');
  const keep = (name: string, data: Uint8Array) => {
    const hash = sha256(data);
    put.run(hash, data);
    link.run(run, step, name, hash);
    return hash;
  };
  const tensors: Float32Array[] = [];
  const frame = serialize({ eventSeq, journalSeq, state: lift(state, tensors) });
  tensors.forEach((tensor, i) => {
    keep(`tensor ${i}`, new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength));
  });
  keep('state', frame);
  database
    .prepare(
      `DELETE FROM checkpoints WHERE run = ? AND step <> ? AND step NOT IN
         (SELECT DISTINCT step FROM checkpoints WHERE run = ? ORDER BY step DESC LIMIT ?)`,
    )
    .run(run, pinned ?? -1, run, KEPT);
  dropOrphans(database);
}

/** Drops blobs that no state refers to. */
export function dropOrphans(database: Database): void {
  database.exec(
    'DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.sha256 = blobs.sha256)',
  );
}

function lastJournalSeq(database: Database, run: string): number {
  const row = database.prepare('SELECT max(seq) AS seq FROM journal WHERE run = ?').get(run);
  return (row as { seq: number | null }).seq ?? 0;
}

function readCheckpoint(
  database: Database,
  run: string,
  step: number | undefined,
): Checkpoint | undefined {
  const last = database.prepare('SELECT max(step) AS step FROM checkpoints WHERE run = ?');
  const at = step ?? (last.get(run) as unknown as { step: number | null }).step;
  const rows = database
    .prepare(
      'SELECT name, data FROM checkpoints JOIN blobs USING (sha256) WHERE run = ? AND step = ?',
    )
    .all(run, at ?? -1) as unknown as { name: string; data: Uint8Array }[];
  const byName = new Map(rows.map(({ name, data }) => [name, data]));
  const frame = byName.get('state');
  if (!frame) return undefined;
  const { state, ...places } = deserialize(frame) as Omit<Checkpoint, 'step'>;
  const tensors = (i: number) => floatsOf(byName.get(`tensor ${i}`)!);
  return { step: at!, ...places, state: settle(state, tensors) };
}

/** Bytes as floats of their own. */
export function floatsOf(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

/** Stands for a tensor in plain data. */
interface Lifted {
  readonly $tensor: number;
}

/** Plain data with its tensors put aside. */
function lift(value: unknown, tensors: Float32Array[]): unknown {
  if (value instanceof Float32Array) {
    const known = tensors.indexOf(value);
    return { $tensor: known < 0 ? tensors.push(value) - 1 : known } satisfies Lifted;
  }
  if (Array.isArray(value)) return value.map((one) => lift(one, tensors));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, lift(one, tensors)]));
}

/** The same with its tensors in place, each of them an array of its own. */
function settle(value: unknown, tensor: (i: number) => Float32Array): unknown {
  if (Array.isArray(value)) return value.map((one) => settle(one, tensor));
  if (value === null || typeof value !== 'object') return value;
  if ('$tensor' in value) return tensor((value as Lifted).$tensor);
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, settle(one, tensor)]),
  );
}
