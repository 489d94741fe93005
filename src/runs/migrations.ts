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
];

/** Version of the schema that this program writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Takes the steps that are missing, each in its own transaction.
 * @throws StoreError when a later Whetstone wrote the store
 */
export function migrate(database: Database, path: string): void {
  for (;;) {
    const version = schemaVersion(database);
    if (version > SCHEMA_VERSION) {
      throw new StoreError(
        `${path}: written by a later version of whetstone (schema ${version}, this one knows ${SCHEMA_VERSION}); update whetstone or set WHETSTONE_HOME to another folder`,
      );
    }
    if (version === SCHEMA_VERSION) return;
    database.exec('BEGIN IMMEDIATE');
    try {
      // Another process may have taken the step while we waited for the lock.
      if (schemaVersion(database) === version) {
        database.exec(MIGRATIONS[version]!);
        database.exec(`PRAGMA user_version = ${version + 1}`);
      }
      database.exec('COMMIT');
    } catch (error) {
      database.exec('ROLLBACK');
      throw error;
    }
  }
}

function schemaVersion(database: Database): number {
  return Number(Object.values(database.prepare('PRAGMA user_version').get() as object)[0]);
}
