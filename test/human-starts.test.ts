/** Policy gradient that sets out from human prompts. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

const of = (start: string) =>
  searchTiny(
    task,
    'method.name=policy-gradient',
    `method.start=${start}`,
    'method.promptTokens=4',
    'method.batchSize=8',
    'method.adapterWidth=16',
    'budget.evaluations=600',
  );

it('writes before human candidates in its first step, which are no result themselves', async () => {
  const { reports, pool } = await of('human');
  const first = reports[0]!.tried.slice(0, 4).map(({ prompt }) => prompt.text);
  // These two the tiny vocabulary has words for.
  for (const text of first) expect(text).toMatch(/ (It was|The sentiment is)$/);
  const found = pool.top(100).map(({ prompt }) => prompt.text);
  expect(found).not.toContain('It was');
  expect(found.some((text) => text.endsWith('It was'))).toBe(true);
});

it('keeps a fresh prompt in the smallest batch, whatever the archive takes', async () => {
  const found = await searchTiny(
    task,
    'method.name=policy-gradient',
    'method.archiveShare=0.9',
    'method.promptTokens=4',
    'method.batchSize=2',
    'method.adapterWidth=16',
    'budget.evaluations=400',
  );
  expect(found.reports.length).toBeGreaterThan(3);
  for (const { entropy, quantities } of found.reports) {
    expect(entropy).toBeGreaterThan(0);
    expect(quantities!.loss).toSatisfy(Number.isFinite);
  }
});

it('takes a policy that is sure from the start for settled when it is twice as sure', async () => {
  const { reports, events } = await searchTiny(
    task,
    'method.name=policy-gradient',
    'method.restartEntropy=50',
    'method.promptTokens=4',
    'method.batchSize=4',
    'method.adapterWidth=16',
    'budget.evaluations=1500',
  );
  const settled = events.flatMap((event) =>
    event.kind === 'warning' && event.message.includes('has settled') ? [event.message] : [],
  );
  const surer = reports.filter(({ entropy }) => entropy! < reports[0]!.entropy! / 2);
  expect(settled.map((message) => message.split(':')[0])).toEqual(
    surer.map(({ step }) => `step ${step}`),
  );
  expect(surer.length).toBeLessThan(reports.length);
});

it('begins with its own prompts alone where it is told to', async () => {
  const { reports } = await of('policy');
  expect(reports[0]!.tried).toHaveLength(8);
  expect(reports[0]!.tried.some(({ prompt }) => prompt.text.endsWith('It was'))).toBe(false);
});
