/** The bare prompt as UTF-8: no line end is added, so that the file is the prompt to the byte. */
import { exporter } from '../exporter.ts';
import { textOf } from '../read-files.ts';

const FILE = 'prompt.txt';

export const text = exporter({
  name: 'text',
  kinds: ['text'],
  write: ({ prompt }) => [{ name: FILE, data: prompt }],
  read: ({ files, finding: { template } }) => ({
    kind: 'text',
    prompt: textOf(files, FILE),
    template,
  }),
});
