/**
 * Runs a tiny run again and again, each time with another write, fsync or rename failing, and resumes
 * it; to be started with faults.c preloaded. Prints one line of JSON a point.
 *
 *   LD_PRELOAD=faults.so FAULT_CONTROL=… FAULT_ROOT=… node --import tsx fault-points.ts FOLDER POINTS SET…
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { WhetstoneError } from '../../src/errors.ts';
import { loadConfig } from '../../src/runs/config.ts';
import type { OptimizeResult } from '../../src/runs/events.ts';
import { resumeRun } from '../../src/runs/lifecycle.ts';
import { optimize } from '../../src/runs/optimize.ts';
import { openStore } from '../../src/runs/store.ts';

const [folder, points, ...set] = process.argv.slice(2) as [string, string, ...string[]];
const home = join(folder, 'home');
const control = openSync(process.env.FAULT_CONTROL!, 'r+');
const ENOSPC = 28;
const EIO = 5;

/** The `at`-th operation from here fails; 0: none does. */
function arm(at: number, errno = 0, sticks = false): void {
  writeSync(control, Int32Array.of(0, at, errno, sticks ? 1 : 0), 0, 16, 0);
}

function operations(): number {
  const state = new Int32Array(4);
  readSync(control, state, 0, 16, 0);
  return state[0]!;
}

const lasting = ({ seconds, runId, files, ...result }: OptimizeResult) =>
  JSON.stringify({ ...result, files: files?.length });

/** A whole run; the id is there as soon as the run is. */
async function run(onStart: (id: string) => void = () => {}): Promise<OptimizeResult> {
  const store = await openStore(home);
  try {
    return await optimize(await loadConfig(join(folder, 'tiny.yaml'), { set }), {
      store,
      statesApartMs: 0,
      onEvent: (event) => event.kind === 'start' && onStart(event.runId),
    });
  } finally {
    store.close();
  }
}

async function resume(id: string): Promise<OptimizeResult> {
  const store = await openStore(home);
  try {
    return await resumeRun(id, { store, statesApartMs: 0 });
  } finally {
    store.close();
  }
}

/** How the run with a fault ended: unharmed, or with which error. */
async function broken(at: number, onStart: (id: string) => void) {
  arm(at, at % 2 ? ENOSPC : EIO, at % 4 > 1);
  try {
    return { result: await run(onStart) };
  } catch (error) {
    return { error: error as Error };
  } finally {
    arm(0);
  }
}

await run(); // prepares the model's weights
arm(0);
const whole = await run();
const total = operations();
for (let i = 0; i < Number(points); i++) {
  const at = 1 + Math.floor((i * total) / Number(points));
  let id: string | undefined;
  const outcome = await broken(at, (begun) => {
    id = begun;
  });
  const { error } = outcome;
  const result = outcome.result ?? (await (id === undefined ? run() : resume(id)));
  const point = {
    at,
    total,
    error: error?.message,
    isTyped: error === undefined || error instanceof WhetstoneError,
    code: (error as WhetstoneError | undefined)?.code,
    wasResumed: error !== undefined && id !== undefined,
    isSame: lasting(result) === lasting(whole),
  };
  process.stdout.write(`${JSON.stringify(point)}\n`);
}
closeSync(control);
