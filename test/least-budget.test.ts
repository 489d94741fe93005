/** What a method's first step costs at least: a lower bound, near the truth, known before anything is spent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { humanCandidates, type Method, type MethodName, methods } from '../src/methods/index.ts';
import { methodOf } from '../src/runs/configured-method.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import { loadTask } from '../src/tasks/index.ts';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
let store: RunStore;
beforeAll(async () => {
  // 13 examples: blocks of 8 and 5.
  task = await tinyTask({ examples: 13 });
  store = await openStore();
});
afterAll(async () => {
  store.close();
  await task.remove();
});

async function leastOf(...set: string[]): Promise<number> {
  const { config, folder } = await task.load(...set);
  const { method, methodOptions } = methodOf(config);
  const data = await loadTask(config.task, { baseFolder: folder, seed: config.seed });
  return method.leastEvaluations!(methodOptions, data);
}

const small: Partial<Record<MethodName, readonly string[]>> = {
  manual: ['method.prompts=[it was, very, so]'],
  'few-shot': ['method.draws=8'],
  'soft-q': ['method.adapterWidth=16'],
  'policy-gradient': ['method.adapterWidth=16'],
  autoprompt: ['method.searchWidth=8'],
  'soft-prompt': ['method.learningRate=0.01'],
  'fine-tune': ['method.learningRate=0.01', 'method.prompt=it was'],
};

describe.each(Object.keys(methods) as MethodName[])('%s', (name) => {
  const set = [`method.name=${name}`, ...(small[name] ?? [])];

  it('costs that much for one step, and not twice that', async () => {
    const least = await leastOf(...set);
    expect(least).toBeGreaterThan(1);
    const { evaluations } = await searchTiny(task, ...set, `budget.evaluations=${least}`);
    expect(evaluations).toBeGreaterThanOrEqual(least);
    expect(evaluations).toBeLessThan(2 * least);
  });

  it('is refused with less, and nothing is recorded', async () => {
    const least = await leastOf(...set);
    const attempt = optimize(await task.load(...set, `budget.evaluations=${least - 1}`), { store });
    await expect(attempt).rejects.toThrow(
      new RegExp(`^budget.evaluations: ${least - 1} are too few .* it costs: ${name} ${least};`),
    );
    expect(store.listRuns({ limit: 1 })).toEqual([]);
  });

  it('has a result from its first step, however little time there is', async () => {
    const found = await searchTiny(task, ...set, 'budget.minutes=1e-6');
    expect(found.reports).toHaveLength(1);
    expect(found.pool.best ?? found.tensors[0]).toBeDefined();
  });
});

it('takes the smaller block of a race, human candidates, and a file as one prompt', async () => {
  const { config, folder } = await task.load();
  const data = await loadTask(config.task, { baseFolder: folder, seed: config.seed });
  expect(await leastOf('method.name=manual')).toBe(humanCandidates(data).length * 13);
  expect(await leastOf('method.name=manual', 'method.promptsFile=p.txt')).toBe(13);
  const evolution = ['method.name=evolution', 'method.firstShare=0.1'];
  expect(await leastOf(...evolution)).toBe(32 * 5);
  expect(await leastOf(...evolution, 'method.start=human')).toBe(5);
});

it('counts human prompts that triggers may begin with, where they are more than a step tries', async () => {
  const { config, folder } = await task.load();
  const data = await loadTask(config.task, { baseFolder: folder, seed: config.seed });
  const set = ['method.name=autoprompt', 'method.start=human'];
  // Two of them hold a label word.
  expect(await leastOf(...set, 'method.searchWidth=2')).toBe(
    (humanCandidates(data).length - 2) * 13,
  );
  expect(await leastOf(...set)).toBe(64 * 13);
});

it('counts human prompts that a policy sets out from, of which a small budget takes fewer', async () => {
  const set = ['method.name=policy-gradient', 'method.start=human', 'method.adapterWidth=16'];
  // Two of the human prompts have words in the tiny vocabulary, and cost as much as a step of two.
  set.push('method.promptTokens=4', 'method.batchSize=2');
  const least = await leastOf(...set);
  const found = await searchTiny(task, ...set, `budget.evaluations=${least}`);
  expect(found.reports).toHaveLength(1);
  expect(found.reports[0]!.tried[0]!.prompt.text).toMatch(/ It was$/);
  expect(found.evaluations).toBe(least);
});

it('stands in every method', () => {
  const without = (Object.values(methods) as unknown as Method[])
    .filter(({ leastEvaluations }) => !leastEvaluations)
    .map(({ name }) => name);
  expect(without).toEqual([]);
});
