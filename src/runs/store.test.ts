import { spawn } from 'node:child_process';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../errors.ts';
import type { OptimizeResult, RunEvent } from './events.ts';
import { deleteRun } from './lifecycle.ts';
import { sqliteDriver } from './sqlite.ts';
import { openStore } from './store.ts';

const NEW = {
  method: 'soft-q',
  config: { seed: 7 },
  seed: 7,
  versions: { whetstone: '0' },
  hashes: {},
};
const SCORE = { score: 0.8, interval: [0.7, 0.9] as const, examples: 10 };
const RESULT: OptimizeResult = {
  kind: 'result',
  kindOfResult: 'text',
  method: 'soft-q',
  prompt: 'It was',
  promptTokens: [1, 2],
  train: SCORE,
  validation: SCORE,
  test: SCORE,
  evaluations: 100,
  seconds: 1.5,
  runId: 'x',
};
const warning = (message: string): RunEvent => ({ kind: 'warning', message });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-runs-'));
});

describe('a run in the store', () => {
  it('comes back as it was written, also after closing', async () => {
    let store = await openStore(folder);
    const id = store.createRun(NEW);
    store.appendEvent(id, warning('one'));
    store.appendEvents(id, [warning('two'), warning('three')]);
    store.putPrompt(id, { text: 'b', tokens: [2], reward: 1, scores: { train: SCORE } });
    store.putPrompt(id, { text: 'a', tokens: [1], reward: 2, scores: {} });
    expect(store.getRun(id)).toMatchObject({ ...NEW, state: 'running' });
    store.finishRun(id, { state: 'done', result: RESULT });
    store.close();
    store = await openStore(folder);
    expect(store.getRun(id)).toMatchObject({ ...NEW, state: 'done', result: RESULT });
    expect(store.events(id).map(({ seq, event }) => [seq, event])).toEqual([
      [1, warning('one')],
      [2, warning('two')],
      [3, warning('three')],
    ]);
    expect(store.events(id, { after: 2 })).toHaveLength(1);
    expect(store.prompts(id).map(({ text }) => text)).toEqual(['a', 'b']);
    store.close();
  });

  it('keeps a prompt with U+0000 whole, and refuses such a name', async () => {
    const store = await openStore(folder);
    const id = store.createRun(NEW);
    const texts = ['a\0b', 'a\0c', 'a', '\u0001', '\u00010', '\u00011\0', '\0'];
    for (const text of texts) store.putPrompt(id, { text, tokens: [], scores: {} });
    expect(new Set(store.prompts(id).map(({ text }) => text))).toEqual(new Set(texts));
    expect(() => store.createRun({ ...NEW, method: 'mine\0' })).toThrow(
      /^method\.name: "mine\\u0000" holds the character U\+0000/,
    );
    expect(store.listRuns()).toHaveLength(1);
    store.close();
  });

  it('is found by the start of its id and as the last one', async () => {
    const store = await openStore(folder);
    expect(() => store.getRun('last')).toThrow(/no run yet/);
    const id = store.createRun(NEW);
    expect(store.getRun(id.slice(0, -1)).id).toBe(id);
    expect(store.getRun('last').id).toBe(id);
    expect(() => store.getRun('nonsense')).toThrow(StoreError);
    expect(() => store.getRun('')).toThrow(StoreError);
    store.createRun(NEW);
    expect(() => store.getRun('2')).toThrow(/several begin so/);
    expect(store.listRuns()).toHaveLength(2);
    store.close();
  });

  it('keeps a failure', async () => {
    const store = await openStore(folder);
    const id = store.createRun(NEW);
    store.finishRun(id, { state: 'failed', error: 'it broke' });
    expect(store.getRun(id)).toMatchObject({ state: 'failed', error: 'it broke' });
    store.close();
  });

  it('takes writes from two processes of the store at once', async () => {
    const [a, b] = [await openStore(folder), await openStore(folder)];
    const runs = [a.createRun(NEW), b.createRun(NEW)];
    for (let i = 0; i < 20; i++) {
      a.appendEvent(runs[0]!, warning(`a${i}`));
      b.appendEvent(runs[1]!, warning(`b${i}`));
    }
    expect(a.events(runs[1]!)).toHaveLength(20);
    a.close();
    b.close();
  });
});

