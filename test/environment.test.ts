/** The environment on a tiny real checkpoint: what is cached equals what is computed afresh. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTask, Environment, type EnvironmentOptions } from '../src/environment/index.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { loadScorer } from '../src/models/programs.ts';
import { type Example, parseTemplate, rewards, sealSplit, type Task } from '../src/tasks/index.ts';
import { distance, tinyModels } from './tiny-models.ts';

const models = tinyModels();
let lm: LanguageModel;
let words: string[];

beforeAll(async () => {
  lm = await models.open(join('models', 'llama'));
  const seen = new Set<string>();
  for (let id = 0; id < lm.tokenizer.size; id++) {
    const text = lm.tokenizer.tokenText(id).trim();
    if (/^\w+$/.test(text) && lm.tokenizer.encode(` ${text}`).length === 1) seen.add(text);
  }
  words = [...seen];
});
afterAll(() => models.close());

function taskOf(template: string, labelWords = [words[0]!, words[1]!]): Task {
  const examples: Example[] = Array.from({ length: 11 }, (_, i) => ({
    id: String(i),
    input: words.slice(2 + i, 3 + i + (i % 5)).join(' '),
    label: i % 2,
  }));
  return {
    kind: 'classification',
    name: 'tiny',
    description: '',
    classes: labelWords.map((word, i) => ({ gold: String(i), word })),
    template: parseTemplate(template),
    train: examples,
    validation: examples,
    test: sealSplit(examples),
    hashes: {},
    warnings: [],
  };
}

function environmentOf(task: Task, options: Partial<EnvironmentOptions> = {}): Environment {
  return new Environment({
    task,
    taskLm: lm,
    examples: task.train,
    reward: rewards.piecewise,
    precision: 'float32',
    examplesPerPass: 4,
    ...options,
  });
}

const prompts = () => [
  { text: words.slice(20, 23).join(' ') },
  { text: words.slice(30, 31).join(' ') },
  { text: '' },
];

describe.each(['{input} {prompt}', '{prompt} {input}', '{input} {prompt} so'])(
  'template %s',
  (template) => {
    it('gives the same scores from its cache as whole texts give', async () => {
      const task = taskOf(template);
      const environment = environmentOf(task);
      const scorer = await loadScorer(lm, 'labels');
      const ids = task.classes.map(({ word }) => lm.tokenizer.encode(` ${word}`)[0]!);
      const stepped = await environment.step(prompts());
      for (const [p, { text }] of prompts().entries()) {
        const { scores, examples } = stepped[p]!;
        const whole = examples.map((e) => environment.layout.whole(task.train[e]!.input, text));
        const afresh = await scorer.run(
          whole,
          whole.map((row) => row.length - 1),
          ids,
        );
        expect(distance(Float32Array.from(scores), afresh)).toBeLessThan(1e-4);
      }
      await environment.close();
    });

    it('evaluates a text to what stepping its ids gave', async () => {
      const environment = environmentOf(taskOf(template));
      const [prompt] = prompts();
      const [stepped] = await environment.step([prompt!]);
      const [evaluated] = await environment.evaluate([prompt!.text]);
      expect(evaluated!.reward).toBeCloseTo(stepped!.reward, 3);
      expect(evaluated!.accuracy).toBe(stepped!.accuracy);
      await environment.close();
    });
  },
);

it('counts evaluations and pays for none twice', async () => {
  const environment = environmentOf(taskOf('{input} {prompt}'));
  const [a, b] = prompts();
  await environment.step([a!, b!, a!]);
  expect(environment.evaluations).toBe(2 * 11);
  await environment.step([b!]);
  expect(environment.evaluations).toBe(2 * 11);
  await environment.close();
});

it('scores a minibatch of blocks on their examples alone', async () => {
  const environment = environmentOf(taskOf('{input} {prompt}'));
  const [all] = await environment.step([prompts()[0]!]);
  const [part] = await environment.step([prompts()[0]!], { blocks: [1] });
  expect(part!.examples).toHaveLength(4);
  expect(all!.examples).toHaveLength(11);
  for (const [i, e] of part!.examples.entries()) {
    expect(part!.rewards[i]).toBe(all!.rewards[all!.examples.indexOf(e)]);
  }
  await environment.close();
});

it('gives the same rewards when keys and values do not fit and are streamed', async () => {
  const task = taskOf('{input} {prompt}');
  const kept = environmentOf(task);
  const streamed = environmentOf(task, { cacheBytes: 1 });
  const [a] = await kept.step([prompts()[0]!]);
  const [b] = await streamed.step([prompts()[0]!]);
  expect(b!.reward).toBe(a!.reward);
  await kept.close();
  await streamed.close();
});

it.each(['{input} {prompt}', '{prompt} {input} so'])(
  'scores more prompts in one call than it keeps between calls: %s',
  async (template) => {
    const task = taskOf(template);
    const some = prompts();
    const texts = some.map(({ text }) => text);
    // Room for the two class scores of one prompt.
    const few = environmentOf(task, { scoresKept: 2 * task.train.length });
    const all = environmentOf(task);
    expect(await few.step(some)).toEqual(await all.step(some));
    const rewards = (scores: readonly { reward: number }[]) => scores.map(({ reward }) => reward);
    const again = rewards(await few.step(some));
    for (const [p, reward] of rewards(await all.step(some)).entries()) {
      expect(again[p]).toBeCloseTo(reward, 3);
    }
    // The oldest made room: what it no longer knew was computed again.
    expect(all.evaluations).toBe(3 * 11);
    expect(few.evaluations).toBe(5 * 11);
    const evaluated = rewards(await few.evaluate(texts));
    for (const [p, reward] of rewards(await all.evaluate(texts)).entries()) {
      expect(evaluated[p]).toBeCloseTo(reward, 3);
    }
    await few.close();
    await all.close();
  },
);

it('scores label words of several tokens by the log-probability of all of them', async () => {
  const long = `${words[3]!} ${words[4]!}`;
  const task = taskOf('{input} {prompt}', [words[0]!, long]);
  const environment = environmentOf(task);
  const text = prompts()[0]!.text;
  const [score] = await environment.step([{ text }]);
  const scorer = await loadScorer(lm, 'logProbs');
  const e = score!.examples[0]!;
  const base = environment.layout.whole(task.train[e]!.input, text);
  const ids = lm.tokenizer.encode(` ${long}`);
  let expected = 0;
  for (const [i, id] of ids.entries()) {
    const row = [...base, ...ids.slice(0, i)];
    expected += (await scorer.run([row], [row.length - 1]))[id]!;
  }
  expect(score!.scores[1]).toBeCloseTo(expected, 3);
  await environment.close();
});

it('refuses a prompt that does not fit the context window, with its length', async () => {
  const environment = environmentOf(taskOf('{input} {prompt}'));
  const text = Array.from({ length: lm.config.contextLength + 1 }, () => words[5]).join(' ');
  await expect(environment.step([{ text }])).rejects.toThrow(/reads at most/);
});

it.each([
  ['one begins another', () => [words[0]!, `${words[0]!} ${words[4]!}`], /is how .* begins/],
  ['both are unknown', () => ['neither', 'nor'], /are the same tokens/],
])('refuses label words of which %s', (_, labelWords, message) => {
  expect(() => environmentOf(taskOf('{input} {prompt}', labelWords()))).toThrow(message);
});

describe('checkTask', () => {
  const long = { id: 'long', input: Array.from({ length: 60 }, () => 'w9').join(' '), label: 0 };

  it.each(['train', 'validation', 'test'] as const)(
    'finds a %s example that is too long',
    (split) => {
      const task = taskOf('{input} {prompt}');
      const examples = [...task.train, long];
      const faulty = { ...task, [split]: split === 'test' ? sealSplit(examples) : examples };
      expect(() => checkTask(faulty, lm, 10)).toThrow(`of the ${split} split has 60 tokens`);
      expect(faulty.test.opened).toBe(0);
      checkTask(faulty, lm, 3);
    },
  );

  it('finds a template that does not fit', () => {
    expect(() => checkTask(taskOf('{input} {prompt} {mask}'), lm, 5)).toThrow(/take \{mask\} out/);
  });
});

it('keeps examples together that are asked for together, with the same scores', async () => {
  const task = taskOf('{input} {prompt}');
  const together = [[10, 3, 1, 2, 9], [0, 4], [5], [8, 7, 6]];
  const grouped = environmentOf(task, { together });
  const apart = environmentOf(task);
  const blocks = Array.from({ length: grouped.blockCount }, (_, b) => grouped.examplesOf(b));
  // Four a pass: the first group has a block of one example more.
  expect(blocks.map(({ length }) => length)).toEqual([4, 1, 2, 1, 3]);
  expect([...blocks[0]!, ...blocks[1]!].sort((a, b) => a - b)).toEqual([1, 2, 3, 9, 10]);
  const [all] = await apart.step(prompts());
  const [some] = await grouped.step(prompts(), { blocks: [2] });
  expect([...some!.examples].sort()).toEqual([0, 4]);
  expect(grouped.evaluations).toBe(2 * prompts().length);
  some!.examples.forEach((e, i) => {
    expect(some!.rewards[i]).toBeCloseTo(all!.rewards[all!.examples.indexOf(e)]!, 2);
  });
  await grouped.close();
  await apart.close();
});
