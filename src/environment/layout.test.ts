import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadTokenizerFolder } from '../models/tokenizer-json.ts';
import { parseTemplate, type Task } from '../tasks/index.ts';
import { packageRoot } from '../util/package-root.ts';
import { layoutOf } from './layout.ts';

it('leaves the frame of a masked text to the whole', async () => {
  const folder = join(packageRoot(), 'test', 'fixtures', 'tokenizers', 'roberta');
  const tokenizer = await loadTokenizerFolder(folder);
  const task = { template: parseTemplate('{input} {prompt} {mask} .') } as Task;
  const layout = layoutOf(task, 'masked', tokenizer);
  const [first, last] = tokenizer.encode('', { addSpecialTokens: true });
  const parts = [...layout.before('good'), ...layout.prompt('or bad'), ...layout.after('good')];
  expect(layout.whole('good', 'or bad')).toEqual([first, ...parts, last]);
});
