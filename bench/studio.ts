/**
 * The studio over one very large run: how long the first answers take, when a browser has the run on its
 * screen, how smoothly a chart moves, and what memory and processor time the server takes. The store is
 * made first, with texts as long as real ones; the studio is a process of its own. With --folder the store
 * is kept there and taken again the next time.
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
import { measurePage, type PageFigures } from './studio-page.ts';

interface Size {
  readonly events: number;
  readonly prompts: number;
}

export interface StudioFigures extends Size {
  readonly name: 'studio';
  /** In Chromium, before anything else was asked of the server; null where there is none on PATH. */
  readonly page: PageFigures | null;
  /** Milliseconds of the first and of the second request to an address. */
  readonly ms: Readonly<Record<string, readonly [first: number, second: number]>>;
  /** Bytes of the answers. */
  readonly bytes: Readonly<Record<string, number>>;
  /** The run and its series, as a page asks for them first. */
  readonly firstDataMs: number;
  /** Processor time of the server for one of each address; null where the system does not tell. */
  readonly cpuMs: number | null;
  /** Of the server, at its most; null where the system does not tell. */
  readonly peakBytes: number | null;
}

const BATCH = 10_000;

export async function benchStudio(size: Size, folder?: string): Promise<StudioFigures> {
  const home = folder ?? (await mkdtemp(join(tmpdir(), 'whetstone-bench-studio-')));
  try {
    return await measure(home, (await storedIn(home)) ?? (await writeStore(home, size)), size);
  } finally {
    if (folder === undefined) await rm(home, { recursive: true, force: true });
  }
}

async function storedIn(home: string): Promise<string | undefined> {
  const store = await openStore(home);
  const [run] = store.listRuns({ limit: 1 });
  store.close();
  return run?.id;
}

async function writeStore(home: string, { events, prompts }: Size): Promise<string> {
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

async function measure(home: string, run: string, size: Size): Promise<StudioFigures> {
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
    const page = await measurePage({ origin, cookie, run });
    const ask = async (path: string) => {
      const before = performance.now();
      const response = await fetch(origin + path, { headers: { cookie } });
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 200)}`);
      return { ms: Math.round(performance.now() - before), bytes: Buffer.byteLength(text) };
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
    const bytes: Record<string, number> = {};
    for (const [name, path] of Object.entries(paths)) {
      const [first, second] = [await ask(path), await ask(path)];
      ms[name] = [first.ms, second.ms];
      bytes[name] = second.bytes;
    }
    // A person who looks around for a while.
    const before = await usedBy(child.pid!);
    for (let i = 0; i < 30; i++) for (const path of Object.values(paths)) await ask(path);
    const after = await usedBy(child.pid!);
    return {
      name: 'studio',
      ...size,
      page,
      ms,
      bytes,
      firstDataMs: ms.run![0] + ms.series![0],
      cpuMs: before && after ? Math.round((after.cpuMs - before.cpuMs) / 30) : null,
      peakBytes: after?.peakBytes ?? null,
    };
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}

/** What the system counted of a process; its clock ticks a hundred times a second. */
async function usedBy(pid: number): Promise<{ cpuMs: number; peakBytes: number } | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14);
    const peak = /VmHWM:\s+(\d+) kB/.exec(status)![1];
    return { cpuMs: 10 * (Number(user) + Number(system)), peakBytes: 1024 * Number(peak) };
  } catch {
    return undefined;
  }
}
