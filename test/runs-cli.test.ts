/** What can be done with a run from the command line, and what is refused: each as a process. */
import { execFileSync } from 'node:child_process';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../src/runs/migrations.ts';
import { sqliteDriver } from '../src/runs/sqlite.ts';
import { openStore } from '../src/runs/store.ts';
import type { ProviderServer } from './support/provider-server.ts';
import { startChatServer, writeSums } from './support/sums.ts';
import { built, type Ended, type Line, last, whetstoneIn } from './support/whetstone-process.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask({ examples: 12 });
});
afterAll(() => task.remove());

const whetstone = (args: readonly string[], onLine?: (line: Line) => void) =>
  whetstoneIn(task.folder, args, onLine ? { onLine } : {});

const setsOf = (...set: string[]) => set.flatMap((one) => ['--set', one]);

const optimizeArgs = (...set: string[]) => [
  'optimize',
  'tiny.yaml',
  ...setsOf('method.name=random', 'method.batchSize=8', 'budget.minutes=600', ...set),
];

/** Does something once, at the n-th step. */
function atStep(n: number, then: (runId: string) => void): (line: Line) => void {
  let [seen, id] = [0, ''];
  return (line) => {
    if (line.kind === 'start') id = String(line.runId);
    if (line.kind === 'step' && ++seen === n) then(id);
  };
}

/** A run that is killed at its third step. */
async function killed(...set: string[]): Promise<string> {
  let id = '';
  let steps = 0;
  const ended = await whetstoneIn(task.folder, optimizeArgs(...set), {
    onLine: (line, child) => {
      if (line.kind === 'start') id = String(line.runId);
      if (line.kind === 'step' && ++steps === 3) child.kill('SIGKILL');
    },
  });
  expect(ended.code).toBeNull();
  return id;
}

const told = ({ code, err }: Ended) => ({ code, err: err.trim() });

describe('pause, resume, stop', () => {
  it('are asked for by another process, and shown', async () => {
    let asked: Promise<Ended> | undefined;
    let id = '';
    const paused = await whetstone(
      optimizeArgs('budget.evaluations=50000000'),
      atStep(1, (run) => {
        id = run;
        asked = whetstone(['runs', 'pause', run]);
      }),
    );
    expect(last(await asked!)).toMatchObject({ kind: 'result', runId: id, request: 'pause' });
    expect(paused.code).toBe(130);
    expect(last(paused)).toMatchObject({ kind: 'error', code: 'paused' });
    const list = await whetstone(['runs', 'list']);
    expect(list.lines[0]).toMatchObject({
      kind: 'run',
      runId: id,
      state: 'paused',
      canResume: true,
    });
    expect(last(list)).toMatchObject({ kind: 'result', runs: [{ id }] });
    let stop: Promise<Ended> | undefined;
    const stopped = await whetstone(['runs', 'resume', id], (line) => {
      if (line.kind === 'step') stop ??= whetstone(['runs', 'stop', id]);
    });
    expect((await stop!).code).toBe(0);
    expect(told(stopped)).toEqual({ code: 0, err: expect.stringContaining('stopped early') });
    expect(last(stopped)).toMatchObject({ kind: 'result', runId: id });
    const shown = last(await whetstone(['runs', 'show', id])) as unknown as { run: object };
    expect(shown.run).toMatchObject({ id, state: 'done', canResume: false });
    // Steps go on where they were, none twice.
    const store = await openStore(join(task.folder, 'home'));
    const steps = store.events(id, { kinds: ['step'] });
    expect(steps.map(({ event }) => (event.kind === 'step' ? event.step : 0))).toEqual(
      steps.map((_, i) => i + 1),
    );
    store.close();
    expect(told(await whetstone(['runs', 'pause', id]))).toEqual({
      code: 1,
      err: `whetstone: run ${id}: no process works on it, it is done`,
    });
  }, 240_000);
});

