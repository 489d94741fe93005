/** Tasks that are answered in text, from configuration to result, on models whose rules are known. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextModel } from '../src/providers/text-model.ts';
import { compare } from '../src/runs/compare.ts';
import { planOf } from '../src/runs/compare-plan.ts';
import { type LoadedConfig, parseConfig } from '../src/runs/config.ts';
import { evaluate } from '../src/runs/evaluate.ts';
import type { RunEvent } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import { calculator, ruleModel, sums } from './support/text-models.ts';

let folder: string;
let store: RunStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-text-'));
  process.env.WHETSTONE_HOME = join(folder, 'home');
  await writeLines('sums.jsonl', sums(60));
  store = await openStore();
});
afterAll(async () => {
  store.close();
  await rm(folder, { recursive: true, force: true });
});

const writeLines = (name: string, rows: readonly object[]) =>
  writeFile(join(folder, name), `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`);

const yaml = `
task: { kind: arithmetic, data: sums.jsonl, input: problem, gold: answer }
taskLm: openai-compatible:calculator
policyLm: openai-compatible:calculator
method: { name: manual }
`;

function load(set: readonly string[] = [], text = yaml): LoadedConfig {
  return { config: parseConfig(text, { set }), path: join(folder, 'w.yaml'), folder };
}

async function run(model: TextModel, set: readonly string[] = [], text = yaml) {
  const events: RunEvent[] = [];
  const result = await optimize(load(set, text), {
    store,
    onEvent: (event) => void events.push(event),
    openText: async () => model,
  });
  return { result, events };
}

describe('optimize', () => {
  it('finds the human prompt that the task LM needs, and reports it as the contract says', async () => {
    const model = calculator();
    const { result, events } = await run(model);
    expect(result.prompt).toMatch(/carefully/i);
    expect(result).toMatchObject({
      kind: 'result',
      kindOfResult: 'text',
      metric: 'numeric',
      promptTokens: [],
      test: { score: 1, interval: [1, 1], examples: 18 },
    });
    expect(result.rows![0]!.test.score).toBeLessThan(1);
    const { ledger } = result;
    expect(ledger).toMatchObject({ calls: model.asked.length, usd: 0, retries: 0, cached: 0 });
    expect(ledger!.inputTokens).toBeGreaterThan(ledger!.calls);
    expect(events.find(({ kind }) => kind === 'start')).toMatchObject({
      taskLm: 'calculator',
      examples: { train: 30, validation: 12, test: 18 },
    });
  });

  it('asks nothing twice, and opens the test split for the rows alone', async () => {
    const model = calculator();
    await run(model);
    const keys = model.asked.map(({ messages }) => JSON.stringify(messages));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
