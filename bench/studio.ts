/**
 * The studio over one very large run: how long the first answers take, and what memory the server has
 * at most. The store is made first, with texts as long as real ones; the studio is a process of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunEvent } from '../src/runs/events.ts';
import { sqliteDriver } from '../src/runs/sqlite.ts';
import { openStore } from '../src/runs/store.ts';
import { packageRoot } from '../src/util/package-root.ts';

export interface StudioFigures {
  readonly name: 'studio';
  readonly events: number;
  readonly prompts: number;
  /** Milliseconds of the first and of the second request to an address. */
  readonly ms: Readonly<Record<string, readonly [first: number, second: number]>>;
  /** The run and its series, as a page asks for them first. */
  readonly firstDataMs: number;
  /** Of the server, at its most; null where the system does not tell. */
  readonly peakBytes: number | null;
}

const BATCH = 10_000;

export async function benchStudio(events: number, prompts: number): Promise<StudioFigures> {
  const home = await mkdtemp(join(tmpdir(), 'whetstone-bench-studio-'));
  try {
    const run = await writeStore(home, events, prompts);
    return await measure(home, run, { events, prompts });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function writeStore(home: string, events: number, prompts: number): Promise<string> {
  const store = await openStore(home);
  const config = { task: { data: 'rows.csv' }, folder: home };
  const run = store.createRun({ method: 'soft-q', config, seed: 1, versions: {}, hashes: {} });
  for (let from = 0; from < events; from += BATCH) {
    const count = Math.min(BATCH, events - from);
    store.appendEvents(
      run,
      Array.from({ length: count }, (_, i) => stepOf(from + i)),
    );
  }
  await writePrompts(store.path, run, prompts);
  store.finishRun(run, { state: 'interrupted' });
  store.close();
  return run;
}

/** All in one transaction: one each would be a flush to the disk each. */
async function writePrompts(path: string, run: string, count: number): Promise<void> {
  const database = (await sqliteDriver()).open(path);
  database.exec('BEGIN IMMEDIATE');
  const insert = database.prepare('INSERT INTO prompts VALUES (?, ?, ?, ?, ?, ?)');
  for (let i = 0; i < count; i++) insert.run(run, textOf(i), '[1,2,3,4,5]', i % 977, '{}', 0);
  database.exec('COMMIT');
  database.close();
}

const textOf = (i: number) => `decide whether this remark number ${i} is kind or not`;

/** Now and then a look at validation, and every thousandth step another best prompt. */
function stepOf(step: number): RunEvent {
  const best = Math.floor(step / 1000);
  if (step % 500 === 499) {
    const validation = { score: 0.5, interval: [0.4, 0.6] as const, examples: 100 };
    return { kind: 'validation', prompt: textOf(best), validation, step };
  }
  return {
    kind: 'step',
    step,
    reward: Math.sin(step / 5000),
    entropy: 2 + Math.cos(step / 900),
    bestPrompt: textOf(best),
    bestReward: best,
    promptsPerSecond: 40,
    evaluations: 16 * step,
    spent: step / 1e6,
    quantities: { loss: Math.cos(step / 300), valueDrift: (step % 97) / 97 },
    ...(step % 10 === 0
      ? { episode: { prompt: textOf(step), input: 'a text to judge', answer: 'kind', gold: 'kind', reward: 1 } } // biome-ignore format: one line
      : {}),
  };
}

async function measure(
  home: string,
  run: string,
  size: { readonly events: number; readonly prompts: number },
): Promise<StudioFigures> {
  const main = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, 'studio', '--port', '0', '--no-open', '--json'], {
    env: { ...process.env, WHETSTONE_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { url } = JSON.parse(line) as { url: string };
    const visit = await fetch(url, { redirect: 'manual' });
    const cookie = visit.headers.get('set-cookie')!.split(';')[0]!;
    const origin = new URL(url).origin;
    const time = async (path: string) => {
      const before = performance.now();
      const response = await fetch(origin + path, { headers: { cookie } });
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 200)}`);
      return Math.round(performance.now() - before);
    };
    const paths = {
      run: `/api/runs/${run}`,
      series: `/api/runs/${run}/series?points=800`,
      runs: '/api/runs',
      prompts: `/api/runs/${run}/prompts?limit=100`,
      lastPrompts: `/api/runs/${run}/prompts?limit=100&offset=${Math.max(0, size.prompts - 100)}`,
      log: `/api/runs/${run}/log?limit=200&after=${Math.floor(size.events / 2)}`,
      rareKinds: `/api/runs/${run}/log?limit=200&kinds=warning,result`,
    };
    const ms: Record<string, [number, number]> = {};
    for (const [name, path] of Object.entries(paths)) {
      ms[name] = [await time(path), await time(path)];
    }
    // A person who looks around for a while.
    for (let i = 0; i < 30; i++) for (const path of Object.values(paths)) await time(path);
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
    return {
      name: 'studio',
      ...size,
      ms,
      firstDataMs: ms.run![0] + ms.series![0],
      peakBytes: peak === undefined ? null : 1024 * Number(peak),
    };
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}