describe('two processes', () => {
  it('never work on one run', async () => {
    const id = await killed('budget.evaluations=50000');
    let second: Promise<Ended> | undefined;
    const first = await whetstone(['runs', 'resume', id], (line) => {
      if (line.kind !== 'step' || second) return;
      second = whetstone(['runs', 'resume', id]).then(async (ended) => {
        await whetstone(['runs', 'stop', id]);
        return ended;
      });
    });
    expect(told(await second!)).toEqual({
      code: 1,
      err: expect.stringMatching(/process \d+ is at work on it; pause it with/),
    });
    expect(first.code).toBe(0);
  }, 240_000);

  it('that try to take over at once: one wins', async () => {
    const id = await killed('budget.evaluations=400');
    const both = await Promise.all([1, 2].map(() => whetstone(['runs', 'resume', id])));
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    const loser = both.find(({ code }) => code === 1)!;
    // It came while the other was at work, or after its end.
    expect(loser.err).toMatch(/is at work on it|has just taken it over|is done/);
  }, 240_000);
});

describe('what has changed since', () => {
  it('is refused by name: configuration, data, model', async () => {
    const id = await killed('budget.evaluations=400');
    const resume = async () => told(await whetstone(['runs', 'resume', id]));
    const config = join(task.folder, 'tiny.yaml');
    const written = await readFile(config, 'utf8');
    await writeFile(config, written.replace('"evaluations":1500', '"evaluations":1500,"usd":1'));
    expect(await resume()).toEqual({
      code: 1,
      err: expect.stringMatching(
        /tiny\.yaml has changed since it began \(budget\.usd: 0, now 1\).*--as-recorded.*branch .* --set budget\.usd=1/,
      ),
    });
    // What is proposed can be pasted into a shell.
    const template = `"task":{"template":"{input} it's {prompt}",`;
    await writeFile(config, written.replace('"task":{', template));
    expect(await resume()).toEqual({
      code: 1,
      err: expect.stringContaining(
        `runs branch ${id} --set 'task.template="{input} it'\\''s {prompt}"'"`,
      ),
    });
    await writeFile(config, written);

    const data = join(task.folder, 'train.tsv');
    const rows = await readFile(data, 'utf8');
    await writeFile(data, rows.replace('the food', 'the cold food'));
    expect(await resume()).toEqual({
      code: 1,
      err: expect.stringMatching(/train\.tsv is not what it was.*branch .* --step 0/),
    });
    await rm(data);
    expect(await resume()).toEqual({
      code: 1,
      err: expect.stringMatching(/train\.tsv.*put back what it was begun with/),
    });
    await writeFile(data, rows);

    const model = join(task.folder, 'model', 'model.safetensors');
    await rename(model, `${model}.away`);
    expect(await resume()).toEqual({
      code: 1,
      err: expect.stringMatching(/model.*put back what it was begun with/),
    });
    await rename(`${model}.away`, model);
    const other = Buffer.from(await readFile(model));
    other[other.length - 1]! ^= 1;
    // A model is known by its size and its time, too.
    await rename(model, `${model}.away`);
    await writeFile(model, other);
    expect(await resume()).toEqual({
      code: 1,
      err: expect.stringMatching(/taskLm \(.*model\) is not what it was/),
    });
    await rename(`${model}.away`, model);
    // Refused, it stays what it was.
    expect(last(await whetstone(['runs', 'show', id]))).toMatchObject({
      run: { state: 'interrupted', canResume: true },
    });
    expect(await resume()).toMatchObject({ code: 0 });
  }, 240_000);
});

