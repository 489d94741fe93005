/**
 * A lock between processes: a file that names its holder. The holder touches it while it works; a
 * lock whose process is gone, or that was not touched for a while, is taken over. Meant for one
 * machine; on a network drive the touching decides.
 */
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from './make-folder.ts';

const TOUCH_MS = 5_000;
const STALE_MS = 60_000;

interface Holder {
  readonly pid: number;
  readonly host: string;
}

export interface LockOptions {
  /** Called once with the holder's process id when the lock is taken by somebody else. */
  readonly onWait?: ((pid: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly pollMs?: number;
}

/** Runs `work` while holding the lock file at `path`; waits for another holder to finish. */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  makeFolder(dirname(path));
  let hasWaited = false;
  while (!(await tryCreate(path))) {
    options.signal?.throwIfAborted();
    const holder = await readHolder(path);
    if (await isStale(path, holder)) {
      await breakLock(path);
      continue;
    }
    if (!hasWaited) options.onWait?.(holder?.pid ?? 0);
    hasWaited = true;
    await sleep(options.pollMs ?? 250, undefined, { signal: options.signal });
  }
  const touching = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {}); // taken away by hand: the work itself stays atomic
  }, TOUCH_MS);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(path, { force: true });
  }
}

async function tryCreate(path: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx', 0o600);
    const holder: Holder = { pid: process.pid, host: hostname() };
    await handle.writeFile(JSON.stringify(holder));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    return undefined; // gone meanwhile, or not yet written
  }
}

async function isStale(path: string, holder: Holder | undefined): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return false;
  if (holder?.host === hostname() && !isAlive(holder.pid)) return true;
  return Date.now() - info.mtimeMs > STALE_MS;
}

/** Removes a stale lock; a second lock file makes sure that nobody's fresh lock is removed. */
async function breakLock(path: string): Promise<void> {
  const breaker = `${path}.break`;
  if (!(await tryCreate(breaker))) {
    const info = await stat(breaker).catch(() => undefined);
    if (info && Date.now() - info.mtimeMs > STALE_MS) await rm(breaker, { force: true });
    await sleep(50);
    return;
  }
  try {
    if (await isStale(path, await readHolder(path))) await rm(path, { force: true });
  } finally {
    await rm(breaker, { force: true });
  }
}

/** True when a process of this id runs on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
