/** The choice among solutions: what a reward weighs, and that what has no score goes last. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Candidate } from '../src/methods/index.ts';
import { bestOf, type Scored, shortlist } from '../src/runs/choose.ts';
import { parseConfig } from '../src/runs/config.ts';
import { TextBench } from '../src/runs/text-bench.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { ruleModel, sums } from './support/text-models.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

const candidate = (text: string, reward: number, evaluations: number): Candidate => ({
  prompt: { text },
  reward,
  accuracy: 0,
  evaluations,
});

describe('the shortlist', () => {
  it('weighs a reward by the examples that it is the mean of', async () => {
    const bench = await Workbench.open(await task.load(), {});
    const texts = ['it was', 'the room'];
    const validation = bench.environment(bench.task.validation, 'float32');
    const [a, b] = await validation.step(texts.map((text) => ({ text })));
    const gap = b!.reward - a!.reward;
    const [better, worse] = gap > 0 ? [texts[1]!, texts[0]!] : texts;
    const first = async (evaluations: number) => {
      // On train the other one is ahead by twice the gap: on 24 examples that counts, on one it does not.
      const some = [
        candidate(worse!, 2 * Math.abs(gap), evaluations),
        candidate(better!, 0, evaluations),
      ];
      const [kept] = await shortlist(bench, some, { precision: 'float32', count: 1 });
      return kept!.text;
    };
    expect(gap).not.toBe(0);
    expect(await first(24)).toBe(worse);
    expect(await first(500)).toBe(worse);
    expect(await first(1)).toBe(better);
    await validation.close();
    await bench.close();
  });

  it('puts a text that no example gave a score last', async () => {
    const rows = sums(30).map((row) => JSON.stringify(row));
    await writeFile(join(task.folder, 'sums.jsonl'), rows.join('\n'));
    const config = parseConfig(`
task: { kind: arithmetic, data: sums.jsonl, input: problem, gold: answer }
taskLm: openai-compatible:rules
`);
    const golds = new Map(sums(30).map(({ problem, answer }) => [problem, answer]));
    const model = ruleModel('rules', (system, user) => {
      if (system.includes('broken')) return undefined;
      return system.includes('right') ? golds.get(user.trim()) : '0.5';
    });
    const loaded = { config, path: '', folder: task.folder };
    const bench = await TextBench.open(loaded, { openText: async () => model });
    const texts = ['broken', 'wrong', 'right'];
    const some = texts.map((text) => candidate(text, 0, 15));
    const kept = await shortlist(bench, some, { precision: 'float32', count: 3 });
    expect(kept.map(({ text }) => text)).toEqual(['right', 'wrong', 'broken']);
    await bench.close();
  });
});

it('no solution without a score is the best one', () => {
  const scored = (text: string, reward: number): Scored => {
    const score = { reward, accuracy: 0, examples: [0], rewards: [], predicted: [] };
    const one = { ...score, scores: new Float32Array(0) };
    return { solution: { kind: 'text', text }, train: one, validation: one };
  };
  const best = (...all: Scored[]) => bestOf(all).solution;
  const [none, low, high] = [scored('none', Number.NaN), scored('low', -3), scored('high', 1)];
  expect(best(none, low, high)).toBe(high.solution);
  expect(best(high, none, low)).toBe(high.solution);
  expect(best(none, none)).toBe(none.solution);
});
