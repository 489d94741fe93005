import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withFileLock } from './file-lock.ts';

const folder = () => mkdtemp(join(tmpdir(), 'whetstone-lock-'));

describe('withFileLock', () => {
  it('lets one work at a time and removes the file', async () => {
    const path = join(await folder(), 'x.lock');
    let inside = 0;
    let most = 0;
    const work = () =>
      withFileLock(
        path,
        async () => {
          most = Math.max(most, ++inside);
          await new Promise((done) => setTimeout(done, 10));
          inside--;
        },
        { pollMs: 2 },
      );
    await Promise.all([work(), work(), work(), work()]);
    expect(most).toBe(1);
    expect(await readdir(join(path, '..'))).toEqual([]);
  });

  it('takes over the lock of a process that is gone', async () => {
    const path = join(await folder(), 'x.lock');
    await writeFile(path, JSON.stringify({ pid: 2 ** 22 + 12345, host: hostname() }));
    expect(await withFileLock(path, async () => 'done')).toBe('done');
  });

  it('stops waiting when told to', async () => {
    const path = join(await folder(), 'x.lock');
    await writeFile(path, JSON.stringify({ pid: process.pid, host: hostname() }));
    const stop = new AbortController();
    const waiting = withFileLock(path, async () => 'never', {
      signal: stop.signal,
      onWait: () => stop.abort(),
    });
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });
});
