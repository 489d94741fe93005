/** Soft Q-learning on a tiny real checkpoint: what it reports, its legs, and the way back. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { softQ, type WordTask, wordTask } from '../bench/word-task.ts';
import type { StepReport } from '../src/methods/index.ts';
import { tinyModels } from './tiny-models.ts';

const models = tinyModels();
let task: WordTask;

beforeAll(async () => {
  task = wordTask(await models.open(join('models', 'llama')), { words: 40, examples: 4 });
});
afterAll(async () => {
  await task.environment.close();
  await models.close();
});

async function run(options: object, steps: number) {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const given = { promptTokens: 3, words: 8, adapterWidth: 16, ...options };
  const reports: StepReport[] = [];
  for await (const report of softQ(task, given, { seed: 1, warn })) {
    reports.push(report);
    if (reports.length === steps) break;
  }
  return {
    reports,
    warnings,
    quantity: (name: string) => reports.map((r) => r.quantities![name]!),
  };
}

it.each([
  { adapter: 'mlp' },
  { adapter: 'mlp', bootstrap: false, replay: 0.5, targetRate: 1 },
  { adapter: 'table', prior: 0, replay: 0.5 },
])('%j reports finite quantities', async (options) => {
  const { reports } = await run(options, 4);
  for (const { quantities, entropy } of reports) {
    expect(
      Object.entries({ ...quantities, entropy }).filter(([, x]) => !Number.isFinite(x)),
    ).toEqual([]);
  }
});

it('starts on policy with the soft value of a uniform policy', async () => {
  const { quantity } = await run({ adapter: 'table', prior: 0, topK: 0 }, 1);
  // V = ln A at the start; what came in is r − log π, on average 0 + T ln A.
  expect(quantity('startValue')[0]).toBeCloseTo(Math.log(8), 4);
  expect(quantity('valueGap')[0]).toBeCloseTo(-2 * Math.log(8), 3);
  expect(quantity('qAbsMax')[0]).toBe(0);
  expect(quantity('offPolicy')[0]).toBeCloseTo(0, 5);
  expect(quantity('effectiveShare')[0]).toBeCloseTo(1, 5);
});

it('shows how far truncated sampling is from the policy that learns', async () => {
  const { quantity } = await run({ adapter: 'table', prior: 0, topK: 0, temperature: 0.5 }, 3);
  expect(quantity('offPolicy').at(-1)).toBeGreaterThan(1e-5);
  const replayed = await run({ adapter: 'table', prior: 0, learningRate: 0.3, replay: 0.5 }, 6);
  expect(replayed.quantity('offPolicy').at(-1)).toBeGreaterThan(0.01);
  expect(replayed.quantity('effectiveShare').at(-1)).toBeLessThan(0.999);
});

it('refuses a prior where there is no LM to take it from', async () => {
  await expect(run({ adapter: 'table' }, 1)).rejects.toThrow('set prior to 0');
});

describe('with a learning rate far too high', () => {
  const tooFast = { prior: 0, learningRate: 5 };

  it('warns, falls back with half the rate, and stops falling back', async () => {
    const { quantity, warnings } = await run({ ...tooFast, restores: 2 }, 30);
    expect(quantity('restores').at(-1)).toBe(2);
    expect(quantity('learningRate').at(-1)).toBe(1.25);
    expect(warnings.filter((text) => text.includes('back to the state of step 1 '))).toHaveLength(
      2,
    );
    // The step after the first return sees the values that it began with.
    const back = quantity('guard').indexOf(2);
    expect(quantity('qAbsMax')[back]).toBeGreaterThan(quantity('realisable')[back]!);
    expect(quantity('qAbsMax')[back + 1]).toBeLessThan(0.01);
  });

  it('only warns without restores', async () => {
    const { quantity, warnings } = await run({ ...tooFast, restores: 0 }, 10);
    expect(warnings[0]).toMatch(/^step \d: the largest \|Q\| has grown by/);
    expect(quantity('restores').at(-1)).toBe(0);
    expect(new Set(quantity('learningRate'))).toEqual(new Set([5]));
  });
});
