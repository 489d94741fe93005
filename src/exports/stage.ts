/**
 * Files that appear together or not at all: written into a folder inside of the target, and moved
 * into place at the end. What was there before is put back when a move fails.
 */
import { existsSync, rmdirSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { StoreError } from '../errors.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { makeFolder } from '../util/make-folder.ts';

export interface Stage {
  /** Where files are written before they are moved. */
  readonly folder: string;
  write(name: string, data: string | Uint8Array): Promise<void>;
  /** All files that lie here, by name with "/". */
  read(): Promise<Map<string, Uint8Array>>;
  /** Moves them into the target; returns the paths. @throws StoreError, with all as it was before */
  commit(): Promise<string[]>;
  /** Removes what was not committed, and folders that were made for it. */
  discard(): Promise<void>;
}

/** @throws StoreError when the target cannot be written */
export async function openStage(target: string): Promise<Stage> {
  const made = missingFolders(resolve(target));
  const folder = await onTarget(target, async () => {
    makeFolder(target);
    return mkdtemp(join(target, '.whetstone-export-'));
  });
  const files = async () => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
      .filter((name) => !name.startsWith('.old'))
      .sort();
  };
  let isDone = false;
  return {
    folder,
    write: (name, data) => onTarget(target, () => writeFileAtomic(join(folder, name), data)),
    async read() {
      const names = await files();
      return new Map(
        await Promise.all(
          names.map(
            async (name) => [name, new Uint8Array(await readFile(join(folder, name)))] as const,
          ),
        ),
      );
    },
    async commit() {
      const names = await files();
      const paths = await onTarget(target, () => moveAll(names, { folder, target }));
      isDone = true;
      await rm(folder, { recursive: true, force: true });
      return paths;
    },
    async discard() {
      if (isDone) return;
      await rm(folder, { recursive: true, force: true });
      for (const one of made) {
        try {
          rmdirSync(one);
        } catch {
          // Somebody put something there in the meantime.
          break;
        }
      }
    },
  };
}

async function moveAll(
  names: readonly string[],
  { folder, target }: { folder: string; target: string },
): Promise<string[]> {
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const [i, name] of names.entries()) {
      const path = join(target, name);
      makeFolder(dirname(path));
      if (existsSync(path)) {
        if (!statSync(path).isFile()) {
          throw new StoreError(
            `${path}: is a folder, where a file of the export would go; move it away or give another --out`,
          );
        }
        const old = join(folder, `.old-${i}`);
        await rename(path, old);
        undo.push(() => rename(old, path));
      }
      await rename(join(folder, name), path);
      undo.push(() => rename(path, join(folder, name)));
    }
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
  return names.map((name) => resolve(join(target, name)));
}

/** Folders that do not exist yet, the deepest first. */
function missingFolders(path: string): string[] {
  if (existsSync(path) || dirname(path) === path) return [];
  return [path, ...missingFolders(dirname(path))];
}

async function onTarget<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new StoreError(
      `${target}: the export cannot be written there (${sentence(code, error)}); give another --out`,
    );
  }
}

function sentence(code: string | undefined, error: unknown): string {
  if (code === 'EEXIST' || code === 'ENOTDIR') return 'a file is in the way, expected a folder';
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'the disk is full';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return `not writable, ${code}`;
  return code ?? String(error);
}
