/**
 * Comparisons in the store, and their cells: one row a method and repetition. A cell is `running`
 * until its search ends, `untested` until the test split was opened for it, then `done`.
 */
import { StoreError } from '../errors.ts';
import type { Untested } from './conclude.ts';
import type { Database } from './sqlite.ts';

export type CellState = 'running' | 'untested' | 'done' | 'failed';

export interface NewComparison {
  /** Hash of what was asked. */
  readonly question: string;
  readonly hashes: Readonly<Record<string, string>>;
  /** What was asked, in full. */
  readonly plan: unknown;
}

export interface StoredComparison extends NewComparison {
  readonly id: string;
  readonly started: Date;
}

/** Answers to the test examples, in their order. */
export interface CellTest {
  /** Hash of the test examples: equal where cells were tested on the same ones. */
  readonly hash: string;
  /** 1 where the gold label was found, else 0; of free text, the metric's score. */
  readonly hits: readonly number[];
  /** Class index of each example. */
  readonly gold: readonly number[];
  /** Places of examples that have no score, whose hits say nothing. @default none */
  readonly unanswered?: readonly number[];
}

export interface CellOutcome {
  readonly found: Untested;
  /** Mean reward on train, in float32. */
  readonly trainReward: number;
  readonly test?: CellTest;
  /** Another comparison has paid for it. */
  readonly isTaken?: boolean;
}

export interface StoredCell {
  readonly method: string;
  /** Index of the repetition. */
  readonly repetition: number;
  readonly state: CellState;
  readonly run?: string;
  /** Runs that it had before and gave up: what they paid counts. @default none */
  readonly earlier?: readonly string[];
  readonly outcome?: CellOutcome;
  readonly error?: string;
}

/** All runs that a cell has had, the oldest first. */
export function runsOf({ run, earlier = [] }: StoredCell): string[] {
  return run === undefined ? [...earlier] : [...earlier, run];
}

export interface ComparisonTable {
  create(comparison: NewComparison): string;
  /** Those that asked the same, newest first. */
  find(question: string): StoredComparison[];
  /** All, newest first. */
  list(): StoredComparison[];
  /** @throws StoreError when there is none */
  get(id: string): StoredComparison;
  cells(comparison: string): StoredCell[];
  /** Stores a cell, or replaces what was known of it. */
  putCell(comparison: string, cell: StoredCell): void;
}

interface Access {
  newId(): string;
  read<T>(work: () => T): T;
  write<T>(work: () => T): T;
}

interface ComparisonRow {
  id: string;
  question: string;
  hashes: string;
  plan: string;
  started: number;
}

interface CellRow {
  method: string;
  repetition: number;
  state: CellState;
  run: string | null;
  earlier: string | null;
  outcome: string | null;
  error: string | null;
}

export function createComparisonTable(
  database: Database,
  { newId, read, write }: Access,
): ComparisonTable {
  return {
    create({ question, hashes, plan }) {
      const id = newId();
      write(() =>
        database
          .prepare('INSERT INTO comparisons VALUES (?, ?, ?, ?, ?)')
          .run(id, question, JSON.stringify(hashes), JSON.stringify(plan), Date.now()),
      );
      return id;
    },
    find: (question) =>
      read(() => {
        const rows = database.prepare(
          'SELECT * FROM comparisons WHERE question = ? ORDER BY started DESC, id DESC',
        );
        return (rows.all(question) as unknown as ComparisonRow[]).map(toComparison);
      }),
    list: () =>
      read(() => {
        const rows = database.prepare('SELECT * FROM comparisons ORDER BY started DESC, id DESC');
        return (rows.all() as unknown as ComparisonRow[]).map(toComparison);
      }),
    get: (id) =>
      read(() => {
        const row = database.prepare('SELECT * FROM comparisons WHERE id = ?').get(id);
        if (!row) throw new StoreError(`comparison ${id}: no such comparison in the store`);
        return toComparison(row as unknown as ComparisonRow);
      }),
    cells: (comparison) =>
      read(() => {
        const rows = database.prepare('SELECT * FROM cells WHERE comparison = ?');
        return (rows.all(comparison) as unknown as CellRow[]).map((row) => ({
          method: row.method,
          repetition: row.repetition,
          state: row.state,
          ...(row.run === null ? {} : { run: row.run }),
          ...(row.earlier === null ? {} : { earlier: JSON.parse(row.earlier) }),
          ...(row.outcome === null ? {} : { outcome: JSON.parse(row.outcome) }),
          ...(row.error === null ? {} : { error: row.error }),
        }));
      }),
    putCell: (comparison, { method, repetition, state, ...cell }) =>
      write(() =>
        database
          .prepare(`INSERT OR REPLACE INTO cells (comparison, method, repetition, state, run, outcome, error, earlier)
              VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
          .run(
            comparison,
            method,
            repetition,
            state,
            cell.run ?? null,
            cell.outcome ? JSON.stringify(cell.outcome) : null,
            cell.error ?? null,
            cell.earlier ? JSON.stringify(cell.earlier) : null,
          ),
      ),
  };
}

function toComparison(row: ComparisonRow): StoredComparison {
  return {
    id: row.id,
    question: row.question,
    hashes: JSON.parse(row.hashes),
    plan: JSON.parse(row.plan),
    started: new Date(row.started),
  };
}
