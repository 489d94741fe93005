/**
 * Runs that are killed at random moments, sixty times in all, and resumed: what was acknowledged is in
 * the store, the store is whole, and the end is byte for byte that of a run that was left alone. The same
 * for a comparison, whose command is given again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunEvent } from '../src/runs/events.ts';
import { sqliteDriver } from '../src/runs/sqlite.ts';
import { openStore } from '../src/runs/store.ts';
import { sha256 } from '../src/util/hash.ts';
import { createRng, type Rng } from '../src/util/rng.ts';
import { type Ended, type Line, last, whetstoneIn } from './support/whetstone-process.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const KILLS = 60;
const SEED = 20261125;

const small: Readonly<Record<string, readonly string[]>> = {
  evolution: ['children=8', 'genes=uniform'],
  'policy-gradient': ['batchSize=4', 'adapterWidth=16'],
  grpo: ['groups=1', 'groupSize=4', 'promptTokens=4', 'rank=2', 'warmSteps=1'],
  'soft-prompt': ['virtualTokens=2', 'learningRate=0.03', 'steps=40', 'restarts=1'],
  autoprompt: ['searchWidth=8'],
  'few-shot': ['draws=4', 'shots=2'],
};

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

const argsOf = (method: string) => [
  'optimize',
  'tiny.yaml',
  ...[`method.name=${method}`, 'budget.minutes=600', 'budget.evaluations=800'],
  ...small[method]!.map((option) => `method.${option}`),
].flatMap((one, i) => (i < 2 ? [one] : ['--set', one])); // biome-ignore format: words of a command

/** What the store must hold once it was shown. */
const acknowledged = ({ lines }: Ended) =>
  lines.filter(({ kind }) => ['start', 'step', 'validation', 'warning', 'result'].includes(kind));

/** A result or an event without times, durations and the run's id. */
function timeless(event: Line | RunEvent): string {
  const { seconds, secondsLeft, promptsPerSecond, spent, runId, files, ...rest } =
    event as unknown as Record<string, unknown>;
  return JSON.stringify(rest);
}

interface Report {
  readonly events: readonly string[];
  readonly prompts: unknown;
  /** Hashes of the files that the run left. */
  readonly files: readonly string[];
}

/** All that a finished run says, read from the store. */
async function reportOf(id: string): Promise<Report> {
  const store = await openStore(join(task.folder, 'home'));
  try {
    const { result } = store.getRun(id);
    return {
      events: store.events(id).map(({ event }) => timeless(event)),
      prompts: store.prompts(id),
      files: (result!.files ?? []).map((path) => sha256(readFileSync(path))),
    };
  } finally {
    store.close();
  }
}

/** Kills the process some time after its first line; it may end before. */
function killedAfter(args: readonly string[], ms: number): Promise<Ended> {
  let timer: NodeJS.Timeout | undefined;
  return whetstoneIn(task.folder, args, {
    onLine: (_, child) => {
      timer ??= setTimeout(() => child.kill('SIGKILL'), ms);
    },
  }).finally(() => clearTimeout(timer));
}

