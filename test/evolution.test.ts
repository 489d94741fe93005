/** Evolution on a tiny checkpoint: it improves, repeats itself, keeps to the budget. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { humanCandidates } from '../src/methods/index.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

const evolve = (...set: string[]) =>
  searchTiny(task, 'method.name=evolution', 'method.children=12', 'method.population=6', ...set);

const bestOf = ({ pool }: Awaited<ReturnType<typeof evolve>>) => pool.best!;

describe.each(['tokens', 'words'])('unit %s', (unit) => {
  it.each(['likely', 'uniform'])(
    'improves on its first generation with %s genes',
    async (genes) => {
      const found = await evolve(`method.unit=${unit}`, `method.genes=${genes}`);
      const first = found.reports[0]!.quantities!;
      const last = found.reports.at(-1)!.quantities!;
      expect(last.generation).toBeGreaterThan(3);
      expect(last.best).toBeGreaterThan(first.best!);
      expect(bestOf(found).reward).toBe(last.best);
      expect(last.diversity).toBeGreaterThan(0);
    },
  );
});

describe('what it promises', () => {
  it('gives the same run for the same seed, and another for another', async () => {
    const texts = async (seed: number) => {
      const { reports } = await evolve(`seed=${seed}`, 'budget.evaluations=800');
      return reports.flatMap(({ tried }) => tried.map(({ prompt }) => prompt.text));
    };
    const first = await texts(1);
    expect(first.length).toBeGreaterThan(24);
    expect(await texts(1)).toEqual(first);
    expect(await texts(2)).not.toEqual(first);
  });

  it('ends within one round of scoring after its budget', async () => {
    const { evaluations } = await evolve('budget.evaluations=500');
    expect(evaluations).toBeGreaterThanOrEqual(500);
    // A round scores at most 12 children on 24 examples; drawing genes costs at most 5 each.
    expect(evaluations).toBeLessThan(500 + 12 * 24 + 12 * 5 * 8);
  });

  it('hands in what it has when the budget ends in the first generation', async () => {
    const { pool } = await evolve('budget.evaluations=1', 'method.genes=uniform');
    expect(pool.top(100)).toHaveLength(12);
  });

  it('writes prompts of at most promptTokens tokens that read the same when pasted', async () => {
    const { reports } = await evolve('method.promptTokens=3', 'budget.evaluations=800');
    const bench = await Workbench.open(await task.load(), {});
    const layout = bench.layout();
    const prompts = reports.flatMap(({ tried }) => tried.map(({ prompt }) => prompt));
    for (const { text, ids } of prompts) {
      expect(ids!.length).toBeLessThanOrEqual(3);
      expect(layout.prompt(text)).toEqual(ids);
    }
    expect(new Set(prompts.map(({ ids }) => ids!.length)).size).toBeGreaterThan(1);
    await bench.close();
  });

  it('begins with human candidates alone, if told so', async () => {
    const { reports } = await evolve('method.start=human', 'method.promptTokens=8');
    const humans = new Set(humanCandidates(await benchTask()));
    expect(reports[0]!.tried.length).toBeGreaterThan(3);
    for (const { prompt } of reports[0]!.tried) expect(humans).toContain(prompt.text);
  });

  it('ends by itself when every prompt was tried', async () => {
    const { events } = await evolve('method.promptTokens=1', 'budget.evaluations=1000000');
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'warning',
        message: expect.stringContaining('no prompt is left'),
      }),
    );
  });

  it.each([
    ['method.unit=letters', /method.unit: expected tokens or words/],
    ['method.populatoin=3', /populatoin.*options of evolution are unit, promptTokens,/],
    ['method.tournament=0', /method.tournament/],
  ])('refuses %s', async (set, message) => {
    await expect(evolve(set)).rejects.toThrow(message);
  });

  it('runs for a masked LM', async () => {
    const masked = await tinyTask({ model: 'roberta' });
    const found = await searchTiny(masked, 'method.name=evolution', 'method.children=8');
    const quantities = found.reports.map((report) => report.quantities!);
    expect(quantities.at(-1)!.best).toBeGreaterThan(quantities[0]!.best!);
    await masked.remove();
  });
});

async function benchTask() {
  const bench = await Workbench.open(await task.load(), {});
  await bench.close();
  return bench.task;
}
