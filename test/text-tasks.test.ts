/** Tasks that are answered in text, from configuration to result, on models whose rules are known. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NetworkError } from '../src/errors.ts';
import { isFailure, type TextModel } from '../src/providers/text-model.ts';
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

describe('a task LM that refuses', () => {
  it('is said once; its refusals are judged like other answers', async () => {
    const polite = calculator();
    const refusing: TextModel = {
      ...polite,
      complete: async (requests, options) =>
        (await polite.complete(requests, options)).map((one) =>
          isFailure(one) ? one : { ...one, text: 'I cannot.', finish: 'refusal' as const },
        ),
    };
    const { result, events } = await run(refusing);
    expect(result.test).toMatchObject({ score: 0, examples: 18 });
    const said = events.filter((event) => event.kind === 'warning').map(({ message }) => message);
    expect(said.filter((message) => /refused to answer/.test(message))).toEqual([
      expect.stringMatching(/^calculator refused to answer \d+ of \d+ questions \("I cannot\."\)/),
    ]);
  });
});

describe('methods that work on words', () => {
  it.each([
    ['few-shot', ['method.shots=2', 'method.maxTokens=200']],
    ['evolution', ['method.children=8', 'method.population=4']],
    ['random', ['method.batchSize=4', 'method.examplesPerStep=8']],
  ])('%s runs to a result within its evaluations', async (name, set) => {
    const budget = 'budget.evaluations=200';
    const { result } = await run(calculator(), [`method.name=${name}`, budget, ...set]);
    expect(result).toMatchObject({ method: name, kindOfResult: 'text', metric: 'numeric' });
    expect(result.prompt).not.toBe('');
    expect(result.evaluations).toBeGreaterThan(50);
    // One round of a race more at most.
    expect(result.evaluations).toBeLessThan(200 + 8 * 30);
  });

  it('few-shot shows train examples in the prompt, and is not judged by them', async () => {
    const { result } = await run(calculator(), [
      'method.name=few-shot',
      'method.shots=2',
      'budget.evaluations=100',
    ]);
    const shown = [...result.prompt.matchAll(/^Input: (.*)\nAnswer: (.*)$/gm)];
    expect(shown).toHaveLength(2);
    const all = sums(60);
    for (const [, problem, answer] of shown) expect(all).toContainEqual({ problem, answer });
    expect(result.train.examples).toBeLessThan(30);
  });

  it('those that need logits or gradients are refused before anything is asked', async () => {
    const model = calculator();
    await expect(run(model, ['method.name=soft-q'])).rejects.toThrow(
      /method soft-q cannot be used here: it needs the task LM's token ids.*calculator is asked in text; methods that can: manual, few-shot, evolution, reflect, random$/,
    );
    expect(model.asked).toHaveLength(0);
  });
});

describe('reflect', () => {
  const mender = ruleModel('mender', (_, user) => {
    const now = /Its prompt now:\n```\n([\s\S]*?)\n```/.exec(user)?.[1] ?? '';
    const isPrecedence = /Input: \d+ [+-] \d+ \* \d+/.test(user);
    const more = isPrecedence ? 'Work carefully: times before plus.' : 'Be brief.';
    return `The prompt says too little.\n\n\`\`\`\n${now} ${more}\n\`\`\``;
  });

  async function reflectOn(set: readonly string[] = []) {
    const task = calculator();
    const events: RunEvent[] = [];
    const result = await optimize(
      load([
        'method.name=reflect',
        'method.prompts=["Solve the problem."]',
        'policyLm=openai-compatible:mender',
        'budget.evaluations=400',
        ...set,
      ]),
      {
        store,
        onEvent: (event) => void events.push(event),
        openText: async (reference) => (String(reference).endsWith('mender') ? mender : task),
      },
    );
    const steps = events.filter((event) => event.kind === 'step');
    return { result, steps, task };
  }

  it('reads the failures and writes the rule that the prompt lacks', async () => {
    const { result, steps } = await reflectOn();
    expect(result.prompt).toContain('carefully');
    expect(result.prompt).toMatch(/^Solve the problem\./);
    expect(result.test.score).toBe(1);
    expect(steps.at(-1)!.quantities).toMatchObject({ tooLong: 0, failed: 0 });
    expect(steps.at(-1)!.quantities!.accepted).toBeGreaterThan(0);
    const request = mender.asked[0]!;
    expect(request).toMatchObject({ temperature: 1, maxTokens: 1024 });
    expect(request.messages[0]!.content).toMatch(/Answer: -?\d+\nWanted: -?\d+/);
  });

  it('puts nothing forward that is longer than allowed', async () => {
    const { result, steps } = await reflectOn(['method.maxCharacters=30']);
    expect(result.prompt).toBe('Solve the problem.');
    expect(steps.at(-1)!.quantities).toMatchObject({ accepted: 0, candidates: 1 });
    expect(steps.at(-1)!.quantities!.tooLong).toBeGreaterThan(0);
  });
});

describe('an answer that does not come', () => {
  it('is no score at all: it is left out, counted and told, not zero', async () => {
    const broken = new Set(sums(60).flatMap(({ problem }, i) => (i % 6 === 0 ? [problem] : [])));
    const inner = calculator();
    const model: TextModel = {
      ...inner,
      name: 'flaky',
      complete: async (requests, options) => {
        const answers = await inner.complete(requests, options);
        return answers.map((answer, i) =>
          broken.has(requests[i]!.messages.at(-1)!.content)
            ? { error: new NetworkError('the server answered 500') }
            : answer,
        );
      },
    };
    const { result, events } = await run(model);
    expect(result.test.score).toBe(1);
    const { train, validation, test } = result;
    const failed = [train, validation, test].map((split) => split.failed ?? 0);
    expect(failed.reduce((a, b) => a + b)).toBe(10);
    expect(test.examples + (test.failed ?? 0)).toBe(18);
    const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
    expect(warnings[0]).toMatch(/left out and not counted as wrong.*the server answered 500/);
  });

  it('ends the run with the reason where none comes', async () => {
    const model = ruleModel('down', () => undefined);
    await expect(run(model)).rejects.toThrow('down: the server answered 500 to a request');
    expect(model.asked.length).toBeLessThan(300);
  });
});

describe('evaluate', () => {
  it('scores one prompt on one split', async () => {
    const model = calculator();
    const result = await evaluate(load(), {
      subject: { prompt: 'Calculate carefully.' },
      split: 'validation',
      openText: async () => model,
    });
    expect(result).toMatchObject({
      score: 1,
      examples: 12,
      metric: 'numeric',
      perClass: [],
      ledger: { calls: 12 },
    });
  });
});

describe('compare', () => {
  it('judges the methods that serve the task on the same sealed examples', async () => {
    const model = calculator();
    const plan = planOf(load(['budget.evaluations=500', 'method.name=manual']), {
      methods: ['manual', 'random'],
      seeds: 2,
    });
    const compared = await compare(plan, { store, openText: async () => model });
    expect(compared.cells.map(({ state }) => state)).toEqual(['done', 'done', 'done', 'done']);
    expect(compared.about.metric).toBe('numeric');
    expect(compared.ledger!.calls).toBe(model.asked.length);
    const hits = compared.cells.map(({ outcome }) => outcome!.test!.hits.length);
    expect(hits).toEqual([18, 18, 18, 18]);
  });

  it('takes those methods alone when none are named', () => {
    const names = planOf(load()).methods.map(({ method }) => method.name);
    expect(names).toEqual(['manual', 'few-shot', 'evolution', 'reflect', 'random']);
  });
});

describe('classification by a task LM that answers in text', () => {
  it('matches the answers to the label words', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({
      text: `${i % 2 ? 'great' : 'awful'} number ${i}`,
      label: i % 2,
    }));
    await writeLines('remarks.jsonl', rows);
    const config = `
task: { kind: sentiment, data: remarks.jsonl, labels: { "0": negative, "1": positive } }
taskLm: openai-compatible:reader
method: { name: manual }
`;
    // Names both labels unless it is told to give one alone.
    const reader = ruleModel('reader', (system, user) => {
      const label = user.includes('great') ? 'Positive' : 'Negative';
      return /only|one/i.test(system) ? `${label}.` : `Is it positive or negative? ${label}!`;
    });
    const { result } = await run(reader, [], config);
    expect(result).toMatchObject({ metric: 'label-match', test: { score: 1 } });
    expect(result.prompt).toMatch(/only|one/);
  });
});
