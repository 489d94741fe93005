/** Thresholds and JUnit on the command line: what CI systems rely on. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask({ examples: 20 });
});
afterAll(() => task?.remove());

function whetstone(...args: string[]) {
  return spawnSync(process.execPath, [built, ...args], { cwd: task.folder, encoding: 'utf8' });
}
const evaluate = (...args: string[]) =>
  whetstone('evaluate', 'tiny.yaml', '--prompt', 'it was', ...args);
const lastOf = (out: string) => JSON.parse(out.trim().split('\n').at(-1)!);

it('exit code 3 and one sentence where a threshold is not reached', () => {
  const ran = evaluate('--threshold', '1', '--json');
  expect(ran.status).toBe(3);
  expect(ran.stderr).toMatch(
    /^whetstone: the score [\d.]+% does not reach the threshold 100\.0% \(.*, 20 examples\)\n$/,
  );
  expect(lastOf(ran.stdout)).toMatchObject({ kind: 'result', isReached: false });
  const low = evaluate('--threshold', '0', '--threshold-low', '0.99');
  expect(low.status).toBe(3);
  expect(low.stderr).toContain("the lower end of the score's interval");
});

it('exit code 0 where it is, and a file for the CI system', async () => {
  const ran = evaluate('--threshold', '0', '--junit', 'reports/whetstone.xml', '--json');
  expect([ran.status, ran.stderr]).toEqual([0, '']);
  const { score, isReached } = lastOf(ran.stdout);
  expect(isReached).toBe(true);
  const xml = await readFile(join(task.folder, 'reports', 'whetstone.xml'), 'utf8');
  expect(xml.match(/<testcase /g)).toHaveLength(21);
  expect(xml.match(/<failure /g)?.length ?? 0).toBe(Math.round(20 * (1 - score)));
  expect(await readdir(join(task.folder, 'reports'))).toEqual(['whetstone.xml']);
});

it('a file that cannot be written, a share that is none', async () => {
  await mkdir(join(task.folder, 'folder'));
  const ran = evaluate('--junit', 'folder');
  expect(ran.status).toBe(1);
  expect(ran.stderr).toMatch(/^whetstone: --junit folder: cannot be written \(E[A-Z]+\)\n$/);
  const wrong = evaluate('--threshold', '80');
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toContain('as in 0.8; see "whetstone evaluate --help"');
});

it('optimize holds the test score against it', async () => {
  const ran = whetstone('optimize', 'tiny.yaml', '--set', 'method.name=random', '--set', 'budget.evaluations=500', '--threshold', '1', '--junit', 'run.xml', '--json'); // biome-ignore format: one command
  const xml = await readFile(join(task.folder, 'run.xml'), 'utf8');
  expect(xml).toMatch(/<testsuite name="[^"]*\.random" tests="2" failures="1" errors="0" /);
  expect(ran.status).toBe(3);
  expect(ran.stderr).toContain('does not reach the threshold 100.0%');
  expect(lastOf(ran.stdout)).toMatchObject({ kind: 'result', method: 'random' });
});

it('compare holds every method against it, a suite for each', async () => {
  const some = ['compare', 'tiny.yaml', '--methods', 'random,manual', '--seeds', '2', '--json']; // biome-ignore format: one command
  const ran = whetstone(...some, '--threshold', '1', '--junit', 'cells.xml');
  expect(ran.status).toBe(3);
  for (const method of ['random', 'manual']) expect(ran.stderr).toContain(`whetstone: ${method}: the score `); // biome-ignore format: one line
  const { kind, rows } = lastOf(ran.stdout);
  expect([kind, rows.length]).toEqual(['result', 2]);
  const xml = await readFile(join(task.folder, 'cells.xml'), 'utf8');
  expect(xml.match(/<testsuite name="[^"]*\.(random|manual)" tests="3" failures="1" errors="0" /g)).toHaveLength(2); // biome-ignore format: one line
  const again = whetstone(...some, '--threshold', '0', '--junit', 'cells.xml');
  expect([again.status, again.stderr]).toEqual([0, '']);
});

it('says before the work that a file cannot be written', async () => {
  await mkdir(join(task.folder, 'taken'), { recursive: true });
  const ran = whetstone('optimize', 'tiny.yaml', '--junit', 'taken', '--json');
  expect([ran.status, ran.stdout.match(/\n/g)]).toEqual([1, ['\n']]);
  expect(lastOf(ran.stdout)).toMatchObject({ kind: 'error', code: 'store' });
  expect(ran.stderr).toMatch(/^whetstone: --junit taken: cannot be written \(EISDIR\)\n$/);
});
