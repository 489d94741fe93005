/** Label words and cue words on a tiny real checkpoint. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Environment } from '../src/environment/index.ts';
import { searchCueWords, searchLabelWords } from '../src/methods/index.ts';
import { triggerTokens } from '../src/methods/trigger-candidates.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { loadScorer } from '../src/models/programs.ts';
import { labelWords } from '../src/runs/label-words.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { rewards, type Task } from '../src/tasks/index.ts';
import type { Progress } from '../src/util/progress.ts';
import { createRng } from '../src/util/rng.ts';
import { spacedModel, tinyTask } from './tiny-context.ts';
import { tinyModels } from './tiny-models.ts';
import { tinyTask as tinyFolder } from './tiny-task.ts';

const models = tinyModels();
let lm: LanguageModel;
beforeAll(async () => {
  lm = await spacedModel(models, 'llama');
});
afterAll(() => models.close());

function environmentOf(task: Task, taskLm = lm): Environment {
  return new Environment({
    task,
    taskLm,
    examples: task.train,
    reward: rewards['log-prob'],
    precision: 'float32',
    examplesPerPass: 32,
  });
}

/** A task whose class 1 is where the LM itself gives `yes` more than usual against `no`. */
async function planted(yes: string, no: string): Promise<Task> {
  const plain = tinyTask(lm, { template: '{input} {prompt}', size: 240 });
  const environment = environmentOf(plain);
  const scorer = await loadScorer(lm, 'labels');
  const rows = plain.train.map((_, e) => environment.rendered([], e));
  const logits = await scorer.run(
    rows.map(({ ids }) => ids),
    rows.map(({ answer }) => answer),
    [yes, no].map((word) => lm.tokenizer.encode(` ${word}`)[0]!),
  );
  const gaps = rows.map((_, i) => logits[2 * i]! - logits[2 * i + 1]!);
  const median = [...gaps].sort((a, b) => a - b)[gaps.length >> 1]!;
  await scorer.unload();
  await environment.close();
  const train = plain.train.map((e, i) => ({ ...e, label: gaps[i]! > median ? 1 : 0 }));
  return { ...plain, train };
}

it('finds the words that a task was made of', async () => {
  const task = await planted('cd', 'fb');
  const environment = environmentOf(task);
  const found = await searchLabelWords(environment, environment, { prompt: '', count: 3 });
  expect(found.words[1]!.map(({ word }) => word)).toContain('cd');
  expect(found.words[0]!.map(({ word }) => word)).toContain('fb');
  expect(found.accuracy.train).toBeGreaterThan(0.9);
  await environment.close();
});

it('ranks label words by odds, best first', async () => {
  const environment = environmentOf(await planted('cd', 'fb'));
  const { words } = await searchLabelWords(environment, environment, { prompt: '', count: 10 });
  for (const ranked of words) {
    const scores = ranked.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  }
  // Of two classes, what speaks for one speaks against the other.
  expect(words[0]![0]!.score).toBeGreaterThan(0);
  expect(words[1]!.map(({ word }) => word)).not.toContain(words[0]![0]!.word);
  await environment.close();
});

it('finds cue words that move the answer towards their class', async () => {
  const lm = await spacedModel(models, 'gpt2');
  const task = tinyTask(lm, { template: '{input} {prompt}' });
  const environment = environmentOf(task, lm);
  const ids = triggerTokens(environment, { banLabelWords: true }).at(1);
  const rng = createRng(1);
  const cues = await searchCueWords(environment, { prompt: 'ee', count: 5, points: 8, rng });
  /** Mean probability of each class over the examples and some words in the slot. */
  const shares = async (words: readonly string[]) => {
    const scores = await environment.step(words.map((text) => ({ text })));
    const first = scores.flatMap((score) =>
      score.examples.map(
        (_, i) => 1 / (1 + Math.exp(score.scores[2 * i + 1]! - score.scores[2 * i]!)),
      ),
    );
    const mean = first.reduce((sum, p) => sum + p, 0) / first.length;
    return [mean, 1 - mean];
  };
  const usual = await shares(ids.map((id) => lm.tokenizer.tokenText(id).trim()));
  for (const [label, words] of cues.entries()) {
    const cued = await shares(words.map(({ word }) => word));
    expect(cued[label]!).toBeGreaterThan(usual[label]!);
  }
  await environment.close();
});

it('tells how far it has come, examples by examples, with the time that is left', async () => {
  const folder = await tinyFolder();
  const loaded = await folder.load();
  const told: Progress[] = [];
  const found = await labelWords(loaded, {
    prompt: 'it was',
    top: 2,
    onProgress: (progress) => told.push(progress),
  });
  expect(found.classes).toHaveLength(2);
  for (const phase of ['reading examples', 'looking for cue words']) {
    const of = told.filter((progress) => progress.phase === phase);
    const { total } = of[0]!;
    expect(of[0]).toEqual({ phase, done: 0, total, unit: 'examples' });
    expect(of.length).toBeGreaterThan(4);
    for (const { secondsLeft } of of.slice(1)) expect(secondsLeft).toBeGreaterThanOrEqual(0);
    expect(of.at(-1)).toMatchObject({ done: total, secondsLeft: 0 });
  }
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(labelWords(loaded, { prompt: 'it was', top: 2, signal })).rejects.toThrow('enough');
  await folder.remove();
});

it('stands in for the given words where a run asks for it, from train examples alone', async () => {
  const folder = await tinyFolder();
  const search = ['labelWords=search', 'method.name=random', 'method.batchSize=4'];
  const loaded = await folder.load(...search, 'budget.evaluations=200');
  const bench = await Workbench.open(loaded, {});
  const words = bench.task.classes.map(({ word }) => word);
  expect(bench.task.test.opened).toBe(0);
  await bench.close();
  expect(new Set(words).size).toBe(2);
  expect(words).not.toEqual(['negative', 'positive']);

  const store = await openStore();
  const warnings: string[] = [];
  const { runId } = await optimize(loaded, {
    store,
    onEvent: (event) => {
      if (event.kind === 'warning') warnings.push(event.message);
      if (event.kind === 'step') expect(words).toContain(event.episode!.answer);
    },
  });
  const { config } = store.getRun(runId);
  expect(config).toMatchObject({
    labelWords: 'search',
    task: { labels: { '0': words[0], '1': words[1] } },
  });
  const said = `"${words[0]}" for negative, "${words[1]}" for positive`;
  expect(warnings).toContain(`label words found from the train examples: ${said}`);
  store.close();
  await folder.remove();
});
