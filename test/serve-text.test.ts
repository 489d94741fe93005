/** The endpoint over tasks that are answered in text, and over a policy that writes for each conversation. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportRun } from '../src/exports/export-run.ts';
import { loadConfig } from '../src/runs/config.ts';
import type { OptimizeResult } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore } from '../src/runs/store.ts';
import { write } from '../src/runs/write.ts';
import type { LogRecord } from '../src/server/openai/app.ts';
import { type ServeOptions, type Serving, serve } from '../src/server/openai/serve.ts';
import type { ProviderServer } from './support/provider-server.ts';
import { calculate, startChatServer, writeSums } from './support/sums.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const KEY = 'sk-not-to-be-seen-4711-abcdef';

async function start(runId: string, options: Partial<ServeOptions> = {}): Promise<Serving> {
  const store = await openStore();
  const run = store.getRun(runId);
  store.close();
  return serve(run, { port: 0, ...options });
}

interface Body {
  readonly choices: readonly [{ readonly message: { readonly content: string } }];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly error: { readonly message: string; readonly code: string | null; readonly type: string };
  readonly whetstone: { readonly prompt: string };
}

async function chat({ url }: Serving, messages: object[], more: object = {}) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'whetstone', messages, ...more }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}
const user = (content: string) => ({ role: 'user', content });

describe('a task that is answered in text, behind an API', () => {
  let folder: string;
  let server: ProviderServer;
  let result: OptimizeResult;
  let serving: Serving;
  const logged: LogRecord[] = [];
  /** Set by a test: what the task LM does. */
  let trouble: 'none' | 'hang' | 'fail' = 'none';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whetstone-serve-'));
    process.env.WHETSTONE_HOME = join(folder, 'home');
    process.env.SERVE_TEST_KEY = KEY;
    server = await startChatServer((asked) => {
      if (trouble === 'hang') return { hang: true };
      if (trouble === 'fail') return { status: 400, message: `broken, key ${KEY}` };
      return calculate(asked);
    });
    const path = await writeSums(folder, server, {
      rows: 30,
      model: { apiKey: 'env:SERVE_TEST_KEY' },
      config: {
        method: { name: 'manual', prompts: ['Solve it carefully: times first.'] },
        budget: { evaluations: 400 },
      },
    });
    const store = await openStore();
    result = await optimize(await loadConfig(path), { store });
    store.close();
    serving = await start(result.runId, { log: (record) => logged.push(record), logBodies: true });
  });
  afterAll(async () => {
    await serving?.close(0);
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('puts the found prompt where the client’s own stood', async () => {
    const before = server.asked.length;
    const { status, body } = await chat(serving, [
      { role: 'system', content: 'Talk like a pirate.' },
      user('2 + 3 * 5'),
    ]);
    expect([status, body.choices[0].message.content]).toEqual([200, '= 17']);
    expect(body.usage.prompt_tokens).toBe(11);
    const asked = server.asked.slice(before);
    expect(asked).toHaveLength(1);
    expect(JSON.stringify(asked[0]!.messages)).toContain(result.prompt);
    expect(JSON.stringify(asked[0]!.messages)).not.toContain('pirate');
    expect(asked[0]!.temperature).toBe(0);
  });

  it('passes on the conversation, and how an answer is drawn', async () => {
    const before = server.asked.length;
    const talk = [user('1 + 1 * 1'), { role: 'assistant', content: '2' }, user('2 + 2 * 9')];
    await chat(serving, talk, { temperature: 0.5, max_tokens: 3, stop: '.' });
    await chat(serving, talk, { temperature: 0.5, max_tokens: 3, stop: '.' });
    const asked = server.asked.slice(before);
    // What is drawn is drawn anew.
    expect(asked).toHaveLength(2);
    expect(asked[0]).toMatchObject({ temperature: 0.5, maxTokens: 3, stop: ['.'] });
    expect(asked[0]!.messages.map(({ content }) => content).slice(-3)).toEqual(talk.map(({ content }) => content)); // biome-ignore format: one line
  });

  it('says what the task LM’s failure is, without its key', async () => {
    trouble = 'fail';
    const { status, body } = await chat(serving, [user('3 + 3 * 3')]);
    trouble = 'none';
    expect(status).toBe(502);
    expect(body.error.message).toContain('the task LM gave no answer');
    expect(JSON.stringify([body, logged])).not.toContain(KEY);
    expect((await chat(serving, [user('3 + 3 * 4')])).status).toBe(200);
  });

  it('gives up on an answer that does not come', async () => {
    const hurried = await start(result.runId, { timeoutMs: 300 });
    trouble = 'hang';
    const { status, body } = await chat(hurried, [user('5 + 5 * 5')]);
    trouble = 'none';
    expect([status, body.error.code]).toEqual([504, 'timeout']);
    await hurried.close(0);
  });

  it('has no logprobs', async () => {
    const { status, body } = await chat(serving, [user('1 + 1 * 1')], { logprobs: true });
    expect([status, body.error.message]).toEqual([
      400,
      expect.stringContaining('label words alone'),
    ]);
  });

  it('logs bodies where that is asked for', () => {
    expect(JSON.stringify(logged)).toContain('2 + 3 * 5');
  });

  it.each([
    'text',
    'json',
    'openai',
    'ai-sdk',
    'langchain',
    'promptfoo',
    'markdown',
    'html',
  ] as const)('exports as %s, scored again through the API', async (to) => {
    // biome-ignore format: one line
    const store = await openStore();
    const before = server.asked.length;
    const exported = await exportRun(store.getRun(result.runId), { format: to, out: join(folder, to), store }); // biome-ignore format: one call
    store.close();
    expect(exported).toMatchObject({ score: result.test.score, rescored: result.test.score });
    expect(server.asked.length - before).toBe(result.test.examples);
    const { readFile } = await import('node:fs/promises');
    for (const file of exported.files) expect(await readFile(file, 'utf8')).not.toContain(KEY);
  });
});