describe('trouble', () => {
  it.runIf(process.platform !== 'win32')(
    'is readable by its owner alone (needs POSIX permissions)',
    async () => {
      const inner = join(folder, 'home');
      const store = await openStore(inner);
      store.createRun(NEW);
      expect(statSync(inner).mode & 0o777).toBe(0o700);
      for (const name of ['runs.sqlite', 'runs.sqlite-wal']) {
        expect(statSync(join(inner, name)).mode & 0o777).toBe(0o600);
      }
      store.close();
    },
  );

  it('refuses a newer schema', async () => {
    (await openStore(folder)).close();
    const database = (await sqliteDriver()).open(join(folder, 'runs.sqlite'));
    database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(openStore(folder)).rejects.toThrow(/later version of whetstone \(schema 99/);
  });

  it('refuses a file that is no database', async () => {
    writeFileSync(join(folder, 'runs.sqlite'), 'hello '.repeat(1000));
    await expect(openStore(folder)).rejects.toThrow(/not a store of runs/);
  });

  it('refuses a file where the folder should be', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(openStore(join(folder, 'file'))).rejects.toThrow(StoreError);
  });

  it.skipIf(process.getuid?.() === 0)(
    'says that a folder is read-only (needs a user other than root)',
    async () => {
      chmodSync(folder, 0o500);
      await expect(openStore(folder)).rejects.toThrow(/cannot be written/);
    },
  );

  it('says that the disk is full and goes on when it is not', async () => {
    const store = await openStore(folder, { maxBytes: 200_000 });
    const id = store.createRun(NEW);
    store.appendEvent(id, warning('kept'));
    expect(() => store.appendEvent(id, warning('x'.repeat(1_000_000)))).toThrow(/disk is full/);
    store.appendEvent(id, warning('again'));
    expect(store.events(id).map(({ event }) => event)).toEqual([warning('kept'), warning('again')]);
    store.close();
  });

  it('keeps acknowledged events of a killed process and calls the run interrupted', async () => {
    const code = `
      import { openStore } from ${JSON.stringify(fileURLToPath(new URL('./store.ts', import.meta.url)))};
      const store = await openStore(${JSON.stringify(folder)});
      const id = store.createRun(${JSON.stringify(NEW)});
      for (let i = 1; ; i++) {
        store.appendEvent(id, { kind: 'warning', message: String(i) });
        process.stdout.write(i + '\\n');
      }`;
    for (let kill = 0; kill < 3; kill++) {
      const acknowledged = await killAfter(code, 20 + 7 * kill);
      const store = await openStore(folder);
      const run = store.getRun('last');
      expect(run.state).toBe('interrupted');
      const events = store.events(run.id);
      expect(events.length).toBeGreaterThanOrEqual(acknowledged);
      expect(events.at(-1)?.event).toEqual(warning(String(events.length)));
      store.close();
    }
  });
});

/** Runs the code until it printed `lines` lines, kills it, and returns the last number printed. */
async function killAfter(code: string, lines: number): Promise<number> {
  const args = ['--import', 'tsx', '--input-type=module', '-e', code];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\n').length > lines) child.kill('SIGKILL');
  });
  await new Promise((closed) => child.on('close', closed));
  return Number(text.split('\n').at(-2));
}

describe('what a clock or a hand put into the store', () => {
  const change = async (sql: string, ...values: (string | number)[]) => {
    const database = (await sqliteDriver()).open(join(folder, 'runs.sqlite'));
    database.exec('PRAGMA foreign_keys = OFF');
    database.prepare(sql).run(...values);
    database.close();
  };

  it('a beat from the future by a process id that is taken again holds no run', async () => {
    const store = await openStore(folder);
    const id = store.createRun(NEW);
    // Of a process that lives, and is another one: this one's parent.
    await change('UPDATE runs SET pid = ?, heartbeat = ?', process.ppid, Date.now() + 30_000);
    expect(store.getRun(id).state).toBe('running');
    await change('UPDATE runs SET heartbeat = ?', Date.now() + 1e9);
    expect(store.getRun(id).state).toBe('interrupted');
    store.close();
  });

  it.each(['..', '../victim', '/tmp/victim', '.', 'a/../..'])(
    'a run with the id %s leads to no folder, and deleting it deletes none',
    async (id) => {
      const store = await openStore(join(folder, 'home'));
      const made = store.createRun(NEW);
      store.finishRun(made, { state: 'paused' });
      const victim = join(folder, 'victim');
      writeFileSync(victim, 'mine');
      const database = (await sqliteDriver()).open(store.path);
      database.exec('PRAGMA foreign_keys = OFF');
      database.prepare('UPDATE runs SET id = ?').run(id);
      database.close();
      expect(() => deleteRun(store, id)).toThrow(/is none of whetstone's/);
      expect([statSync(victim).isFile(), statSync(store.path).isFile()]).toEqual([true, true]);
      store.close();
    },
  );
});
