/** A policy that reads the conversation and writes a prompt for each input: trained, saved, used. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportRun } from '../src/exports/export-run.ts';
import { evaluate } from '../src/runs/evaluate.ts';
import type { OptimizeResult } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { answer, write } from '../src/runs/write.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { formats, type ProviderServer, startServer } from './support/provider-server.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
const told = (content: string) => [{ role: 'user', content }];
const set = [
  'task.data={ train: train.jsonl, validation: validation.jsonl, test: test.jsonl }',
  'task.conversation=conversation',
  'policy.context=[description, conversation]',
  'method.name=grpo',
  'method.groupSize=4',
  'method.promptTokens=6',
  'method.warmSteps=2',
  'method.prompts=["was the food", "is it very late"]',
  'budget.evaluations=120',
];

let task: TinyTask;
let result: OptimizeResult;
beforeAll(async () => {
  task = await tinyTask();
  for (const split of ['train', 'validation', 'test']) {
    const rows = Array.from({ length: 12 }, (_, i) => ({
      text: `${split} the food was slow ${'very '.repeat(i)}late`,
      label: i % 2,
      conversation: told(i % 3 === 0 ? 'is it warm' : 'the film was loud'),
    }));
    await writeFile(
      join(task.folder, `${split}.jsonl`),
      rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
    );
  }
  result = await optimize(await task.load(...set), { store: await openStore() });
});
afterAll(() => task.remove());

const run = async () => (await openStore()).getRun(result.runId);
function whetstone(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [built, ...args], { cwd: task.folder, encoding: 'utf8' });
}

describe('a run', () => {
  it('gives the policy as its result, scored with the prompt that it writes for each example', () => {
    expect(result.kindOfResult).toBe('policy');
    expect(result.prompt).toBe('a policy that reads the conversation and writes a prompt for it');
    expect(result.test.examples).toBe(12);
    expect(result.files!.map((file) => file.split('/').at(-1))).toEqual([
      'adapter_model.safetensors',
      'adapter_config.json',
      'policy.json',
    ]);
    // At most one step more than the budget holds, and a look at the validation split.
    expect(result.evaluations).toBeLessThan(120 + 16 + 12);
  });

  it('scores the same when it is opened from its files', () => {
    const again = whetstone('evaluate', 'tiny.yaml', ...set.flatMap((s) => ['--set', s]), '--run', result.runId, '--split', 'test', '--json'); // biome-ignore format: one command
    expect(again.stderr).toBe('');
    const { score } = JSON.parse(again.stdout.trim().split('\n').at(-1)!);
    expect(score).toBeCloseTo(result.test.score, 9);
  });
});

describe('a second training', () => {
  it('goes on from the adapter of the first, and refuses one of another size', async () => {
    const folder = join(result.files![0]!, '..', '..');
    const more = [...set, 'method.warmSteps=0', `method.adapter=${folder}`];
    const store = await openStore();
    // With a look at validation and one step of no size, it is what it started from.
    const again = await optimize(await task.load(...more, 'method.learningRate=1e-12'), { store });
    expect(again.validation.score).toBeCloseTo(result.validation.score, 9);
    const other = optimize(await task.load(...more, 'method.rank=4'), { store });
    await expect(other).rejects.toThrow('has rank 8, the method 4, set method.rank to 8');
  });
});

describe('write', () => {
  it('writes what the policy writes for this conversation, and says what it read', async () => {
    const conversation = told('is it warm') as never;
    const once = await write({ run: await run(), context: { conversation } });
    expect(once.reads).toEqual(['description', 'conversation']);
    expect(once.logProb).toBeLessThan(0);
    const again = await write({ run: await run(), context: { conversation } });
    expect(again).toEqual(once);
    const { answer: word, shares, ...same } = await answer({ run: await run(), context: { conversation, input: 'the room was cold' } }); // biome-ignore format: one call
    expect(same).toEqual(once);
    expect(Object.keys(shares!)).toEqual(['negative', 'positive']);
    expect(shares![word!]).toBeGreaterThanOrEqual(0.5);
  });

  it('answers on the command line', async () => {
    await writeFile(join(task.folder, 'chat.json'), JSON.stringify(told('is it warm')));
    const ran = whetstone('write', '--run', result.runId, '--context', 'chat.json', '--json');
    expect(ran.stderr).toBe('');
    const line = JSON.parse(ran.stdout.trim());
    expect(Object.keys(line)).toEqual(['kind', 'prompt', 'promptTokens', 'logProb', 'reads', 'ledger']); // biome-ignore format: one list
    expect(line.ledger).toMatchObject({ calls: 0, usd: 0 });
    const answered = whetstone('answer', '--run', result.runId, '--context', 'chat.json', '--input', 'the room was cold'); // biome-ignore format: one command
    expect(answered.stdout).toMatch(/(negative|positive) \(\d+% of the label words\)/);
  });

  it.each<[string, string, string, number]>([
    ['no JSON', 'hello', 'expected a context as JSON', 1],
    ['a role that nobody has', '[{"role":"god","content":"x"}]', '0.role: expected system or user or assistant, got "god"', 1], // biome-ignore format: one value
    ['a message without content', '{"conversation":[{"role":"user"}]}', 'conversation.0.content: expected string, got nothing', 1], // biome-ignore format: one value
    ['a key that nobody reads', '{"conversation":[],"chat":[]}', 'input; chat: unknown key', 1],
    ['a key that no message has', '[{"role":"user","content":"x","name":"y"}]', 'input; 0.name: unknown key', 1], // biome-ignore format: one value
    ['a text', '"is it warm"', 'expected a list of messages {"role", "content"}, or an object', 1],
    ['an empty conversation', '[]', 'the policy of this run reads the conversation', 2],
    ['what is longer than the window', JSON.stringify(told('is it warm '.repeat(3000))), "shorten what it reads, as the task's description, its examples or the conversation", 2], // biome-ignore format: one value
    [
      'nothing that the policy reads',
      '{"input":"x"}',
      'the policy of this run reads the conversation',
      2,
    ],
  ])('refuses %s', async (_, text, message, code) => {
    await writeFile(join(task.folder, 'bad.json'), text);
    const ran = whetstone('write', '--run', result.runId, '--context', 'bad.json');
    expect(ran.stderr).toContain(message);
    expect(ran.status).toBe(code);
  });

  it('refuses a run that left no policy, and a task without conversations', async () => {
    const random = await optimize(await task.load('method.name=random', 'budget.evaluations=500'), {
      store: await openStore(),
    });
    await writeFile(join(task.folder, 'chat.json'), JSON.stringify(told('is it warm')));
    const ran = whetstone('write', '--run', random.runId, '--context', 'chat.json');
    expect(ran.stderr).toContain('random left no policy that writes prompts');
    const plain = task.load(...set.filter((s) => !s.startsWith('task.')), 'budget.evaluations=600');
    await expect(optimize(await plain, { store: await openStore() })).rejects.toThrow(
      'no train example has a conversation',
    );
  });
});

describe('a task LM behind an API', () => {
  const told = { conversations: 0 };
  let server: ProviderServer;
  let result: OptimizeResult;
  beforeAll(async () => {
    const format = formats.find(({ provider }) => provider === 'openai-compatible')!;
    server = await startServer(format, ({ messages }) => {
      const text = messages.map(({ content }) => content).join('\n');
      if (/is it warm|film was loud/.test(text)) told.conversations++;
      // Right where the prompt names the food, which every text does once.
      const [food, very] = [/food/g, /very /g].map((word) => text.match(word)?.length ?? 0);
      const isPositive = very! % 2 === 1;
      return { text: isPositive === food! > 1 ? 'positive' : 'negative' };
    });
    result = await optimize(await task.load(...set, ...api()), { store: await openStore() });
  });
  afterAll(() => server.close());
  /** The one line that is another. */
  const api = () => [
    `taskLm={ provider: openai-compatible, model: m, baseUrl: "${server.baseUrl}" }`,
  ];

  it('trains the policy of the same configuration, and reads no conversation itself', async () => {
    expect(result).toMatchObject({ kindOfResult: 'policy', metric: 'label-match' });
    expect(result.test.examples).toBe(12);
    expect(result.ledger!.calls).toBeGreaterThan(50);
    expect(told.conversations).toBe(0);
  });

  it('is exported for PEFT, and scores the same from there', async () => {
    const store = await openStore();
    const out = join(task.folder, 'for-peft');
    const exported = await exportRun(store.getRun(result.runId), { format: 'peft', out, store });
    expect(exported.rescored).toBeCloseTo(result.test.score, 9);
    expect(exported.files).toContain(join(out, 'peft', 'adapter_model.safetensors'));
  });

  it('scores the same when it is opened from its files', async () => {
    const run = (await openStore()).getRun(result.runId);
    const again = await evaluate(await task.load(...set, ...api()), {
      subject: { run },
      split: 'test',
    });
    expect(again.score).toBeCloseTo(result.test.score, 9);
  });

  it('answers with the prompt that is written for the conversation', async () => {
    const context = { conversation: [{ role: 'user', content: 'is it warm' }], input: 'so late' };
    const asked = server.asked.length;
    const run = (await openStore()).getRun(result.runId);
    const answered = await answer({ run, context: context as never });
    expect(['negative', 'positive']).toContain(answered.answer);
    expect(answered.ledger).toMatchObject({ calls: 1, inputTokens: 11 });
    const [question] = server.asked.slice(asked);
    const sent = question!.messages.map(({ content }) => content).join('\n');
    expect(sent).toContain(answered.prompt);
    expect(sent).toContain('so late');
  });

  it('is refused where the policy LM is behind an API, too', async () => {
    const loaded = await task.load(...set, ...api(), 'policyLm=openai:gpt-4o-mini');
    await expect(optimize(loaded, { store: await openStore() })).rejects.toThrow(
      /method grpo cannot be used here: it trains the policy LM, which is behind an API; take a local one; methods that can: manual/,
    );
  });
});
