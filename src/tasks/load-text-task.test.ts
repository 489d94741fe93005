import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TaskConfig } from './config.ts';
import { loadTextTask } from './load-text-task.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-texts-'));
});

const write = (name: string, lines: readonly (object | string)[]) =>
  writeFile(
    join(folder, name),
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
const load = (config: Partial<TaskConfig>, seed = 1) =>
  loadTextTask(
    { kind: 'question-answering', data: 'a.jsonl', ...config },
    { baseFolder: folder, seed },
  );
const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ text: `text ${i}`, answer: [`a${i}`, i] }));

describe('examples', () => {
  it('have several golds, a question and a conversation', async () => {
    const chat = [{ role: 'user', content: 'Hello' }];
    await write('a.jsonl', [
      { text: 'T', ask: 'Q?', answer: ['x', { y: 1 }], chat },
      { text: 'T', ask: 'R?', answer: 'z' },
      { text: 'T', ask: 'S?', answer: 3 },
    ]);
    const task = await load({
      question: 'ask',
      conversation: 'chat',
      split: { train: 1, validation: 1, test: 1 },
    });
    const all = [...task.train, ...task.validation, ...task.test.open()];
    const byQuestion = new Map(all.map((example) => [example.question, example]));
    expect(byQuestion.get('Q?')).toMatchObject({
      input: 'T',
      golds: ['x', '{"y":1}'],
      conversation: chat,
    });
    expect(byQuestion.get('S?')!.golds).toEqual(['3']);
    expect(task.warnings).toEqual([]);
  });

  it('come from CSV, with a conversation written as JSON', async () => {
    const chat = '"[{""role"":""user"",""content"":""Hi""}]"';
    await write('a.csv', ['text,answer,chat', `one,1,${chat}`, 'two,2,', 'three,3,']);
    const task = await load({ data: 'a.csv', conversation: 'chat' });
    const all = [...task.train, ...task.validation, ...task.test.open()];
    expect(all.find(({ input }) => input === 'one')!.conversation).toHaveLength(1);
    expect(all.find(({ input }) => input === 'two')).not.toHaveProperty('conversation');
  });

  it('are divided at random by the seed, each in one split', async () => {
    await write('a.jsonl', rows(40));
    const [a, same, other] = [await load({}), await load({}), await load({}, 2)];
    expect([a.train.length, a.validation.length, a.test.size]).toEqual([20, 8, 12]);
    expect(same.hashes).toEqual(a.hashes);
    expect(other.hashes['split:test']).not.toBe(a.hashes['split:test']);
    const ids = [...a.train, ...a.validation, ...a.test.open()].map(({ id }) => id);
    expect(new Set(ids).size).toBe(40);
  });
});

describe('refused', () => {
  it('is a row that stands in two files', async () => {
    await write('a.jsonl', rows(4));
    await write('b.jsonl', rows(5).slice(3));
    const data = { train: 'a.jsonl', test: 'b.jsonl' };
    await expect(load({ data })).rejects.toThrow(
      /stands in two splits: a\.jsonl row 4 = b\.jsonl row 1/,
    );
  });

  it('are too few examples for the splits', async () => {
    await write('a.jsonl', rows(2));
    await expect(load({})).rejects.toThrow(/2 different examples are too few for the splits/);
  });

  it('are shots, which count examples of labels', async () => {
    await write('a.jsonl', rows(9));
    await expect(load({ shots: 2 })).rejects.toThrow(/task\.shots: counts examples for labels/);
  });
});

it('tells of a row that stands twice with two answers, and keeps the first', async () => {
  await write('a.jsonl', [...rows(6), { text: 'TEXT  0', answer: 'other' }]);
  const task = await load({});
  expect(task.warnings[0]).toMatch(/two different gold answers: a\.jsonl rows 1 and 7/);
  expect(task.train.length + task.validation.length + task.test.size).toBe(6);
});
