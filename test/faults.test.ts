/**
 * Two hundred points at which the disk is full or breaks: each is one write, fsync or rename of a run,
 * of SQLite as of Node, that fails. The run ends with one sentence, and resumed it ends as it would have.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { last, whetstoneIn } from './support/whetstone-process.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const POINTS = 200;
const support = (name: string) => fileURLToPath(new URL(`./support/${name}`, import.meta.url));
const canCompile =
  process.platform === 'linux' && spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0;

interface Point {
  readonly at: number;
  readonly error?: string;
  readonly isTyped: boolean;
  readonly code?: string;
  readonly wasResumed: boolean;
  readonly isSame: boolean;
}

const set = [
  'method.name=soft-prompt',
  'method.virtualTokens=1',
  'method.learningRate=0.03',
  'method.steps=16',
  'method.restarts=1',
  'budget.minutes=600',
  'budget.evaluations=700',
];

/** `node:sqlite` does not tell what stands behind an I/O error. */
const full = process.getBuiltinModule('node:sqlite') ? /disk (is full|failed)/ : /disk is full/;

describe.skipIf(!canCompile)('a disk that fails (needs Linux and a C compiler)', () => {
  let task: TinyTask;
  let env: Record<string, string>;
  beforeAll(async () => {
    task = await tinyTask({ examples: 8 });
    const library = join(task.folder, 'faults.so');
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, support('faults.c'), '-ldl']);
    const control = join(task.folder, 'control');
    writeFileSync(control, new Int32Array(4));
    const root = join(task.folder, 'home');
    env = { LD_PRELOAD: library, FAULT_CONTROL: control, FAULT_ROOT: root };
  });
  afterAll(() => task.remove());

  it('ends with a typed error and is resumed to the same result, at 200 points', async () => {
    const args = [
      '--import',
      'tsx',
      support('fault-points.ts'),
      task.folder,
      String(POINTS),
      ...set,
    ];
    const home = join(task.folder, 'home');
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env, WHETSTONE_HOME: home },
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(`${code} ${err}`).toMatch(/^0 /);
    const points = out
      .trim()
      .split('\n')
      .map((line): Point => JSON.parse(line));
    expect(points).toHaveLength(POINTS);
    expect(points.filter(({ isSame }) => !isSame)).toEqual([]);
    expect(points.filter(({ isTyped }) => !isTyped)).toEqual([]);
    const failed = points.filter(({ error }) => error !== undefined);
    // A write of the log that can be done again harms nothing; most do harm.
    expect(failed.length).toBeGreaterThan(POINTS / 2);
    expect(failed.filter(({ wasResumed }) => wasResumed).length).toBeGreaterThan(POINTS / 4);
    for (const { error, code: name } of failed) {
      expect(name).toBe('store');
      expect(error).not.toMatch(/\n|internal/);
    }
  }, 1_200_000);

  it('says so to those who read, where there is no room for the index of the log', async () => {
    rmSync(join(task.folder, 'home', 'runs.sqlite-shm'), { force: true });
    writeFileSync(env.FAULT_CONTROL!, Int32Array.of(0, 1, 28, 1));
    const ended = await whetstoneIn(task.folder, ['runs', 'list'], { env });
    expect({ code: ended.code, line: last(ended) }).toMatchObject({
      code: 1,
      line: { kind: 'error', code: 'store', message: expect.stringMatching(full) },
    });
  }, 120_000);

  it.each([12, 24])(
    'says so while a store is made, at write %i',
    async (at) => {
      writeFileSync(env.FAULT_CONTROL!, Int32Array.of(0, at, 28, 1));
      const own = { ...env, WHETSTONE_HOME: join(task.folder, 'home', `new-${at}`) };
      const ended = await whetstoneIn(task.folder, ['runs', 'list'], { env: own });
      expect({ code: ended.code, line: last(ended) }).toMatchObject({
        code: 1,
        line: { kind: 'error', code: 'store', message: expect.stringMatching(/disk is full/) },
      });
    },
    120_000,
  );

  it('says so on the command line, with exit code 1', async () => {
    const args = ['optimize', 'tiny.yaml', ...set.flatMap((one) => ['--set', one])];
    writeFileSync(env.FAULT_CONTROL!, Int32Array.of(0, 40, 28, 1));
    const ended = await whetstoneIn(task.folder, args, { env });
    expect({ ...ended, line: last(ended) }).toMatchObject({
      code: 1,
      line: { kind: 'error', code: 'store', message: expect.stringMatching(/disk is full/) },
    });
    const resumed = await whetstoneIn(task.folder, ['runs', 'resume', 'last']);
    expect({ code: resumed.code, line: last(resumed) }).toMatchObject({
      code: 0,
      line: { kind: 'result' },
    });
  }, 120_000);
});