describe('branch, diff, delete', () => {
  it('go on with more, say where two differ, and leave nothing behind', async () => {
    const whole = await whetstone(optimizeArgs('budget.evaluations=500'));
    const id = String(last(whole).runId);
    const branched = await whetstone([
      ...['runs', 'branch', id, '--step', '3'],
      ...setsOf('budget.evaluations=900'),
    ]);
    expect(told(branched).code).toBe(0);
    const branch = String(last(branched).runId);
    expect(last(branched)).toMatchObject({ kind: 'result' });
    expect(Number(last(branched).evaluations)).toBeGreaterThanOrEqual(900);
    const diff = last(await whetstone(['runs', 'diff', id, branch]));
    expect(diff).toMatchObject({
      a: id,
      b: branch,
      config: [{ path: 'budget.evaluations', a: 500, b: 900 }],
      facts: [],
    });
    const store = await openStore(join(task.folder, 'home'));
    const first = (run: string) =>
      store.events(run, { kinds: ['step'], limit: 3 }).map(({ event }) => event);
    expect(first(branch)).toEqual(first(id));
    store.close();

    const waiting = String(
      last(await whetstone(['runs', 'branch', id, '--step', '0', '--no-run'])).runId,
    );
    const shown = execFileSync(process.execPath, [built, 'runs', 'diff', id, waiting], {
      encoding: 'utf8',
      env: { ...process.env, WHETSTONE_HOME: join(task.folder, 'home'), COLUMNS: '160' },
    });
    expect(shown).toMatch(/^prompt +"[^"]+" +none yet: paused$/m);
    expect(shown).toMatch(/^sealed test +\d[^\n]*? {2,}not measured$/m);

    const refused = async (...args: string[]) =>
      told(await whetstone(['runs', 'branch', id, ...args]));
    expect(await refused(...setsOf('reward=accuracy'))).toEqual({
      code: 2,
      err: expect.stringMatching(/reward: the steps of run .* were made with "piecewise"/),
    });
    expect(await refused(...setsOf('method.batchSize=4'))).toEqual({
      code: 2,
      err: expect.stringMatching(/no state of random was kept/),
    });
    expect(await refused('--step', '99', ...setsOf('budget.evaluations=900'))).toEqual({
      code: 2,
      err: expect.stringMatching(/has the steps 1 to \d+/),
    });
    const anew = await whetstone([
      'runs',
      'branch',
      id,
      '--step',
      '0',
      ...setsOf('reward=accuracy'),
    ]);
    expect(last(anew)).toMatchObject({ kind: 'result' });

    expect(told(await whetstone(['runs', 'delete', branch]))).toMatchObject({ code: 2 });
    expect(last(await whetstone(['runs', 'delete', branch, '--yes']))).toMatchObject({
      deleted: true,
    });
    expect((await whetstone(['runs', 'show', branch])).code).toBe(1);
    const database = (await sqliteDriver()).open(join(task.folder, 'home', 'runs.sqlite'));
    for (const table of ['events', 'journal', 'prompts', 'checkpoints']) {
      const { n } = database
        .prepare(`SELECT count(*) AS n FROM ${table} WHERE run = ?`)
        .get(branch) as { n: number };
      expect(n, table).toBe(0);
    }
    database.close();
  }, 300_000);
});

describe('a store of an older version', () => {
  it('is migrated with all that refers to its runs; its runs are refused with a sentence', async () => {
    const folder = join(task.folder, 'old');
    const made = await openStore(folder);
    made.close();
    await rm(join(folder, 'runs.sqlite'));
    const path = join(folder, 'runs.sqlite');
    const database = (await sqliteDriver()).open(path);
    database.exec('PRAGMA foreign_keys = OFF');
    migrate(database, path, 2);
    database.exec(`
      INSERT INTO runs VALUES ('20250101-000000-abcd', 'random', 'interrupted', '{"folder": "."}', 1,
        '{"whetstone": "0.1.0"}', '{}', 1, 2, 3, 'host', 4, NULL, NULL);
      INSERT INTO events VALUES ('20250101-000000-abcd', 1, 1, 'warning', '{"kind":"warning","message":"m"}');
      INSERT INTO prompts VALUES ('20250101-000000-abcd', 'p', '[1]', 0.5, '{}', 1);
      INSERT INTO comparisons VALUES ('c', 'q', '{}', '{}', 1);
      INSERT INTO cells VALUES ('c', 'random', 0, 'done', '20250101-000000-abcd', NULL, NULL);`);
    database.close();
    const store = await openStore(folder);
    const run = store.getRun('last');
    expect(run).toMatchObject({ state: 'interrupted', canResume: false, spentSeconds: 0 });
    expect(store.events(run.id)).toHaveLength(1);
    expect(store.prompts(run.id)).toHaveLength(1);
    expect(store.comparisons.cells('c')).toMatchObject([{ run: run.id }]);
    expect(store.comparisonOf(run.id)).toBe('c');
    store.close();
    const env = { WHETSTONE_HOME: folder };
    const resumed = await whetstoneIn(task.folder, ['runs', 'resume', run.id], { env });
    expect(told(resumed)).toEqual({
      code: 1,
      err: expect.stringMatching(/kept no journal, it cannot be resumed; begin anew/),
    });
    const deleted = await whetstoneIn(task.folder, ['runs', 'delete', run.id, '--yes'], { env });
    expect(deleted.code).toBe(0);
    const after = await openStore(folder);
    expect(after.events(run.id)).toEqual([]);
    expect(after.comparisons.cells('c')).toMatchObject([{ method: 'random' }]);
    after.close();
  }, 120_000);
});

