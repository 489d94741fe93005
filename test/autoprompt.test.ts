/** The AutoPrompt loop on a tiny real checkpoint. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { autoprompt } from '../src/methods/autoprompt.ts';
import type { MethodContext, StepReport } from '../src/methods/index.ts';
import { labelWordTest, triggerTokens } from '../src/methods/trigger-candidates.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { parseTemplate, type Task } from '../src/tasks/index.ts';
import { maskedModel, spacedModel, tinyContext, tinyTask, wordsOf } from './tiny-context.ts';
import { tinyModels } from './tiny-models.ts';

const models = tinyModels();
let lm: LanguageModel;
let task: Task;

beforeAll(async () => {
  lm = await spacedModel(models, 'llama');
  task = tinyTask(lm, { template: '{input} {prompt}' });
});
afterAll(() => models.close());

const defaults = { promptTokens: 2, searchWidth: 6, patience: 3 };

async function search(options: object, { evaluations = 1200, seed = 1, on = task, by = lm } = {}) {
  const context = tinyContext(by, on, { evaluations, seed });
  const reports: StepReport[] = [];
  const parsed = autoprompt.options.parse({ ...defaults, ...options });
  for await (const report of autoprompt.run(context, parsed)) reports.push(report);
  await context.environment.close();
  return { context, reports, best: context.pool.best! };
}

/** Rewards of all triggers of two tokens. */
async function everyReward(context: MethodContext): Promise<number[]> {
  const tokens = triggerTokens(context.environment, { banLabelWords: true });
  const triggers = tokens
    .at(0)
    .flatMap((a) => tokens.at(1).flatMap((b) => tokens.read([a, b]) ?? []));
  const scores = await context.environment.step(triggers);
  await context.environment.close();
  return scores.map(({ reward }) => reward).sort((a, b) => b - a);
}

/** Expected best reward of random draws from rewards in descending order. */
function bestOfRandom(rewards: readonly number[], draws: number): number {
  const noneAbove = (i: number) => (1 - i / rewards.length) ** draws;
  return rewards.reduce((sum, reward, i) => sum + reward * (noneAbove(i) - noneAbove(i + 1)), 0);
}

describe.each(['one', 'all'])('positions %s', (positions) => {
  it('finds better triggers than as many random ones would be', async () => {
    const all = await everyReward(tinyContext(lm, task, { evaluations: 1 }));
    let [found, random] = [0, 0];
    for (const seed of [1, 2, 3]) {
      const options = { positions, searchWidth: 12 };
      const { best, context } = await search(options, { evaluations: 1100, seed });
      found += best.reward;
      random += bestOfRandom(all, context.budget.evaluations / task.train.length);
    }
    expect(all).toHaveLength(47 ** 2);
    expect(found).toBeGreaterThan(random);
  });

  it('gives the same from the same seed, something else from another', async () => {
    const texts = async (seed: number) => {
      const { reports } = await search({ positions }, { evaluations: 300, seed });
      return reports.flatMap(({ tried }) => tried.map(({ prompt }) => prompt.text));
    };
    expect(await texts(3)).toEqual(await texts(3));
    expect(await texts(4)).not.toEqual(await texts(3));
  });
});

it.each([1, 3])('counts a gradient at %i words as three evaluations each', async (points) => {
  const { context, reports } = await search({ gradientPoints: points }, { evaluations: 300 });
  const gradients = reports.filter(({ quantities }) => quantities?.loss !== undefined).length;
  expect(gradients).toBeGreaterThan(0);
  const { environment, budget } = context;
  expect(budget.evaluations).toBe(environment.evaluations + 3 * 11 * points * gradients);
});

it('ranks words better by the gradient at several words than by that at one', async () => {
  const correlation = async (gradientPoints: number) => {
    const options = { gradientPoints, searchWidth: 47, promptTokens: 3, patience: 1 };
    const { reports } = await search(options, { evaluations: 40_000 });
    const all = reports.flatMap(({ quantities }) => quantities?.rankCorrelation ?? []);
    return all.reduce((sum, value) => sum + value, 0) / all.length;
  };
  expect(await correlation(8)).toBeGreaterThan((await correlation(1)) + 0.05);
});

it('keeps a trigger only if it is better, and starts afresh when patience is out', async () => {
  const { reports } = await search({ patience: 2 });
  let reward = Number.NEGATIVE_INFINITY;
  let stale = 0;
  let restarts = 0;
  for (const { quantities, tried } of reports) {
    if (quantities!.restarts! > restarts) {
      expect(stale).toBe(2);
      restarts = quantities!.restarts!;
    }
    if (quantities!.loss === undefined) {
      reward = Math.max(...tried.map(({ score }) => score.reward));
      stale = 0;
      continue;
    }
    const isBetter = quantities!.accepted === 1;
    if (isBetter) expect(quantities!.currentReward).toBeGreaterThan(reward);
    else expect(quantities!.currentReward).toBe(reward);
    reward = quantities!.currentReward!;
    stale = isBetter ? 0 : stale + 1;
  }
  expect(restarts).toBeGreaterThan(0);
});

