/** Failures of the disk as one sentence each. */
import { isAbort, StoreError, WhetstoneError } from '../errors.ts';

/** What is said of a full disk; `elsewhere` says how to write to another one. */
export function diskFull(
  path: string,
  elsewhere = 'set WHETSTONE_HOME or WHETSTONE_MODELS',
): StoreError {
  return new StoreError(`${path}: the disk is full; free some space, or ${elsewhere}`);
}

/** Runs a file operation; a full or forbidding disk becomes a StoreError. */
export async function onDisk<T>(
  path: string,
  work: () => Promise<T>,
  elsewhere?: string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isAbort(error) || error instanceof WhetstoneError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw diskFull(path, elsewhere);
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
      throw new StoreError(
        `${path}: not writable (${code}); ${elsewhere ?? 'set WHETSTONE_HOME or WHETSTONE_MODELS to another folder'}`,
      );
    }
    throw new StoreError(`${path}: cannot be written (${code ?? String(error)})`);
  }
}
