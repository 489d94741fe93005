/**
 * SQLite through the `node:sqlite` API, and the only place that imports it: Node's own where it has
 * one (22.13 and later), else `@photostructure/sqlite`, which brings its binary in the package.
 */
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { StoreError } from '../errors.ts';

export type Database = DatabaseSyncInstance;

export interface SqliteDriver {
  readonly name: 'node:sqlite' | '@photostructure/sqlite';
  open(path: string): Database;
}

let loaded: Promise<SqliteDriver> | undefined;

/**
 * The driver that this Node can use.
 * @throws StoreError when there is none
 */
export function sqliteDriver(): Promise<SqliteDriver> {
  loaded ??= loadDriver();
  return loaded;
}

async function loadDriver(): Promise<SqliteDriver> {
  const builtin = hasBuiltin(process.versions.node) ? await importQuietly() : undefined;
  if (builtin !== undefined) return driver('node:sqlite', builtin);
  try {
    return driver('@photostructure/sqlite', await import('@photostructure/sqlite'));
  } catch (error) {
    const why = (error as Error).message.split('\n')[0];
    throw new StoreError(
      `no SQLite for Node ${process.versions.node}: ${why}; use Node 22.13 or later`,
    );
  }
}

interface SqliteModule {
  readonly DatabaseSync: new (path: string) => Database;
}

function driver(name: SqliteDriver['name'], module: SqliteModule): SqliteDriver {
  return { name, open: (path) => new module.DatabaseSync(path) };
}

function hasBuiltin(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 4) || (major === 22 && minor >= 13);
}

/** Loads `node:sqlite` without its ExperimentalWarning; every other warning passes. */
async function importQuietly(): Promise<SqliteModule | undefined> {
  const original = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (!/SQLite is an experimental feature/.test(String(warning))) {
      (original as (...all: unknown[]) => void).call(process, warning, ...rest);
    }
  }) as typeof process.emitWarning;
  try {
    const name = 'node:sqlite';
    return (await import(name)) as SqliteModule;
  } catch {
    return undefined; // built without it: the package takes over
  } finally {
    process.emitWarning = original;
  }
}
