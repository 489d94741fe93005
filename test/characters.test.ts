/** A task LM whose vocabulary has characters and no whole word. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask({ examples: 8 });
  const characters = ['Ġ', 'Ċ', ...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:?'];
  const tokens = ['<pad>', '<s>', '</s>', '<unk>', '<mask>', ...characters];
  const tokenizer = {
    version: '1.0',
    added_tokens: tokens.slice(0, 5).map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
      unk_token: '<unk>',
    },
  };
  await writeFile(join(task.folder, 'model', 'tokenizer.json'), JSON.stringify(tokenizer));
});
afterAll(() => task.remove());

const search = (...set: string[]) => searchTiny(task, ...set, 'budget.evaluations=300');

it.each(['text', 'vocabulary', 'random'])('soft-prompt learns from init %s', async (init) => {
  const options = ['method.learningRate=0.01', 'method.steps=2', 'method.restarts=1'];
  const { tensors } = await search('method.name=soft-prompt', `method.init=${init}`, ...options);
  expect(tensors).toHaveLength(1);
});

it('evolution says that words are left, and finds them', async () => {
  await expect(search('method.name=evolution', 'method.genes=uniform')).rejects.toThrow(
    'evolution: there are no tokens to draw genes from, try unit: words',
  );
  const words = ['method.unit=words', 'method.promptTokens=40', 'method.children=4'];
  const { pool } = await search('method.name=evolution', 'method.genes=uniform', ...words);
  expect(pool.best).toBeDefined();
});

it.each(['random', 'autoprompt'])(
  '%s is refused without advice about the policy LM',
  async (name) => {
    await expect(search(`method.name=${name}`)).rejects.toThrow(
      /no token that is a whole word to write prompts with, take another model$/,
    );
  },
);
