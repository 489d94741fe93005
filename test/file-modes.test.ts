/** On POSIX what lies in WHETSTONE_HOME is its owner's alone; what is exported is as the umask says. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportRun } from '../src/exports/export-run.ts';
import { compare, comparisonFolder } from '../src/runs/compare.ts';
import { planOf } from '../src/runs/compare-plan.ts';
import type { OptimizeResult } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { writeReport } from '../src/runs/report/report.ts';
import { openStore } from '../src/runs/store.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

/** Modes of a folder and all in it, by path. */
async function modesOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = [folder, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  return Object.fromEntries(
    await Promise.all(
      paths.map(async (path) => [relative(folder, path), ((await stat(path)).mode & 0o777).toString(8)] as const), // biome-ignore format: one line
    ),
  );
}

describe.skipIf(process.platform === 'win32')('file modes (needs POSIX)', () => {
  let task: TinyTask;
  let result: OptimizeResult;
  const before = process.umask(0o022);
  // Models have their place in the home unless that says otherwise.
  const models = process.env.WHETSTONE_MODELS;

  beforeAll(async () => {
    delete process.env.WHETSTONE_MODELS;
    task = await tinyTask();
    const store = await openStore();
    result = await optimize(await task.load('method.name=soft-prompt', 'budget.evaluations=600'), { store }); // biome-ignore format: one call
    const loaded = await task.load('budget.evaluations=600');
    const compared = await compare(planOf(loaded, { methods: ['random'], seeds: 1 }), { store });
    await writeReport(compared, store, comparisonFolder(store, compared.id), { isPrivate: true });
    store.close();
  });
  afterAll(async () => {
    process.umask(before);
    if (models !== undefined) process.env.WHETSTONE_MODELS = models;
    await task?.remove();
  });

  it('are 0700 and 0600 in the home: store, prepared weights, files of runs, reports', async () => {
    const modes = await modesOf(join(task.folder, 'home'));
    const paths = Object.keys(modes);
    for (const part of ['runs.sqlite', 'prepared', `runs/${result.runId}/peft`, 'comparisons', 'report.html']) // biome-ignore format: one list
      expect(
        paths.filter((path) => path.includes(part)),
        part,
      ).not.toEqual([]);
    expect(Object.entries(modes).filter(([, mode]) => !['700', '600'].includes(mode))).toEqual([]);
  });

  it('are the umask’s where somebody asks for an export', async () => {
    const store = await openStore();
    const out = join(task.folder, 'exported');
    await exportRun(store.getRun(result.runId), { format: 'peft', out, store });
    store.close();
    const modes = await modesOf(out);
    expect(Object.keys(modes).length).toBeGreaterThan(2);
    expect([...new Set(Object.values(modes))].sort()).toEqual(['644', '755']);
    await rm(out, { recursive: true });
  });
});
