/** Label words asked of an API in text: rewards graded by log-probabilities, over a server that tells them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../src/runs/config.ts';
import { evaluate } from '../src/runs/evaluate.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import {
  type Asked,
  formats,
  type ProviderServer,
  type Reply,
  startServer,
} from './support/provider-server.ts';

let folder: string;
let store: RunStore;
let server: ProviderServer | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-graded-'));
  process.env.WHETSTONE_HOME = join(folder, 'home');
  const rows = Array.from({ length: 40 }, (_, i) => ({
    text: `${i % 2 ? 'great' : 'awful'} number ${i}`,
    label: i % 2,
  }));
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`);
  await writeFile(join(folder, 'remarks.jsonl'), lines.join(''));
  store = await openStore();
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(async () => {
  store.close();
  await rm(folder, { recursive: true, force: true });
});

/** Always right; how sure it is depends on the prompt. */
function answer({ messages }: Asked): { label: string; sure: number } {
  const text = messages.map(({ content }) => content).join('\n');
  return {
    label: text.includes('great') ? 'positive' : 'negative',
    sure: text.includes('Decide now') ? 0.9 : 0.5,
  };
}

function telling(asked: Asked): Reply {
  const { label, sure } = answer(asked);
  const other = label === 'positive' ? 'negative' : 'positive';
  const logProbs = [
    [label, Math.log(sure)],
    [other, Math.log((1 - sure) / 2)],
  ] as const;
  return { text: label, ...(asked.topLogProbs ? { logProbs } : {}) };
}

async function load(script: (asked: Asked) => Reply) {
  server = await startServer(
    formats.find(({ provider }) => provider === 'openai-compatible')!,
    script,
  );
  const yaml = `
task: { kind: sentiment, data: remarks.jsonl, labels: { "0": negative, "1": positive } }
taskLm: { provider: openai-compatible, model: m, baseUrl: "${server.baseUrl}" }
method: { name: manual, prompts: [Say it., Decide now., Label it.] }
`;
  return { config: parseConfig(yaml), path: join(folder, 'w.yaml'), folder };
}

async function run(script: (asked: Asked) => Reply) {
  const warnings: string[] = [];
  const result = await optimize(await load(script), {
    store,
    onEvent: (event) => {
      if (event.kind === 'warning') warnings.push(event.message);
    },
  });
  return { result, warnings: warnings.filter((text) => text.includes('log-probabilities')) };
}

it('tell prompts apart that are all right, and leave the score what it is', async () => {
  const { result, warnings } = await run(telling);
  expect(result).toMatchObject({ prompt: 'Decide now.', metric: 'label-match' });
  expect(result.test).toMatchObject({ score: 1, interval: [1, 1] });
  const [best, next] = store.prompts(result.runId);
  expect(best!.reward).toBeCloseTo(0.5 + 0.5 * 0.9);
  expect(next!.reward).toBeCloseTo(0.5 + 0.5 * 0.5);
  expect(warnings).toEqual([]);
  expect(server!.asked.every(({ topLogProbs }) => topLogProbs === 20)).toBe(true);
});

it.each([
  ['leaves them out', ({ ...asked }: Asked): Reply => ({ text: answer(asked).label })],
  [
    'refuses to tell them',
    (asked: Asked): Reply =>
      asked.topLogProbs
        ? { status: 400, message: 'logprobs are not supported' }
        : { text: answer(asked).label },
  ],
])('fall back to right and wrong where the server %s, and say so once', async (_, script) => {
  const { result, warnings } = await run(script);
  expect(result.test).toMatchObject({ score: 1, examples: 12 });
  expect(warnings).toEqual([expect.stringMatching(/^openai-compatible:m tells no log-prob/)]);
  // It was asked for them once.
  expect(server!.asked.filter(({ topLogProbs }) => topLogProbs)).toHaveLength(1);
});

it('leave an evaluation what it is', async () => {
  const result = await evaluate(await load(telling), {
    subject: { prompt: 'Say it.' },
    split: 'validation',
  });
  expect(result).toMatchObject({ score: 1, perClass: [{ recall: 1 }, { recall: 1 }] });
});
