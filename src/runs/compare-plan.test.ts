/** What a comparison calls its task. */
import { expect, it } from 'vitest';
import { planOf, taskOf } from './compare-plan.ts';
import { parseConfig } from './config.ts';

function nameOf(data: unknown, name?: string): string | undefined {
  const task = { data, ...(name === undefined ? {} : { name }) };
  const loaded = {
    config: parseConfig(JSON.stringify({ task })),
    path: '/home/reviews/w.yaml',
    folder: '/home/reviews',
  };
  const { repetitions } = planOf(loaded, { splits: ['13', '21'] });
  const [first, second] = repetitions.map((repetition) => taskOf(loaded, repetition).name);
  expect(second).toBe(first);
  return first;
}

it('is named by what all splits share', () => {
  expect(nameOf({ train: 'SST-2/16-{split}/train.tsv', test: 'SST-2/test.tsv' })).toBe('SST-2');
  expect(nameOf('{split}/remarks.csv')).toBe('remarks');
  expect(nameOf('16-{split}.csv')).toBe('reviews');
  expect(nameOf('16-{split}.csv', 'my task')).toBe('my task');
});
