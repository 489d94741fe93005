/** Few-shot on tiny checkpoints: what it shows is never what it is scored on, and it improves. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextSolution } from '../src/methods/index.ts';
import { scoreOnOpenSplits } from '../src/runs/choose.ts';
import { finalistsOf } from '../src/runs/conclude.ts';
import { optimize } from '../src/runs/optimize.ts';
import { planRun } from '../src/runs/plan.ts';
import { openStore } from '../src/runs/store.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

const fewShot = (...set: string[]) => searchTiny(task, 'method.name=few-shot', ...set);

async function onBench<T>(work: (bench: Workbench) => Promise<T>): Promise<T> {
  const bench = await Workbench.open(await task.load(), {});
  try {
    return await work(bench);
  } finally {
    await bench.close();
  }
}

describe('the search', () => {
  it('improves on its first sets', async () => {
    const { reports, pool } = await fewShot('method.draws=8', 'method.batchSize=4');
    const first = reports[0]!.quantities!;
    expect(pool.best!.reward).toBeGreaterThan(first.current!);
    expect(reports.some(({ quantities }) => quantities!.isFresh === 0)).toBe(true);
  });

  it('gives the same run for the same seed', async () => {
    const texts = async (seed: number) => {
      const { reports } = await fewShot(`seed=${seed}`, 'budget.evaluations=600');
      return reports.flatMap(({ tried }) => tried.map(({ prompt }) => prompt.text));
    };
    const first = await texts(1);
    expect(await texts(1)).toEqual(first);
    expect(await texts(2)).not.toEqual(first);
  });

  it('ends within one round of scoring after its budget', async () => {
    const { evaluations } = await fewShot('budget.evaluations=300');
    expect(evaluations).toBeGreaterThanOrEqual(300);
    expect(evaluations).toBeLessThan(300 + 16 * 12);
  });

  it('shows each class equally often, and never more tokens than allowed', async () => {
    const { reports } = await fewShot('method.maxTokens=60', 'budget.evaluations=400');
    for (const { prompt } of reports.flatMap(({ tried }) => tried)) {
      expect(prompt.text.split(' positive').length).toBe(3);
      expect(prompt.text.split(' negative').length).toBe(3);
      expect(prompt.ids!.length).toBeLessThanOrEqual(60);
    }
  });
});

describe('no example is judged with its answer in sight', () => {
  it('shows one part of the train split and scores on the other', async () => {
    const { reports } = await fewShot('budget.evaluations=900');
    await onBench(async ({ task: { train } }) => {
      const shown = new Set<string>();
      const scored = new Set<string>();
      for (const { prompt, score } of reports.flatMap(({ tried }) => tried)) {
        for (const { input } of train) if (prompt.text.includes(input)) shown.add(input);
        for (const e of score.examples) scored.add(train[e]!.input);
        const gold = score.examples.map((e) => train[e]!.label);
        const hits = score.predicted.filter((label, i) => label === gold[i]);
        expect(score.accuracy).toBeCloseTo(hits.length / gold.length);
      }
      expect(shown.size).toBeGreaterThan(4);
      expect(scored.size).toBe(12);
      expect([...scored].filter((input) => shown.has(input))).toEqual([]);
    });
  });

  it('leaves the shown part out when finalists are chosen', async () => {
    const found = await fewShot('budget.evaluations=600');
    await onBench(async (bench) => {
      const [finalist] = await finalistsOf(bench, found, { precision: 'float32' });
      const scored = await scoreOnOpenSplits(bench, [finalist!]);
      const { train, validation } = scored[0]!;
      expect(train.predicted).toHaveLength(12);
      expect(validation.predicted).toHaveLength(24);
      // Searched and re-scored in float32: the same text on the same examples.
      const { text } = finalist as TextSolution;
      const searched = found.pool.top(256).find(({ prompt }) => prompt.text === text)!;
      expect(train.reward).toBeCloseTo(searched.reward, 3);
      expect(train.accuracy).toBe(searched.accuracy);
    });
  });
});

describe('a train split that repeats texts', () => {
  it('scores on none that repeats a shown one', async () => {
    const repeating = await tinyTask();
    const path = join(repeating.folder, 'train.tsv');
    const [head, ...rows] = (await readFile(path, 'utf8')).trim().split('\n');
    // Sixteen of them in pairs, that differ in case alone; eight by themselves.
    const twice = rows.slice(0, 8).map((row) => row.replace('the food', 'The food'));
    await writeFile(path, [head, ...rows.slice(0, 16), ...twice].join('\n'));
    const set = ['method.name=few-shot', 'method.share=0.4', 'budget.evaluations=600'];
    const { reports, pool } = await searchTiny(repeating, ...set);
    const bench = await Workbench.open(await repeating.load(), {});
    const { train } = bench.task;
    const said = reports.flatMap(({ tried }) => tried.map(({ prompt }) => prompt.text));
    const isShown = (input: string) =>
      said.some((text) => text.toLowerCase().includes(`${input.toLowerCase()} `));
    const scored = new Set(
      reports.flatMap(({ tried }) => tried.flatMap(({ score }) => score.examples)),
    );
    expect(scored.size).toBeGreaterThan(3);
    expect([...scored].filter((e) => isShown(train[e]!.input))).toEqual([]);
    const shown = train.filter(({ input }) => isShown(input)).map(({ id }) => id);
    expect(pool.best!.leftOut).toEqual(expect.arrayContaining(shown));
    await bench.close();
    await repeating.remove();
  });
});

describe('a label with one train example', () => {
  it('is refused before anything is spent', async () => {
    const lone = await tinyTask();
    const path = join(lone.folder, 'train.tsv');
    const rows = (await readFile(path, 'utf8')).trim().split('\n');
    const isNegative = (row: string) => row.endsWith('\t0');
    await writeFile(path, rows.filter((row, i) => i < 3 || isNegative(row)).join('\n'));
    const store = await openStore();
    const message =
      'few-shot: label "1" has 1 train example, expected at least 2, one to show and one to score on; add train examples, raise task.shots, or take another method';
    const loaded = await lone.load('method.name=few-shot');
    await expect(optimize(loaded, { store })).rejects.toThrow(message);
    expect(store.listRuns({ limit: 1 })).toEqual([]);
    await expect(planRun(loaded)).rejects.toThrow(message);
    await expect(searchTiny(lone, 'method.name=few-shot')).rejects.toThrow(message);
    store.close();
    await lone.remove();
  });
});

describe('templates', () => {
  it('escapes braces and keeps what the template says', async () => {
    const braced = await tinyTask({ template: '{{ {input} }} {prompt} :' });
    const { pool } = await searchTiny(
      braced,
      'method.name=few-shot',
      'method.shots=2',
      'budget.evaluations=300',
      'method.prompt="It {was}"',
    );
    const { template, prompt } = pool.best!;
    expect(template).toBe('{prompt}\n\n{{ {input} }} It {{was}} :');
    expect(prompt.text).toMatch(
      /^\{ the food .* \} It \{was\} : (positive|negative)\n\n\{ the food/,
    );
    await braced.remove();
  });

  it('serves masked LMs', async () => {
    const masked = await tinyTask({ model: 'roberta', template: '{input} {prompt} {mask} .' });
    const { pool } = await searchTiny(
      masked,
      'method.name=few-shot',
      'method.shots=2',
      'budget.evaluations=300',
      'method.maxTokens=30',
      'method.prompt=it was',
    );
    expect(pool.best!.template).toBe('{prompt} {input} it was {mask} .');
    expect(pool.best!.prompt.text).toMatch(/^the food .* it was (positive|negative) \. the food/);
    await masked.remove();
  });
});

it.each([
  ['method.shots=30', /30 shots, but there are 12 examples to show/],
  ['method.maxTokens=9', /shortest 4 demonstrations have \d+ tokens, there is room for 9/],
  ['method.shot=3', /options of few-shot are shots, balanced,/],
])('refuses %s', async (set, message) => {
  await expect(fewShot(set)).rejects.toThrow(message);
});

it('refuses where the context window leaves no room', async () => {
  const narrow = await tinyTask({ model: 'roberta' });
  await expect(searchTiny(narrow, 'method.name=few-shot', 'method.shots=8')).rejects.toThrow(
    /there is room for \d+, lower shots/,
  );
  await narrow.remove();
});
