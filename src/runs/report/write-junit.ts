/** Writes JUnit XML: whole or not at all. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreError } from '../../errors.ts';
import { writeFileAtomic } from '../../util/atomic-file.ts';
import { makeFolder } from '../../util/make-folder.ts';
import { junitXml, type Suite } from './junit.ts';

/** Before hours of work: whether the file could be written. @throws StoreError */
export async function checkJUnit(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  try {
    makeFolder(dirname(path));
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw unwritable(path, error);
  }
  const isFolder = await stat(path).then((at) => at.isDirectory(), () => false); // biome-ignore format: one line
  if (isFolder) throw unwritable(path, { code: 'EISDIR' });
}

/** @throws StoreError when the file cannot be written */
export async function writeJUnit(path: string, suites: readonly Suite[]): Promise<void> {
  try {
    await writeFileAtomic(path, junitXml(suites));
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): StoreError {
  const { code } = error as NodeJS.ErrnoException;
  return new StoreError(`--junit ${path}: cannot be written (${code ?? String(error)})`);
}
