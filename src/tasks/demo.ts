/** The bundled data set: customer remarks, negative or positive. Its data card lies beside it. */
import { join } from 'node:path';
import { packageRoot } from '../util/package-root.ts';
import type { TaskConfig } from './config.ts';

/** Folder of train.tsv, validation.tsv and test.tsv. */
export function demoFolder(): string {
  return join(packageRoot(), 'assets', 'demo');
}

/** The demo's task; paths are absolute, so any base folder will do. */
export function demoTaskConfig(): TaskConfig {
  const file = (split: string) => join(demoFolder(), `${split}.tsv`);
  return {
    name: 'customer-remarks',
    description:
      'Decide whether a customer remark about a product or a service is negative or positive.',
    data: { train: file('train'), validation: file('validation'), test: file('test') },
    input: 'text',
    gold: 'label',
    labels: { '0': 'negative', '1': 'positive' },
  };
}
