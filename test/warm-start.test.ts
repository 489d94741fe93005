/** Imitation weighted by what prompts earn: which of two prompts helps when, on a tiny checkpoint. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grpoOptions } from '../src/methods/grpo-options.ts';
import { type MethodContext, method } from '../src/methods/method.ts';
import { eachContext } from '../src/methods/subjects.ts';
import { earned, warmStart } from '../src/methods/warm-start.ts';
import { loadCompletionReader } from '../src/models/completions.ts';
import { PromptWriter } from '../src/policy/index.ts';
import { methodOf } from '../src/runs/configured-method.ts';
import { search } from '../src/runs/search.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { createRng } from '../src/util/rng.ts';
import { searchTiny, type TinyTask, tinyTask } from './tiny-task.ts';

const PROMPTS = ['was the food fine', 'is slow'] as const;
const set = [
  'task.data={ train: train.jsonl, validation: validation.jsonl, test: test.jsonl }',
  'task.conversation=conversation',
  'policy.context=[description, conversation]',
  'method.name=grpo',
  'budget.evaluations=100000',
  'reward=log-prob',
];
const told = (content: string) => [{ role: 'user', content }];

let task: TinyTask;
beforeAll(async () => {
  task = await tinyTask();
});
afterAll(() => task.remove());

/** What a method sees, as a run gives it. */
async function inContext(
  use: (context: MethodContext) => Promise<void>,
  ...more: string[]
): Promise<void> {
  const loaded = await task.load(...set, ...more);
  const { config } = loaded;
  const bench = await Workbench.open(loaded, {});
  const probe = method({
    name: 'probe',
    summary: '',
    options: grpoOptions,
    async *run(context: MethodContext) {
      await use(context);
      context.pool.add({ text: 'it' }, (await context.environment.step([{ text: 'it' }]))[0]!);
      yield { step: 1, tried: [] };
    },
  });
  const { methodOptions } = methodOf(config);
  try {
    await search({ bench, config, method: probe, methodOptions, emit: () => {}, signal: undefined }); // biome-ignore format: one call
  } finally {
    await bench.close();
  }
}

/** Rows whose conversation says which of the two prompts the task LM answers better with. */
async function writeData(): Promise<void> {
  const words = 'food room staff film plot cast book'.split(' ');
  const rows = words.flatMap((a) =>
    words.slice(0, 4).map((b, i) => ({ text: `the ${a} was very ${b}`, label: i % 2 })),
  );
  const save = async (asked: (i: number) => string) => {
    for (const split of ['train', 'validation', 'test']) {
      const lines = rows.map(({ text, label }, i) =>
        JSON.stringify({ text: `${split} ${text}`, label, conversation: told(asked(i)) }),
      );
      await writeFile(join(task.folder, `${split}.jsonl`), `${lines.join('\n')}\n`);
    }
  };
  await save(() => 'is it');
  const better: boolean[] = [];
  await inContext(async ({ environment }) => {
    const [a, b] = await environment.step(PROMPTS.map((text) => ({ text })));
    for (const [i, e] of a!.examples.entries()) better[e] = a!.rewards[i]! > b!.rewards[i]!;
  });
  expect(new Set(better).size).toBe(2);
  await save((i) => (better[i] ? 'is it warm' : 'the film was loud'));
}

