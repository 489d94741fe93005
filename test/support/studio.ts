/** `whetstone studio` as a process of its own, as people start it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const built = join(import.meta.dirname, '../../dist/src/cli/main.js');

export interface StudioProcess {
  /** The launch address, good for one time. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface StudioOptions {
  /** Paths in configurations are relative to it. @default the working directory */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** @throws Error with what it said where it does not print its address within a minute */
export async function startStudio({ cwd, env }: StudioOptions): Promise<StudioProcess> {
  const child = spawn(process.execPath, [built, 'studio', '--port', '0', '--no-open'], {
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const url = await addressOf(child);
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return { url, stop };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = () => reject(new Error(`whetstone studio printed no address: ${said}`));
    const timer = setTimeout(fail, 60_000);
    const hear = (chunk: Buffer) => {
      said += chunk;
      const url = /http:\/\/[^\s"]+/.exec(said)?.[0];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('close', fail);
  });
}