/** Checks the store after a kill; returns the newest run, where one has begun since. */
async function afterKill(shown: readonly Line[], known: string | undefined) {
  const path = join(task.folder, 'home', 'runs.sqlite');
  const database = (await sqliteDriver()).open(path);
  expect(database.prepare('PRAGMA integrity_check').all()).toMatchObject([{ integrity_check: 'ok' }]); // biome-ignore format: one call
  expect(database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  database.close();
  const store = await openStore(join(task.folder, 'home'));
  try {
    const [run] = store.listRuns({ limit: 1 });
    if (!run || run.id === known) return undefined;
    const events = store.events(run.id);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    // In their order, each once; one more may have been written than was shown.
    const stored = events.map(({ event }) => JSON.stringify(event));
    let at = 0;
    for (const line of shown) {
      const place = stored.indexOf(JSON.stringify(line), at);
      expect(place, `acknowledged: ${JSON.stringify(line)}`).toBeGreaterThanOrEqual(at);
      at = place + 1;
    }
    return run;
  } finally {
    store.close();
  }
}

async function reference(method: string) {
  let first = 0;
  const ended = await whetstoneIn(task.folder, argsOf(method), {
    onLine: () => {
      first ||= performance.now();
    },
  });
  expect(`${ended.code} ${ended.err}`).toMatch(/^0 /);
  const id = String(last(ended).runId);
  return { id, ms: performance.now() - first, report: await reportOf(id) };
}

/** One run, killed up to `most` times, then let to its end. Returns the kills. */
async function torment(
  method: string,
  { most, rng, whole }: { most: number; rng: Rng; whole: Awaited<ReturnType<typeof reference>> },
): Promise<number> {
  const before = (await afterKill([], undefined))?.id;
  const shown: Line[] = [];
  let [kills, id] = [0, undefined as string | undefined];
  const next = () => (id === undefined ? argsOf(method) : ['runs', 'resume', id]);
  const note = async (ended: Ended) => {
    shown.push(...acknowledged(ended));
    id ??= (await afterKill(shown, before))?.id;
    if (id !== undefined) await afterKill(shown, before);
  };
  while (kills < most) {
    // More often early: where a resumed process has less and less to do.
    const ended = await killedAfter(next(), rng.next() ** 2 * whole.ms);
    if (ended.code === 0) {
      await note(ended);
      break;
    }
    expect(ended, `${method}: ${ended.err}`).toMatchObject({ code: null });
    kills++;
    await note(ended);
    // Killed between its last write and its end.
    if (id !== undefined && (await isDone(id))) break;
  }
  if (id !== undefined && (await isDone(id))) {
    expect(await reportOf(id)).toEqual(whole.report);
    return kills;
  }
  const ended = await whetstoneIn(task.folder, next());
  expect(`${ended.code} ${ended.err}`).toMatch(/^0 /);
  shown.push(...acknowledged(ended));
  const report = await reportOf(String(last(ended).runId));
  expect(report).toEqual(whole.report);
  return kills;
}

async function isDone(id: string): Promise<boolean> {
  const store = await openStore(join(task.folder, 'home'));
  try {
    return store.getRun(id).state === 'done';
  } finally {
    store.close();
  }
}

it('sixty kills at random moments change nothing', async () => {
  process.stdout.write(`kill test: seed ${SEED}\n`);
  const rng = createRng(SEED);
  const methods = Object.keys(small);
  const each = KILLS / methods.length;
  const counts: Record<string, number> = {};
  for (const method of methods) {
    const whole = await reference(method);
    let kills = 0;
    while (kills < each)
      kills += await torment(method, { most: Math.min(5, each - kills), rng, whole });
    counts[method] = kills;
  }
  expect(Object.values(counts).reduce((a, b) => a + b)).toBe(KILLS);
}, 1_800_000);

const COMPARISON_KILLS = 10;

const compareArgs = [
  ...['compare', 'tiny.yaml', '--methods', 'evolution,grpo,soft-prompt', '--seeds', '1'],
  ...['budget.minutes=600', 'budget.evaluations=800'].flatMap((one) => ['--set', one]),
  ...['evolution', 'grpo', 'soft-prompt'].flatMap((method) =>
    small[method]!.flatMap((option) => ['--set', `methods.${method}.${option}`]),
  ),
];

/** The end of a comparison in a data folder of its own, without times and ids. */
async function comparisonIn(home: string, ended: Ended) {
  const lasting = (text: string) =>
    text.replace(/\d{8}-\d{6}-[0-9a-f]{4}/g, 'ID').replace(/\d+(\.\d+)? (ms|s|min)\b/g, 'TIME');
  const { html, markdown } = last(ended).report as unknown as Record<string, string>;
  const store = await openStore(home);
  try {
    const [comparison] = store.comparisons.list();
    const cells = store.comparisons.cells(comparison!.id);
    const runs = store.listRuns().map(({ id }) => id);
    return {
      report: [html!, markdown!].map((path) => lasting(readFileSync(path, 'utf8'))),
      runs: cells.map(({ run }) => ({
        events: store.events(run!).map(({ event }) => timeless(event)),
        prompts: store.prompts(run!),
        // What is computed twice is written twice.
        computed: [...store.recordings.journalKeys(run!)]
          .map(({ key }) => key)
          .filter((key) => key.startsWith('["')),
      })),
      // A process may die between a run's making and its cell's.
      others: runs
        .filter((run) => !cells.some((cell) => cell.run === run))
        .flatMap((run) => store.events(run)),
    };
  } finally {
    store.close();
  }
}

it('a comparison that is killed at random moments ends with the same report', async () => {
  process.stdout.write(`kill test of a comparison: seed ${SEED}\n`);
  const rng = createRng(SEED);
  const inHome = (name: string) => join(task.folder, name);
  const start = (home: string, ms = Number.POSITIVE_INFINITY) => {
    let timer: NodeJS.Timeout | undefined;
    return whetstoneIn(task.folder, compareArgs, {
      env: { WHETSTONE_HOME: home },
      onLine: (_, child) => {
        if (Number.isFinite(ms)) timer ??= setTimeout(() => child.kill('SIGKILL'), ms);
      },
    }).finally(() => clearTimeout(timer));
  };
  const begun = performance.now();
  const whole = await start(inHome('whole'));
  const wholeMs = performance.now() - begun;
  expect(`${whole.code} ${whole.err}`).toMatch(/^0 /);
  const expected = await comparisonIn(inHome('whole'), whole);
  expect(expected.others).toEqual([]);
  // A soft prompt's scores are no answers to texts.
  expect(expected.runs.filter(({ computed }) => computed.length > 0)).toHaveLength(2);
  let kills = 0;
  for (let round = 0; kills < COMPARISON_KILLS; round++) {
    const home = inHome(`killed-${round}`);
    let ended: Ended | undefined;
    while (kills < COMPARISON_KILLS && ended?.code !== 0) {
      ended = await start(home, (rng.next() * wholeMs) / 4);
      if (ended.code === 0) break;
      expect(ended, ended.err).toMatchObject({ code: null });
      kills++;
    }
    if (ended?.code !== 0) ended = await start(home);
    expect(`${ended.code} ${ended.err}`).toMatch(/^0 /);
    expect(await comparisonIn(home, ended)).toEqual(expected);
  }
}, 1_200_000);
