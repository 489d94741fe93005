import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../errors.ts';
import type { TaskConfig } from './config.ts';
import { type LoadTaskOptions, loadTask } from './load-task.ts';

let baseFolder: string;
beforeAll(async () => {
  baseFolder = await mkdtemp(join(tmpdir(), 'whetstone-task-'));
  const files: Record<string, string> = {
    'all.csv': csv(0, 100),
    'train.tsv': csv(0, 40).replaceAll(',', '\t'),
    'dev.tsv': csv(40, 60).replaceAll(',', '\t'),
    'test.tsv': csv(60, 100).replaceAll(',', '\t'),
    'leak.tsv': `${csv(60, 80).replaceAll(',', '\t')}Text  Number 3\t1\ntext number 4\t0\n`,
    'one.csv': 'text,label\na,1\nb,1\n',
    'empty-field.csv': 'text,label\na,1\n ,0\n',
    'repeats.csv': `${csv(0, 20)}text number 3,1\nTEXT number 4,1\n`,
    'words.jsonl': ['x', 'y', 'z']
      .flatMap((kind) => [0, 1, 2, 3].map((i) => JSON.stringify({ Review: `${kind}${i}`, kind })))
      .join('\n'),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(baseFolder, name), content);
  }
});
afterAll(() => rm(baseFolder, { recursive: true }));

const labels = { '0': 'bad', '1': 'good' };
const load = (config: TaskConfig, options: Partial<LoadTaskOptions> = {}) =>
  loadTask(config, { baseFolder, seed: 1, ...options });

/** Rows `from` to `to`, labels alternating. */
function csv(from: number, to: number): string {
  const rows = Array.from({ length: to - from }, (_, i) => {
    return `text number ${from + i},${(from + i) % 2}\n`;
  });
  return `text,label\n${rows.join('')}`;
}

