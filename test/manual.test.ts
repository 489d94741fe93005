/** Human candidates: where they come from, what is refused, and what a short budget leaves. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { humanCandidates, ordinaryPrompt } from '../src/methods/index.ts';
import { readPromptsFile } from '../src/methods/prompts-file.ts';
import { optimize } from '../src/runs/optimize.ts';
import { planRun } from '../src/runs/plan.ts';
import { openStore } from '../src/runs/store.ts';
import { labelTask } from './support/label-task.ts';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

const manual = (...set: string[]) => searchTiny(task, 'method.name=manual', ...set);

async function readFrom(name: string, text: string | Uint8Array) {
  await writeFile(join(task.folder, name), text);
  return readPromptsFile(join(task.folder, name));
}

const textsOf = ({ reports }: Awaited<ReturnType<typeof manual>>) =>
  reports[0]!.tried.map(({ prompt }) => prompt.text).sort();

describe('candidates', () => {
  it.each([
    ['a.txt', 'It was\n\n  The room was  \r\n'],
    ['a.jsonl', '"It was"\n{"prompt": "The room was"}\n'],
    ['a.yaml', '# mine\n- It was\n- The room was\n'],
    ['a.json', '["It was",\n "The room was"]'],
  ])('come from %s', async (name, text) => {
    expect(await readFrom(name, text)).toEqual(['It was', 'The room was']);
  });

  it('from the configuration, a file and a family stand together', async () => {
    await writeFile(join(task.folder, 'b.txt'), 'It was\nThe film was\n');
    const found = await manual(
      'method.prompts=[It was, So]',
      'method.promptsFile=b.txt',
      'method.families=[question]',
    );
    const texts = textsOf(found);
    expect(texts).toEqual(expect.arrayContaining(['It was', 'So', 'The film was', 'Answer:']));
    expect(texts).not.toContain('Sentiment:');
  });

  it.each([
    ['c.jsonl', '"It was"\n\n{"promt": 1}', /c\.jsonl:3: expected a prompt as text, got a group/],
    ['d.jsonl', '"It was"\n"so', /d\.jsonl:2: not valid JSON/],
    ['e.yaml', '- It was\n- 3\n', /e\.yaml:2: expected a prompt as text, got 3/],
    ['f.yaml', 'prompts: [a]', /f\.yaml:1: expected a list of texts/],
    ['g.yaml', '- "a\n- b', /g\.yaml:\d: /],
    ['h.txt', 'It was\nIt \u0007was\n', /h\.txt:2: expected a prompt as text, got control/],
    ['i.txt', '\n \n', /i\.txt: holds no prompt/],
    ['j.txt', Uint8Array.of(0x49, 0xff), /j\.txt: is not UTF-8/],
    ['k.txt', `${'so '.repeat(4000)}\n`, /k\.txt:1: .*at most 10000 are allowed/],
  ])('%s is refused with the line', async (name, text, message) => {
    await expect(readFrom(name, text)).rejects.toThrow(message);
  });
});

it('says which file is not there', async () => {
  await expect(manual('method.promptsFile=none.txt')).rejects.toThrow(
    /none\.txt: no such file; check method\.promptsFile/,
  );
});

describe('a file of prompts', () => {
  const load = (...set: string[]) => task.load('method.name=manual', ...set);

  it.each([
    ['manual', 'none.txt', /none\.txt: no such file; check method\.promptsFile/],
    ['grpo', 'none.txt', /none\.txt: no such file; check method\.promptsFile/],
    ['manual', 'empty.txt', /empty\.txt: holds no prompt/],
  ])('of %s, %s, is refused before anything is spent', async (name, file, message) => {
    await writeFile(join(task.folder, 'empty.txt'), '\n');
    const store = await openStore();
    const loaded = await load(`method.name=${name}`, `method.promptsFile=${file}`);
    await expect(optimize(loaded, { store })).rejects.toThrow(message);
    expect(store.listRuns({ limit: 1 })).toEqual([]);
    store.close();
    await expect(planRun(loaded)).rejects.toThrow(message);
  });

  it('counts in a plan as prompts that are typed in do', async () => {
    await writeFile(join(task.folder, 'three.txt'), 'It was\nSo\nThe film was\n');
    const read = await planRun(await load('method.promptsFile=three.txt'));
    const typed = await planRun(await load('method.prompts=[It was, So, The film was]'));
    expect(read).toEqual(typed);
    expect(read.calls).toBeLessThan((await planRun(await load())).calls);
  });
});

describe('the race', () => {
  it('ends with a group that was scored on all examples', async () => {
    const { reports, pool } = await manual();
    expect(reports.map(({ tried }) => tried[0]!.score.examples.length)).toEqual([16, 24]);
    expect(reports.map(({ tried }) => tried.length)).toEqual([24, 12]);
    expect(pool.top(100)).toHaveLength(12);
    expect(pool.best!.reward).toBe(reports[1]!.tried[0]!.score.reward);
  });

  it('hands in the leaders of its last round when the budget ends early', async () => {
    const { reports, pool } = await manual('budget.evaluations=1');
    expect(reports).toHaveLength(1);
    expect(pool.best!.prompt.text).toBe(reports[0]!.tried[0]!.prompt.text);
  });
});

describe('families', () => {
  it('fit the label words', () => {
    expect(ordinaryPrompt(labelTask('negative', 'positive'))).toBe('Sentiment:');
    expect(humanCandidates(labelTask('terrible', 'great'))).toHaveLength(24);
    expect(ordinaryPrompt(labelTask('yes', 'no'))).toBe('Answer:');
    expect(ordinaryPrompt(labelTask('sport', 'science', 'war'))).toBe('Category:');
  });

  it('name the classes where they are few', () => {
    const three = humanCandidates(labelTask('sport', 'science', 'war'));
    expect(three).toContain('Is this sport, science or war?');
    expect(three).toContain('Is this about sport, science or war?');
    expect(humanCandidates(labelTask('yes', 'no'))).toContain('Is this yes or no?');
    const many = humanCandidates(labelTask(...Array.from({ length: 9 }, (_, i) => `class${i}`)));
    expect(many.filter((text) => text.includes('class1'))).toEqual([]);
  });
});
