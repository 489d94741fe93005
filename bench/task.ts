/** The task of every benchmark: two classes, the prompt after the input. */
import { join } from 'node:path';
import { loadTask, type Task } from '../src/tasks/index.ts';

/** From a folder with train.tsv, and test.tsv in the folder above it. */
export function benchTask(data: string): Promise<Task> {
  return loadTask(
    {
      data: { train: join(data, 'train.tsv'), test: join(data, '..', 'test.tsv') },
      labels: { '0': 'negative', '1': 'positive' },
      template: '{input} {prompt}',
    },
    { baseFolder: '.', seed: 1 },
  );
}