describe('models behind an API', () => {
  let server: ProviderServer;
  beforeAll(async () => {
    server = await startChatServer(({ model, messages }) => {
      if (model === 'writer') return { text: '```\nSolve it carefully: times first.\n```' };
      const asked = messages.at(-1)!.content;
      return { text: `= ${asked.length}` };
    });
  });
  afterAll(() => server.close());

  const timeless = (line: Line) => {
    const { seconds, runId, ...rest } = line as unknown as Record<string, unknown>;
    return rest;
  };

  /** Sums to be done by models of the server, and how they are searched. */
  const writeConfig = (name: string, search: object) =>
    writeSums(task.folder, server, {
      name,
      config: { ...search, budget: { evaluations: 200, minutes: 600 } },
    });

  it('are paid once: what was answered before the kill is not asked again, and counts', async () => {
    await writeConfig('text.yaml', {
      method: { name: 'reflect', prompts: ['Solve the problem.'] },
    });
    const whole = await whetstone(['optimize', 'text.yaml']);
    expect(whole.code).toBe(0);
    const calls = server.asked.length;
    let id = '';
    const cut = await whetstoneIn(task.folder, ['optimize', 'text.yaml'], {
      onLine: (line, child) => {
        if (line.kind === 'start') id = String(line.runId);
        // In the middle of a batch of answers.
        if (server.asked.length > calls + 0.6 * calls) child.kill('SIGKILL');
      },
    });
    expect(cut.code).toBeNull();
    const resumed = await whetstone(['runs', 'resume', id]);
    expect(`${resumed.code} ${resumed.err}`).toMatch(/^0 /);
    expect(timeless(last(resumed))).toEqual(timeless(last(whole)));
    // What was under way when it was killed was sent, and nobody read the answer.
    expect(server.asked.length - 2 * calls).toBeLessThanOrEqual(32);
  }, 240_000);

  it('are paid once by a comparison, too', async () => {
    await writeConfig('grid.yaml', {
      methods: { reflect: { prompts: ['Solve the problem.'] } },
    });
    const args = ['compare', 'grid.yaml', '--methods', 'manual,reflect', '--seeds', '1'];
    const compareIn = (home: string, most = Number.POSITIVE_INFINITY) =>
      whetstoneIn(task.folder, args, {
        env: { WHETSTONE_HOME: join(task.folder, home) },
        onLine: (_, child) => {
          if (server.asked.length > most) child.kill('SIGKILL');
        },
      });
    const before = server.asked.length;
    const whole = await compareIn('whole');
    expect(`${whole.code} ${whole.err}`).toMatch(/^0 /);
    const calls = server.asked.length - before;
    const begun = server.asked.length;
    let kills = 0;
    for (const share of [0.3, 0.5, 0.7, 0.9]) {
      const cut = await compareIn('cut', begun + share * calls);
      if (cut.code === null) kills++;
    }
    expect(kills).toBeGreaterThan(1);
    const ended = await compareIn('cut');
    expect(`${ended.code} ${ended.err}`).toMatch(/^0 /);
    const rowsOf = (line: Line) => (line.rows as Line[]).map(timeless);
    expect(rowsOf(last(ended))).toEqual(rowsOf(last(whole)));
    // What was under way at each kill was sent, and nobody read the answer.
    expect(server.asked.length - begun - calls).toBeLessThanOrEqual(32 * kills);
  }, 240_000);
});
