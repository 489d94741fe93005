/** The example of docs/add-a-method.md is what the page shows, and it works from end to end. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hillClimber } from '../examples/hill-climber.ts';
import type { RunEvent } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
let store: RunStore;
beforeAll(async () => {
  task = await tinyTask({ examples: 12 });
  store = await openStore();
});
afterAll(async () => {
  store.close();
  await task.remove();
});

async function run(...set: string[]) {
  const events: RunEvent[] = [];
  const loaded = await task.load('method.name=hill-climber', ...set);
  const onEvent = (event: RunEvent) => void events.push(event);
  const methods = { 'hill-climber': hillClimber };
  const result = await optimize(loaded, { store, onEvent, methods });
  const steps = events.filter((event) => event.kind === 'step');
  return { result, steps };
}

it('is the code on the page', async () => {
  const page = await readFile(join(packageRoot(), 'docs', 'add-a-method.md'), 'utf8');
  const code = await readFile(join(packageRoot(), 'examples', 'hill-climber.ts'), 'utf8');
  expect(page.split('```ts\n')[1]?.split('```')[0]).toBe(code);
});

it('climbs, and its result is recorded like any other', async () => {
  const { result, steps } = await run('budget.evaluations=1500');
  expect(steps.at(-1)!.bestReward).toBeGreaterThan(steps[0]!.bestReward);
  expect(result).toMatchObject({ method: 'hill-climber', kindOfResult: 'text' });
  expect(result.prompt.split(' ')).toHaveLength(5);
  expect(store.listRuns({ limit: 1 })[0]).toMatchObject({ method: 'hill-climber', state: 'done' });
});

it('is checked like the built-in ones', async () => {
  await expect(run('method.batch=2')).rejects.toThrow(
    /options of hill-climber are promptTokens, batchSize/,
  );
  await expect(
    task.load('method.name=hill-climbr').then((loaded) => optimize(loaded, { store })),
  ).rejects.toThrow(/there is no method "hill-climbr", known are .*evolution/);
});
