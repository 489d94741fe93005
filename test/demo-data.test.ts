/** The bundled data set keeps the promises of its data card. */
import { describe, expect, it } from 'vitest';
import { demoFigures } from '../scripts/demo-figures.ts';
import { demoTaskConfig, loadTask } from '../src/tasks/index.ts';

const task = await loadTask(demoTaskConfig(), { baseFolder: '.', seed: 0 });
const splits = { train: task.train, validation: task.validation, test: task.test.open() };
const all = Object.values(splits).flat();

describe('the demo data', () => {
  it('loads without warnings', () => {
    expect(task.warnings).toEqual([]);
    expect(task.classes.map(({ word }) => word)).toEqual(['negative', 'positive']);
  });

  it('has the sizes of its card, each split half and half', () => {
    const sizes = Object.values(splits).map((split) => split.length);
    expect(sizes).toEqual([64, 64, 606]);
    for (const split of Object.values(splits)) {
      expect(split.filter(({ label }) => label === 1)).toHaveLength(split.length / 2);
    }
  });

  it('stands in pairs of both labels', () => {
    for (let i = 0; i < all.length; i += 2) expect(all[i]!.label + all[i + 1]!.label).toBe(1);
  });

  it('cannot be told apart by one word, nor by words without their order', () => {
    const { oneWordRule, naiveBayes, words } = demoFigures(all);
    expect(oneWordRule).toBeLessThan(0.75);
    expect(naiveBayes).toBeLessThan(0.88);
    expect(words[0]).toBeGreaterThanOrEqual(4);
    expect(words[4]).toBeLessThanOrEqual(30);
  });
});
