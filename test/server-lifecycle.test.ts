/** A run that the studio started is paused, goes on, is stopped, branched off, compared and deleted by it. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type * as contract from '../src/server/contract.ts';
import { type TestStudio, testStudio } from './support/studio-server.ts';
import { writeTinyTask } from './support/tiny-task.ts';

let studio: TestStudio;
let yaml: string;
beforeAll(async () => {
  studio = await testStudio();
  const task = await writeTinyTask(studio.folder);
  yaml = readFileSync(task.path, 'utf8').replace(/budget:.*\n/, 'budget: { minutes: 10 }\n');
});
afterAll(() => studio.end());

const detail = (id: string) => studio.get<contract.RunDetail>(`/api/runs/${id}`);

async function until(
  id: string,
  is: (run: contract.RunDetail) => boolean,
): Promise<contract.RunDetail> {
  for (;;) {
    const run = await detail(id);
    if (is(run)) return run;
    await sleep(100);
  }
}

it('goes through its whole life', { timeout: 300_000 }, async () => {
  const { id } = await studio.post<contract.Started>('/api/runs', { yaml });
  await until(id, ({ step }) => (step ?? 0) >= 3);
  expect((await studio.ask(`/api/runs/${id}`, { method: 'DELETE' })).status).toBe(409);
  await studio.post(`/api/runs/${id}/pause`, {});
  const paused = await until(id, ({ state }) => state !== 'running');
  expect(paused).toMatchObject({ state: 'paused', canResume: true });

  await studio.post(`/api/runs/${id}/resume`, {});
  await until(id, ({ step }) => step! > paused.step!);
  await studio.post(`/api/runs/${id}/stop`, {});
  const done = await until(id, ({ state }) => state !== 'running');
  expect(done).toMatchObject({ state: 'done', canResume: false });
  expect((await studio.ask(`/api/runs/${id}/resume`, { method: 'POST', body: {} })).status).toBeGreaterThanOrEqual(400); // biome-ignore format: one line

  const other = await studio.post<contract.Started>(`/api/runs/${id}/branch`, {
    set: ['budget.minutes=9'],
  });
  const branch = await until(other.id, ({ state }) => state === 'running');
  expect(branch.parent).toBe(id);
  const diff = await studio.get<contract.RunDiff>(`/api/runs/${id}/diff/${other.id}`);
  expect(diff.config).toContainEqual({ path: 'budget.minutes', a: 10, b: 9 });
  await studio.post(`/api/runs/${other.id}/stop`, {});
  await until(other.id, ({ state }) => state === 'done');
  expect(await (await studio.ask(`/api/runs/${other.id}`, { method: 'DELETE' })).json()).toEqual({ ok: true }); // biome-ignore format: one line
  expect((await studio.ask(`/api/runs/${other.id}`)).status).toBe(404);
});