describe('a warm start weighted by reward', () => {
  it('makes each prompt likelier where it earns more, and costs what it asks of the task LM', async () => {
    await writeData();
    await inContext(async (context) => {
      const lm = await context.policyLm();
      const lora = { rank: 4, alpha: 8, layers: 'all' } as const;
      const promptTokens = 8;
      const writer = await PromptWriter.open(lm, { lora, promptTokens, rng: createRng(1) });
      const recipe = { reads: [...context.reads], promptTokens, precision: 'float32' as const, description: '', examples: [] }; // biome-ignore format: one object
      const draw = eachContext(context, recipe, { writer, examplesPerStep: 64 });
      const subjects = draw(2);
      const firstEarnsMore: boolean[] = [];
      for (const subject of subjects) {
        const shares = await earned(subject, PROMPTS);
        expect([...shares.values()].reduce((a, b) => a + b)).toBeCloseTo(1, 6);
        firstEarnsMore.push(shares.get(PROMPTS[0])! > shares.get(PROMPTS[1])!);
      }
      expect(new Set(firstEarnsMore).size).toBe(2);
      const reader = await loadCompletionReader(lm, lora);
      /** How much more likely the first prompt is than the second, for each of the contexts. */
      const leaning = async () => {
        const texts = PROMPTS.map((text) => writer.idsOf(text));
        const groups = subjects.map(({ reading }) => ({ prompt: reading, texts }));
        const read = await reader.read(groups, writer.parameters);
        const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);
        return read.map(([first, second]) => sum(first!) - sum(second!));
      };
      const [a, b] = await leaning();
      expect(Math.sign(a!)).toBe(Math.sign(b!));
      const options = { warmSteps: 40, warmRate: 1e-2, clipNorm: 1, groups: 2 };
      const spent = context.budget.evaluations;
      await warmStart(context, { writer, draw, prompts: PROMPTS, options, weight: 'reward' });
      // Both prompts were scored on both contexts' examples already; nothing is paid twice.
      expect(context.budget.evaluations).toBe(spent);
      const after = await leaning();
      subjects.forEach((_, i) => {
        // One context's lesson reaches the other, too: what parts them is what was asked for.
        expect(Math.sign(after[i]!)).toBe(firstEarnsMore[i] ? 1 : -1);
      });
      await reader.unload();
      await writer.close();
    });
  });

  it('is counted in the budget, whatever is given is scored once on each example', async () => {
    await writeData();
    const first = async (...more: string[]) => {
      const found = await searchTiny(task, ...set, 'method.groupSize=2', 'method.promptTokens=6', ...more, 'budget.evaluations=300'); // biome-ignore format: one call
      return found;
    };
    const given = `method.prompts=${JSON.stringify(PROMPTS)}`;
    const uniform = await first(given, 'method.warmWeight=uniform');
    const weighted = await first(given);
    // 56 of 300 go to the two given prompts, and as many fewer to what is written.
    expect(weighted.reports.length).toBeLessThan(uniform.reports.length);
    expect(weighted.evaluations).toBeLessThan(300 + 200);
  });

  it('tells how far it is, context by context, and how long it will take', async () => {
    await writeData();
    const { events } = await searchTiny(task, ...set, 'method.groupSize=2', 'method.promptTokens=6', 'method.groups=2', 'method.warmSteps=3', `method.prompts=${JSON.stringify(PROMPTS)}`, 'budget.evaluations=400'); // biome-ignore format: one call
    const first = events.findIndex(({ kind }) => kind === 'step');
    const told = events.slice(0, first).filter((event) => event.kind === 'progress');
    const phase = { kind: 'progress', phase: 'imitating 2 prompts', total: 6, unit: 'contexts' };
    expect(told).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((done) => ({
        ...phase,
        done,
        ...(done > 0 ? { secondsLeft: expect.any(Number) } : {}),
      })),
    );
    expect(told.at(-1)).toMatchObject({ secondsLeft: 0 });
  });

  it('takes prompts from a file as well', async () => {
    await writeData();
    await writeFile(join(task.folder, 'earlier.txt'), `${PROMPTS.join('\n')}\n`);
    const read = (file: string) => searchTiny(task, ...set, 'method.groupSize=2', 'method.promptTokens=6', `method.promptsFile=${file}`, 'budget.evaluations=300'); // biome-ignore format: one call
    const found = await read('earlier.txt');
    const given = await searchTiny(task, ...set, 'method.groupSize=2', 'method.promptTokens=6', `method.prompts=${JSON.stringify(PROMPTS)}`, 'budget.evaluations=300'); // biome-ignore format: one call
    expect(found.reports).toEqual(given.reports);
    await expect(read('missing.txt')).rejects.toThrow('no such file');
  });
});
