/**
 * A folder and what is above it. Node's own `recursive` tries without end where the system says that
 * a folder in an existing folder does not exist, as /proc and some network mounts do.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Makes a folder where there is none. @throws the system's error when it cannot be made */
export function makeFolder(path: string, mode?: number): void {
  const parent = dirname(resolve(path));
  if (!existsSync(parent)) makeFolder(parent, mode);
  try {
    mkdirSync(path, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}
