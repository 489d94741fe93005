/**
 * The store's schema as a list of steps; `user_version` counts those that were taken. A step once
 * published is never changed: what is new is a new step.
 */
import { StoreError } from '../errors.ts';
import type { Database } from './sqlite.ts';

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    method TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    config TEXT NOT NULL,     -- JSON: the effective configuration
    seed INTEGER NOT NULL,
    versions TEXT NOT NULL,   -- JSON: whetstone, node, engine, platform
    hashes TEXT NOT NULL,     -- JSON: SHA-256 of data files and models
    started INTEGER NOT NULL, -- milliseconds since 1970
    ended INTEGER,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    heartbeat INTEGER NOT NULL,
    result TEXT,              -- JSON
    error TEXT                -- one sentence
  ) STRICT;
  CREATE INDEX runs_started ON runs (started);
  CREATE TABLE events (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,       -- JSON: the whole event
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE prompts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    tokens TEXT NOT NULL,     -- JSON: ids of the text, tokenised afresh
    reward REAL,
    scores TEXT NOT NULL,     -- JSON: split to {score, interval, examples}
    time INTEGER NOT NULL,
    PRIMARY KEY (run, text)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    data BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE checkpoints (  -- states to resume from: adapters, optimisers, generators
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES blobs (sha256),
    PRIMARY KEY (run, step, name)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE comparisons (
    id TEXT PRIMARY KEY,
    question TEXT NOT NULL,   -- SHA-256 of what was asked: configuration, methods, repetitions
    hashes TEXT NOT NULL,     -- JSON: SHA-256 of data files and models
    plan TEXT NOT NULL,       -- JSON: configuration, methods with options, repetitions, versions
    started INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX comparisons_question ON comparisons (question, started);
  CREATE TABLE cells (
    comparison TEXT NOT NULL REFERENCES comparisons (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    repetition INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'untested', 'done', 'failed')),
    run TEXT REFERENCES runs (id) ON DELETE SET NULL,
    outcome TEXT,             -- JSON: what was found, its scores, the hits on the test examples
    error TEXT,               -- one sentence
    PRIMARY KEY (comparison, method, repetition)
  ) STRICT, WITHOUT ROWID;
  `,
  // A table's CHECK cannot be changed, so runs are copied into one that knows the state `paused`. Foreign
  // keys are off while steps are taken: else dropping the old table would delete all that refers to it.
  `
  CREATE TABLE runs_3 (
    id TEXT PRIMARY KEY,
    method TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'interrupted', 'done', 'failed')),
    config TEXT NOT NULL,     -- JSON: the effective configuration
    seed INTEGER NOT NULL,
    versions TEXT NOT NULL,   -- JSON: whetstone, node, engine, platform
    hashes TEXT NOT NULL,     -- JSON: SHA-256 of data files and models
    started INTEGER NOT NULL, -- milliseconds since 1970
    ended INTEGER,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    heartbeat INTEGER NOT NULL,
    result TEXT,              -- JSON
    error TEXT,               -- one sentence
    session INTEGER NOT NULL DEFAULT 1,       -- counts the processes that wrote it, one after the other
    session_started INTEGER NOT NULL DEFAULT 0,
    spent_ms INTEGER NOT NULL DEFAULT 0,      -- of earlier sessions
    request TEXT CHECK (request IN ('pause', 'stop')),
    parent TEXT,              -- the run that it branched off, which may be deleted by now
    parent_step INTEGER,
    origin TEXT               -- JSON: what a resumed process must know beside; null in runs before it
  ) STRICT;
  INSERT INTO runs_3 (id, method, state, config, seed, versions, hashes, started, ended, pid, host,
    heartbeat, result, error, session_started)
    SELECT id, method, state, config, seed, versions, hashes, started, ended, pid, host,
      heartbeat, result, error, started FROM runs;
  DROP TABLE runs;
  ALTER TABLE runs_3 RENAME TO runs;
  CREATE INDEX runs_started ON runs (started, id);
  CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL;
  CREATE TABLE journal (      -- what the world answered to a search: scores, answers in text, the clock
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    key TEXT NOT NULL,        -- what was asked
    data BLOB NOT NULL,
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX events_kind ON events (run, kind, seq);
  CREATE INDEX prompts_reward ON prompts (run, reward DESC, text);
  CREATE INDEX checkpoints_blob ON checkpoints (sha256);
  CREATE INDEX cells_run ON cells (run);
  `,
  `
  CREATE TABLE series (       -- what 32 * 2^level events in a row measured: least and greatest
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,   -- 0 is the stretch that begins with event 1
    data TEXT NOT NULL,       -- JSON: steps, and of each measure where it stood and what it was
    PRIMARY KEY (run, level, place)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE cells ADD COLUMN earlier TEXT; -- JSON: runs that it had before and gave up
  `,
];

/** Version of the schema that this program writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Takes the steps that are missing, each in its own transaction; foreign keys are to be switched off
 * before, since inside of one they cannot be.
 * @throws StoreError when a later Whetstone wrote the store
 */
export function migrate(database: Database, path: string, upTo = SCHEMA_VERSION): void {
  for (;;) {
    const version = schemaVersion(database);
    if (version > SCHEMA_VERSION) {
      throw new StoreError(
        `${path}: written by a later version of whetstone (schema ${version}, this one knows ${SCHEMA_VERSION}); update whetstone or set WHETSTONE_HOME to another folder`,
      );
    }
    if (version >= upTo) return;
    database.exec('BEGIN IMMEDIATE');
    try {
      // Another process may have taken the step while we waited for the lock.
      if (schemaVersion(database) === version) {
        database.exec(MIGRATIONS[version]!);
        const broken = database.prepare('PRAGMA foreign_key_check').get();
        if (broken) throw new StoreError(`${path}: rows refer to a run that is not there`);
        database.exec(`PRAGMA user_version = ${version + 1}`);
      }
      database.exec('COMMIT');
    } catch (error) {
      // SQLite has rolled back by itself after a full disk.
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }
}

function schemaVersion(database: Database): number {
  return Number(Object.values(database.prepare('PRAGMA user_version').get() as object)[0]);
}
