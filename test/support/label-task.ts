/** A task of label words alone, for what looks at no example. */
import { parseTemplate, sealSplit, type Task } from '../../src/tasks/index.ts';

export const labelTask = (...words: string[]): Task => ({
  kind: 'classification',
  name: '',
  description: '',
  classes: words.map((word) => ({ gold: word, word })),
  template: parseTemplate('{input} {prompt}'),
  train: [],
  validation: [],
  test: sealSplit([]),
  hashes: {},
  warnings: [],
});