describe('a policy that reads the conversation', () => {
  let task: TinyTask;
  let result: OptimizeResult;
  let serving: Serving;
  const told = (content: string) => [user(content)];

  beforeAll(async () => {
    task = await tinyTask();
    for (const split of ['train', 'validation', 'test']) {
      const rows = Array.from({ length: 12 }, (_, i) => ({
        text: `${split} the food was slow ${'very '.repeat(i)}late`,
        label: i % 2,
        conversation: told(i % 3 === 0 ? 'is it warm' : 'the film was loud'),
      }));
      const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
      await writeFile(join(task.folder, `${split}.jsonl`), text);
    }
    const store = await openStore();
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
    result = await optimize(await task.load(...set), { store });
    store.close();
    serving = await start(result.runId);
  });
  afterAll(async () => {
    await serving?.close(0);
    await task?.remove();
  });

  it('answers with the prompt that it writes for this very conversation', async () => {
    const store = await openStore();
    const run = store.getRun(result.runId);
    store.close();
    for (const said of ['is it warm', 'the film was loud']) {
      const { status, body } = await chat(serving, [...told(said), user('the room was cold')]);
      expect(status).toBe(200);
      expect(['negative', 'positive']).toContain(body.choices[0].message.content);
      const written = await write({ run, context: { conversation: told(said) as never } });
      expect(body.whetstone.prompt).toBe(written.prompt);
    }
  });

  it('reads the first message itself where nothing was said before', async () => {
    const { status, body } = await chat(serving, [user('the room was cold')]);
    expect(status).toBe(200);
    expect(typeof body.whetstone.prompt).toBe('string');
  });

  it('is exported to PEFT with what it reads, and scores the same from there', async () => {
    const store = await openStore();
    const folder = join(task.folder, 'peft');
    const exported = await exportRun(store.getRun(result.runId), { format: 'peft', out: folder, store }); // biome-ignore format: one call
    expect(exported.rescored).toBeCloseTo(result.test.score, 9);
    expect(exported.files.map((file) => file.slice(folder.length + 1)).sort()).toEqual(['README.md', 'peft/adapter_config.json', 'peft/adapter_model.safetensors', 'policy.json']); // biome-ignore format: one list
    const run = store.getRun(result.runId);
    await expect(exportRun(run, { format: 'openai', out: folder, store })).rejects.toThrow('this run found a policy; take one of json, peft, markdown, html'); // biome-ignore format: one line
    store.close();
  });
});