it('proposes nothing twice, changes one slot with positions one, and stays readable', async () => {
  const { reports, context } = await search({ promptTokens: 3 });
  const steps = reports.filter(({ quantities }) => quantities?.loss !== undefined);
  const texts = steps.flatMap(({ tried }) => tried.map(({ prompt }) => prompt.text));
  expect(new Set(texts).size).toBe(texts.length);
  for (const { tried } of steps) {
    const ids = tried.map(({ prompt }) => prompt.ids!);
    const changing = [0, 1, 2].filter((slot) => new Set(ids.map((row) => row[slot])).size > 1);
    expect(changing.length).toBeLessThanOrEqual(1);
    for (const { prompt } of tried) {
      expect(context.environment.layout.prompt(prompt.text)).toEqual(prompt.ids);
    }
  }
});

it('changes as many slots as it is told to with positions all', async () => {
  const options = { positions: 'all', promptTokens: 4, replacements: 3, patience: 1000 };
  const { reports } = await search(options, { evaluations: 600 });
  let current = best(reports[0]!);
  for (const report of reports.slice(1)) {
    for (const { prompt } of report.tried) {
      const changed = prompt.ids!.filter((id, slot) => id !== current.ids![slot]).length;
      expect(changed).toBeLessThanOrEqual(3);
    }
    if (report.quantities!.accepted === 1) current = best(report);
  }
  expect(reports.length).toBeGreaterThan(3);

  function best({ tried }: StepReport) {
    return [...tried].sort((a, b) => b.score.reward - a.score.reward)[0]!.prompt;
  }
});

it('begins at a text, with random words before it when it is short', async () => {
  const text = wordsOf(lm).slice(20, 22).join(' ');
  const { reports } = await search({ start: text, promptTokens: 4 }, { evaluations: 60 });
  const { prompt } = reports[0]!.tried[0]!;
  expect(prompt.text.endsWith(` ${text}`)).toBe(true);
  expect(prompt.ids).toHaveLength(4);
});

it('compares on the same minibatch when the train split is larger than a step', async () => {
  const { reports } = await search({ examplesPerStep: 4, patience: 1000 });
  const steps = reports.filter(({ quantities }) => quantities?.loss !== undefined);
  const seen = new Set<string>();
  for (const { tried } of steps) {
    const [first, ...rest] = tried.map(({ score }) => score.examples.join());
    expect(first!.split(',').length).toBeLessThan(11);
    for (const examples of rest) expect(examples).toBe(first);
    seen.add(first!);
  }
  expect(seen.size).toBeGreaterThan(1);
});

it('scores human prompts on the examples of its first step', async () => {
  const { context } = await search({ start: 'human', examplesPerStep: 4 }, { evaluations: 1 });
  const seen = context.pool.top(100).map(({ evaluations }) => evaluations);
  expect(seen.length).toBeGreaterThan(1);
  expect(Math.max(...seen)).toBeLessThanOrEqual(4);
});

it('works where the prompt comes first, written without a space before it', async () => {
  const on = { ...task, template: parseTemplate('{prompt} {input}') };
  const { reports, context } = await search({}, { on, evaluations: 600 });
  for (const { tried } of reports) {
    for (const { prompt } of tried) {
      expect(prompt.text.startsWith(' ')).toBe(false);
      expect(context.environment.layout.prompt(prompt.text)).toEqual(prompt.ids);
    }
  }
  const first = Math.max(...reports[0]!.tried.map(({ score }) => score.reward));
  expect(context.pool.best!.reward).toBeGreaterThan(first);
});

it('works with a masked LM, whose words come without spaces', async () => {
  const by = await maskedModel(models);
  const on = tinyTask(by, { template: '{input} {prompt} {mask} w3' });
  const { reports, context } = await search({ promptTokens: 3 }, { by, on });
  const [start, ...steps] = reports;
  expect(start!.tried[0]!.prompt.text).toMatch(/^w\d+ w\d+ w\d+$/);
  expect(steps.some(({ quantities }) => quantities!.accepted === 1)).toBe(true);
  const first = Math.max(...start!.tried.map(({ score }) => score.reward));
  expect(context.pool.best!.reward).toBeGreaterThan(first);
});

describe('label words', () => {
  const classes = ['positive', 'no'].map((word, i) => ({ gold: String(i), word }));

  it.each([
    ['positive', true],
    [' Positively', true],
    ['No.', true],
    ['not', false],
    ['posit', false],
    ['great', false],
  ])('%s is banned: %s', (text, isBanned) => {
    expect(labelWordTest({ ...task, classes })(text)).toBe(isBanned);
  });

  it('stand in no trigger, unless that is allowed', async () => {
    const words = wordsOf(lm);
    const { environment } = tinyContext(lm, task, { evaluations: 1 });
    const texts = (banLabelWords: boolean) =>
      triggerTokens(environment, { banLabelWords })
        .at(1)
        .map((id) => lm.tokenizer.tokenText(id).trim());
    expect(texts(true)).not.toContain(words[0]);
    expect(texts(false)).toContain(words[0]);
    await environment.close();
  });
});