describe('loadTask', () => {
  it('divides one file by the default shares', async () => {
    const task = await load({ data: 'all.csv', labels });
    expect([task.train.length, task.validation.length, task.test.size]).toEqual([50, 20, 30]);
    expect(task.name).toBe('all');
    expect(task.description).toBe('Classify the text as bad or good.');
    expect(task.template.source).toBe('{input} {prompt}');
    expect(task.warnings).toEqual([]);
    const all = [...task.train, ...task.validation, ...task.test.open()];
    expect(new Set(all.map(({ id }) => id)).size).toBe(100);
    expect(all.every(({ input, label }) => Number(input.split(' ')[2]) % 2 === label)).toBe(true);
  });

  it('takes files as they are, in their order', async () => {
    const data = { train: 'train.tsv', validation: 'dev.tsv', test: 'test.tsv' };
    const task = await load({ data, labels });
    expect([task.train.length, task.validation.length, task.test.size]).toEqual([40, 20, 40]);
    expect(task.train[3]!.input).toBe('text number 3');
    expect(Object.keys(task.hashes)).toEqual([
      ...Object.values(data),
      'split:train',
      'split:validation',
      'split:test',
    ]);
  });

  it('carves validation out of train when it is not given', async () => {
    const task = await load({ data: { train: 'train.tsv', test: 'test.tsv' }, labels });
    expect(task.train.length + task.validation.length).toBe(40);
    expect(task.validation.length).toBe(12);
    expect(task.test.size).toBe(40);
  });

  it('draws shots per label for train and validation', async () => {
    const task = await load({ data: 'all.csv', labels, shots: 8 });
    expect([task.train.length, task.validation.length, task.test.size]).toEqual([16, 16, 68]);
    const given = await load({
      data: { train: 'train.tsv', validation: 'dev.tsv', test: 'test.tsv' },
      labels,
      shots: 8,
    });
    expect([given.train.length, given.validation.length, given.test.size]).toEqual([16, 16, 40]);
  });

  it('draws by the seed, and by split.seed before it', async () => {
    const draw = async (seed: number, split?: TaskConfig['split']) =>
      (await load({ data: 'all.csv', labels, split }, { seed })).hashes['split:test'];
    expect(await draw(1)).toBe(await draw(1));
    expect(await draw(1)).not.toBe(await draw(2));
    expect(await draw(1, { seed: 7 })).toBe(await draw(2, { seed: 7 }));
  });

  it('keeps to maxExamples', async () => {
    const task = await load({ data: 'all.csv', labels, maxExamples: 20 });
    expect([task.train.length, task.validation.length, task.test.size]).toEqual([10, 4, 6]);
  });

  it('guesses columns without regard to case and takes gold words as they are', async () => {
    const task = await load({ data: 'words.jsonl', gold: 'kind' });
    expect(task.classes.map(({ word }) => word)).toEqual(['x', 'y', 'z']);
    expect(task.description).toBe('Classify the text as x, y or z.');
  });

  it('counts how often the test split is opened', async () => {
    const { test } = await load({ data: 'all.csv', labels });
    expect(test.opened).toBe(0);
    test.open();
    expect(test.opened).toBe(1);
    expect(JSON.stringify(test)).not.toContain('text number');
  });

  it('keeps repeated texts once when dividing, and tells of conflicts', async () => {
    const task = await load({ data: 'repeats.csv', labels });
    expect(task.train.length + task.validation.length + task.test.size).toBe(20);
    expect(task.warnings).toHaveLength(2);
    expect(task.warnings[0]).toContain('repeats.csv row 5 = 22');
    expect(task.warnings[1]).toContain('rows 6 and 23: "0" and "1" for "TEXT number 4"');
  });

  it('chooses the masked template for a masked task LM', async () => {
    const task = await load({ data: 'all.csv', labels }, { taskLm: 'masked' });
    expect(task.template.source).toContain('{mask}');
    const given = load({ data: 'all.csv', labels, template: 'x' }, { taskLm: 'masked' });
    await expect(given).rejects.toThrow(ConfigError);
  });

  it('refuses the same text in two splits, with the rows', async () => {
    const result = load({ data: { train: 'train.tsv', test: 'leak.tsv' }, labels });
    await expect(result).rejects.toThrow(DataError);
    await expect(result).rejects.toThrow(
      '2 texts stand in two splits: train.tsv row 5 = leak.tsv row 22 "Text Number 3"; ' +
        'train.tsv row 6 = leak.tsv row 23',
    );
  });

  it.each<[string, TaskConfig, typeof DataError | typeof ConfigError, string]>([
    ['a missing file', { data: 'no.csv' }, DataError, 'no.csv does not exist'],
    ['one label', { data: 'one.csv' }, DataError, 'one label only, "1"'],
    ['a label without a word', { data: 'all.csv', labels: { '0': 'bad' } }, ConfigError, '"1"'],
    ['labels that are no words', { data: 'all.csv' }, ConfigError, 'each of "0", "1"'],
    ['an unknown column', { data: 'all.csv', input: 'txt' }, ConfigError, 'has "text", "label"'],
    ['no guess', { data: 'words.jsonl' }, ConfigError, 'task.gold to one of "Review", "kind"'],
    ['one column twice', { data: 'all.csv', gold: 'text' }, ConfigError, 'same column "text"'],
    ['an empty text', { data: 'empty-field.csv' }, DataError, 'row 3 has nothing in column "text"'],
    ['one file twice', { data: { train: 'all.csv', test: './all.csv' } }, ConfigError, 'same file'],
    ['too many shots', { data: 'all.csv', labels, shots: 50 }, DataError, 'task.shots to 25'],
    ['all shots', { data: 'all.csv', labels, shots: 25 }, DataError, 'left for the test split'],
    ['a wrong key', { data: 'all.csv', inptu: 'x' } as TaskConfig, ConfigError, 'inptu'],
    ['a wrong value', { data: 'all.csv', shots: 0 }, ConfigError, 'task.shots'],
    ['a wrong slot', { data: 'all.csv', template: '{x}' }, ConfigError, 'unknown slot {x}'],
  ])('refuses %s', async (_, config, kind, message) => {
    const error = await load(config).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain('\n');
  });
});
