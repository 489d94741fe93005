/**
 * A store with one run of very many events and prompts, and how long it takes to list, show and page
 * through it. `npm run --silent bench -- big-store [--events 1000000] [--folder F]`;
 * a tenth as many prompts.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteDriver } from '../src/runs/sqlite.ts';
import { openStore } from '../src/runs/store.ts';

export interface BigStore {
  readonly events: number;
  readonly prompts: number;
}

/** Makes the store in a folder; returns the run's id. */
export async function buildBigStore(folder: string, size: BigStore): Promise<string> {
  const store = await openStore(folder);
  const id = store.createRun({
    method: 'policy-gradient',
    config: { task: { name: 'big' }, seed: 1, folder },
    seed: 1,
    versions: { whetstone: '0' },
    hashes: {},
  });
  store.append(id, { end: { state: 'interrupted' } });
  store.close();
  const database = (await sqliteDriver()).open(join(folder, 'runs.sqlite'));
  database.exec('PRAGMA synchronous = OFF');
  database.exec('BEGIN');
  // Rows are made inside of SQLite: a million of them cross no border.
  const upTo = (n: number) =>
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`;
  database
    .prepare(
      `${upTo(size.events)} INSERT INTO events SELECT ?, i, 1700000000000 + i, 'step', json_object(
         'kind', 'step', 'step', i, 'reward', sin(i / 1e4) + (i % 97) / 97.0,
         'entropy', 5 - 4.0 * i / ${size.events}, 'bestPrompt', 'prompt ' || (i / 1000),
         'bestReward', 1.0 * i / ${size.events}, 'promptsPerSecond', 12.5, 'evaluations', 64 * i,
         'spent', 1.0 * i / ${size.events}, 'secondsLeft', ${size.events} - i,
         'quantities', json_object('loss', (i % 89) / 89.0, 'kl', i / 1e6)) FROM n`,
    )
    .run(id);
  database
    .prepare(
      `${upTo(size.prompts)} INSERT INTO prompts SELECT ?, 'Prompt number ' || i || ' of very many',
         '[1,2,3,4]', (i * 7919 % 100003) / 100003.0, '{}', 1700000000000 FROM n`,
    )
    .run(id);
  database.exec('COMMIT');
  database.close();
  return id;
}

/** Milliseconds of what a list and a page show, and the memory after all of it. */
export async function benchBigStore(size: BigStore, given?: string): Promise<object> {
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'whetstone-big-')));
  const built = performance.now();
  const id = await buildBigStore(folder, size);
  const buildSeconds = (performance.now() - built) / 1000;
  const store = await openStore(folder);
  const timed = (work: () => unknown) => {
    const started = performance.now();
    work();
    return Number((performance.now() - started).toFixed(1));
  };
  try {
    const before = process.memoryUsage.rss();
    const ms = {
      list: timed(() => store.listRuns({ limit: 20 })),
      run: timed(() => store.getRun(id)),
      lastStep: timed(() => store.lastEvent(id, 'step')),
      lastSeq: timed(() => store.lastSeq(id)),
      firstEvents: timed(() => store.events(id, { limit: 500 })),
      lastEvents: timed(() => store.events(id, { after: size.events - 500, limit: 500 })),
      ofAKind: timed(() => store.events(id, { kinds: ['validation'], limit: 500 })),
      bestPrompts: timed(() => store.prompts(id, { limit: 100 })),
      latePrompts: timed(() => store.prompts(id, { limit: 100, offset: size.prompts - 100 })),
      promptCount: timed(() => store.promptCount(id)),
    };
    const rssMb = Math.round(process.memoryUsage.rss() / 1e6);
    const grownMb = Math.round((process.memoryUsage.rss() - before) / 1e6);
    return { bench: 'big-store', ...size, folder, buildSeconds, ms, rssMb, grownMb };
  } finally {
    store.close();
  }
}
