/** Exports: every format written, read again by its own reader, scored again; targets that fail. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OptimizeResult } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

let task: TinyTask;
let text: OptimizeResult;
beforeAll(async () => {
  task = await tinyTask({ examples: 30 });
  const store = await openStore();
  text = await optimize(await task.load('method.name=random', 'budget.evaluations=2000'), { store });
  store.close();
});
afterAll(() => task.remove());

function whetstone(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [built, ...args], { cwd: task.folder, encoding: 'utf8' });
}

describe('a text', () => {
  it.each(['text', 'json', 'markdown'])('%s', async (format) => {
    const ran = whetstone('export', text.runId, '--to', format, '--out', `out-${format}`, '--json');
    expect(ran.stderr).toBe('');
    const result = JSON.parse(ran.stdout.trim().split('\n').at(-1)!);
    console.log(result);
    for (const f of result.files) console.log(await readFile(f, 'utf8'));
  });
});
