/**
 * Work is done by processes of the command line, never here: they outlive the studio, and what they do
 * is what the same words typed in a terminal would do. No shell is between; arguments are a list.
 *
 * A child writes to no pipe of ours (it would die with the studio's end of it): its run is found in the
 * store by its process id, and what it says on stderr lies in a file, so that the studio can tell why it
 * ended before it began.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../util/make-folder.ts';
import { RequestFailure } from './failures.ts';

export interface ChildrenOptions {
  /** The command line itself: node, its options and the file of the command. */
  readonly command: readonly string[];
  /** Where configurations and messages of children are kept. */
  readonly folder: string;
  /** The children's working directory. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Most that are at work at once. @default 8 */
  readonly most?: number;
}

/** What is known of a child that was started. */
export interface Begun {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The code that it ended with, when it has. */
  readonly code: number | undefined;
}

export interface Children {
  /** Keeps a configuration, readable by its owner alone; returns its path. */
  keep(yaml: string): Promise<string>;
  /**
   * Starts one that works in the background, and waits until what it began can be found.
   * @throws RequestFailure when it ends before that
   */
  start<T>(args: readonly string[], find: (child: Begun) => T | undefined): Promise<T>;
  /**
   * Runs one to its end and returns the last record that it printed.
   * @throws RequestFailure when it fails
   */
  run(args: readonly string[]): Promise<Readonly<Record<string, unknown>>>;
}

const POLL_MS = 100;
/** Opening models takes seconds, fetching them minutes. */
const BEGIN_MS = 120_000;
const SHORT_MS = 600_000;
const MAX_OUTPUT = 64 * 2 ** 20;

export function createChildren({ command, folder, cwd, env, most = 8 }: ChildrenOptions): Children {
  const alive = new Set<ChildProcess>();
  const newPath = (ending: string) => {
    makeFolder(folder, 0o700);
    const time = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
    return join(folder, `${time}-${randomBytes(4).toString('hex')}.${ending}`);
  };
  const begin = (args: readonly string[], out: 'ignore' | 'pipe', errors: number | 'pipe') => {
    if (alive.size >= most) {
      throw new RequestFailure(
        503,
        'refused',
        `${most} processes that the studio started are at work already, wait until one ends`,
      );
    }
    const [program, ...first] = command as [string, ...string[]];
    const child = spawn(program, [...first, ...args, '--json'], {
      cwd,
      env: { ...env },
      stdio: ['ignore', out, errors],
      // Ctrl-C in the studio's terminal is not meant for runs.
      detached: true,
      windowsHide: true,
    });
    alive.add(child);
    child.on('error', () => alive.delete(child));
    child.on('exit', () => alive.delete(child));
    return child;
  };

  return {
    async keep(yaml) {
      const path = newPath('yaml');
      await writeFile(path, yaml, { mode: 0o600, flag: 'wx' });
      return path;
    },
    async start(args, find) {
      const log = newPath('log');
      const file = openSync(log, 'wx', 0o600);
      const since = Date.now();
      let child: ChildProcess;
      try {
        child = begin(args, 'ignore', file);
      } finally {
        closeSync(file);
      }
      child.unref();
      const ended = new Promise<number>((resolve) => {
        child.on('error', () => resolve(1));
        child.on('exit', (code) => resolve(code ?? 1));
      });
      let code: number | undefined;
      void ended.then((value) => {
        code = value;
      });
      const pid = child.pid ?? -1;
      while (Date.now() - since < BEGIN_MS) {
        // What it began is looked for once more after its end.
        const now: Begun = { pid, since, code };
        const found = find(now);
        if (found !== undefined) {
          void ended.then(() => rm(log, { force: true }));
          return found;
        }
        if (now.code !== undefined)
          throw failed(now.code, await readFile(log, 'utf8').catch(() => ''));
        await Promise.race([ended, sleep(POLL_MS)]);
      }
      throw new RequestFailure(
        504,
        'pending',
        'it has started but not begun yet, as where models are fetched first; it appears in the list when it does',
      );
    },
    async run(args) {
      const child = begin(args, 'pipe', 'pipe');
      const timer = setTimeout(() => child.kill(), SHORT_MS);
      let [out, errors] = ['', ''];
      child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
        out += chunk;
        if (out.length > MAX_OUTPUT) child.kill();
      });
      child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
        errors = (errors + chunk).slice(-10_000);
      });
      const code = await new Promise<number>((resolve) => {
        child.on('error', () => resolve(1));
        child.on('close', (value) => resolve(value ?? 1));
      });
      clearTimeout(timer);
      const last = lastRecord(out);
      if (code === 0 && last) return last;
      if (last?.kind !== 'error') throw failed(code, errors);
      throw new RequestFailure(code === 2 ? 400 : 409, String(last.code), String(last.message));
    },
  };
}

function lastRecord(out: string): Readonly<Record<string, unknown>> | undefined {
  const line = out.trimEnd().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** The sentence that the command line ended with. */
function failed(code: number, errors: string): RequestFailure {
  const line = errors
    .trim()
    .split('\n')
    .findLast((each) => each.startsWith('whetstone: '));
  const message = line?.slice('whetstone: '.length) ?? `the command ended with code ${code}`;
  return new RequestFailure(code === 2 ? 400 : 500, code === 2 ? 'config' : 'failed', message);
}
