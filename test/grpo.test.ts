/** GRPO on a tiny checkpoint with a real task: what it reports, that it learns, and what it leaves. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawExamples, messagesFor } from '../src/policy/messages.ts';
import { asPrompt } from '../src/policy/writer.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { createRng } from '../src/util/rng.ts';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask({ examples: 16 });
});
afterAll(() => task.remove());

const set = (options: object, evaluations: number) => [
  'method.name=grpo',
  'method.promptTokens=6',
  ...Object.entries(options).map(([key, value]) => `method.${key}=${JSON.stringify(value)}`),
  `budget.evaluations=${evaluations}`,
];

describe('a training', () => {
  it('is the same for the same seed, with a reference and several updates', async () => {
    const options = { klWeight: 0.1, updates: 2, groupSize: 4, warmSteps: 2 };
    const once = await searchTiny(task, ...set(options, 600));
    const again = await searchTiny(task, ...set(options, 600));
    expect(again.reports).toEqual(once.reports);
    const last = once.reports.at(-1)!.quantities!;
    expect(last.kl).toBeGreaterThan(0);
    expect(last.ratio).not.toBe(1);
    expect(last.promptTokens).toBeLessThanOrEqual(6);
  });

  it('samples groups again that teach nothing, and counts them', async () => {
    // Two prompts of one word each are often the same.
    const options = { promptTokens: 2, warmSteps: 0, resamples: 1, groupSize: 2 };
    const { reports } = await searchTiny(task, ...set(options, 300));
    const of = (name: string) => reports.map(({ quantities }) => quantities![name]!);
    expect(Math.max(...of('resampled'))).toBeGreaterThan(0);
    for (const [i, count] of of('zeroVariance').entries()) {
      // A step in which no group taught anything made no update.
      if (count === 2) expect(reports[i]!.quantities!.gradientNorm).toBeUndefined();
    }
  });
});

describe('a run', () => {
  it('reports a text, and keeps the adapter as PEFT has it', async () => {
    const loaded = await task.load(...set({ groupSize: 4, warmSteps: 2 }, 600));
    const store = await openStore();
    const result = await optimize(loaded, { store });
    expect(result.kindOfResult).toBe('text');
    const weights = result.files!.find((file) => file.endsWith('adapter_model.safetensors'))!;
    const folder = join(weights, '..');
    expect((await readdir(folder)).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({
      peft_type: 'LORA',
      r: 8,
      lora_alpha: 16,
      task_type: 'CAUSAL_LM',
    });
  });
});

describe('what a policy is asked', () => {
  const context = {
    description: 'Say how it was.',
    examples: [{ input: 'it was good', answer: 'positive' }],
    conversation: [{ role: 'user', content: 'Hello' }],
    question: 'Is it far?',
  };

  it('holds the parts that it conditions on, and those alone', () => {
    const [all] = messagesFor(context, { words: 9 });
    for (const part of ['Say how', 'it was good', 'user: Hello', 'Is it far?', '9 words']) {
      expect(all!.content).toContain(part);
    }
    const [some] = messagesFor(context, { words: 9, parts: ['question'] });
    expect(some!.content).toContain('Is it far?');
    expect(some!.content).not.toContain('Hello');
    expect(messagesFor({}, { words: 9 })[0]!.content).toMatch(/^Write a prompt/);
  });

  it('shows an example of each class', async () => {
    const { bench } = await opened();
    const shown = drawExamples(bench, createRng(1));
    expect(new Set(shown.map(({ answer }) => answer))).toEqual(new Set(['negative', 'positive']));
  });

  it('is one line without its quotes', () => {
    expect(asPrompt('  "Say\n  it."  ')).toBe('Say it.');
    expect(asPrompt("It's 'so'")).toBe("It's 'so'");
  });
});

async function opened() {
  const workbench = await Workbench.open(await task.load(), {});
  const bench = workbench.task;
  await workbench.close();
  return { bench };
}
