import { expect, it } from 'vitest';
import { calculator, sums } from '../../test/support/text-models.ts';
import { parseMessageTemplate, sealSplit, type TextTask } from '../tasks/index.ts';
import { eachAnswer } from '../tasks/metrics/metric.ts';
import { AnswerMemory, TextEnvironment } from './text-environment.ts';

const examples = sums(6).map(({ problem, answer }, i) => ({
  id: String(i),
  input: problem,
  golds: [answer],
}));
const task: TextTask = {
  kind: 'text',
  taskKind: 'arithmetic',
  name: 'sums',
  description: '',
  template: parseMessageTemplate('[system]\n{prompt}\n[user]\n{input}'),
  maxAnswerTokens: 8,
  humanPrompts: [],
  train: examples,
  validation: examples,
  test: sealSplit(examples),
  hashes: {},
  warnings: [],
};
const contains = eachAnswer('contains', ({ output, golds }) =>
  Number(output.split(/\D+/).includes(golds[0]!)),
);

it('gives up no answer of the call in hand, however few it keeps', async () => {
  const model = calculator();
  const make = (memory: AnswerMemory) =>
    new TextEnvironment({ task, taskLm: model, metric: contains, examples, memory });
  const few = make(new AnswerMemory(6));
  const prompts = ['Carefully.', 'Solve it.', 'Work carefully.'].map((text) => ({ text }));
  const scores = await few.step(prompts);
  expect(scores.map(({ examples: all }) => all.length)).toEqual([6, 6, 6]);
  expect(scores).toEqual(await make(new AnswerMemory()).step(prompts));
  const before = few.evaluations;
  await few.step(prompts.slice(2));
  expect(few.evaluations).toBe(before);
  await few.step(prompts.slice(0, 1));
  expect(few.evaluations).toBe(before + 6);
});
