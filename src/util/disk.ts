/** Failures of the disk as one sentence each. */
import { isAbort, StoreError, WhetstoneError } from '../errors.ts';

/** Runs a file operation; a full or forbidding disk becomes a StoreError. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isAbort(error) || error instanceof WhetstoneError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new StoreError(
        `${path}: the disk is full; free some space, or set WHETSTONE_HOME or WHETSTONE_MODELS`,
      );
    }
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
      throw new StoreError(
        `${path}: not writable (${code}); set WHETSTONE_HOME or WHETSTONE_MODELS to another folder`,
      );
    }
    throw new StoreError(`${path}: cannot be written (${code ?? String(error)})`);
  }
}
