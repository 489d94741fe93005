/** The command line as a process in a folder, whose lines of JSON are told as they come. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/util/package-root.ts';

/** The built command. */
export const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

export type Line = Readonly<Record<string, unknown>> & { readonly kind: string };

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly lines: readonly Line[];
  readonly err: string;
}

export interface ProcessOptions {
  readonly onLine?: (line: Line, child: ChildProcess) => void;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `whetstone ARGS --json` to its end. */
export function whetstoneIn(
  folder: string,
  args: readonly string[],
  { onLine = () => {}, env = {} }: ProcessOptions = {},
): Promise<Ended> {
  if (!existsSync(built)) throw new Error('build first: npm run build');
  const child = spawn(process.execPath, [built, ...args, '--json'], {
    cwd: folder,
    env: { ...process.env, WHETSTONE_HOME: join(folder, 'home'), NO_COLOR: '1', ...env },
  });
  const lines: Line[] = [];
  let [rest, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    for (const part of parts) {
      lines.push(JSON.parse(part));
      onLine(lines.at(-1)!, child);
    }
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, lines, err }));
  });
}

/** The last line. */
export const last = ({ lines }: Ended): Line => lines.at(-1)!;
