/** Files that are either whole or absent: written beside their place, flushed, then renamed. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from './make-folder.ts';

export interface FileOptions {
  /** The file, and folders that are made for it, are their owner's alone. @default as the umask says */
  readonly isPrivate?: boolean;
}

/** Calls `write` with an open handle on a temporary neighbour of `path`, then puts it in place. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array | ((handle: import('node:fs/promises').FileHandle) => Promise<void>),
  { isPrivate = false }: FileOptions = {},
): Promise<void> {
  makeFolder(dirname(path), isPrivate ? 0o700 : undefined);
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2, 8)}.part`;
  try {
    const handle = await open(temporary, 'w', isPrivate ? 0o600 : undefined);
    try {
      if (typeof data === 'function') await data(handle);
      else await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
