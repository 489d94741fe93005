/** `inspect` on a tiny checkpoint: each figure against one made by other means, and as a process. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectLines } from '../src/cli/render/inspect-view.ts';
import { createStyle, styledWidth } from '../src/cli/render/style.ts';
import { type LanguageModel, loadEmbeddings, loadScorer } from '../src/models/index.ts';
import { contextIds } from '../src/policy/index.ts';
import { inspect } from '../src/runs/inspect/inspect.ts';
import type { InspectResult } from '../src/runs/inspect/result.ts';
import { substitute } from '../src/runs/inspect/rewrite.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, writeTinyTask } from './support/tiny-task.ts';
import { fixtures } from './tiny-models.ts';

const PROMPT = 'the mood qz walked';
const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
const before = { ...process.env };
let tiny: TinyTask;
let result: InspectResult;
let bench: Workbench;

beforeAll(async () => {
  tiny = await writeTinyTask(await mkdtemp(join(tmpdir(), 'whetstone-inspect-')));
  process.env.WHETSTONE_HOME = join(tiny.folder, 'home');
  process.env.WHETSTONE_MODELS = join(tiny.folder, 'home', 'models');
  const models = [tiny.model, join(fixtures, 'models', 'roberta'), '/nowhere/at-all'];
  result = await inspect(tiny.load(), { prompt: PROMPT, models, maxPerplexity: 1e9 });
  bench = await Workbench.open(tiny.load(), {});
});
afterAll(async () => {
  await bench?.close();
  process.env = before;
  await rm(tiny.folder, { recursive: true, force: true });
});

/** −ln P of ids after a beginning, by whole sequences. */
async function surprise(lm: LanguageModel, beginning: readonly number[], ids: readonly number[]) {
  const scorer = await loadScorer(lm, 'logProbs');
  const out: number[] = [];
  for (const [t, id] of ids.entries()) {
    const row = [...beginning, ...ids.slice(0, t)];
    out.push(-(await scorer.run([row], [row.length - 1]))[id]!);
  }
  await scorer.unload();
  return out;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('perplexity', () => {
  it('is that of the log-probabilities, in each place', async () => {
    const lm = bench.taskLm;
    const spaced = lm.tokenizer.encode(` ${PROMPT}`);
    const alone = await surprise(lm, contextIds(lm, ''), lm.tokenizer.encode(PROMPT));
    const context = contextIds(lm, await bench.policyContext());
    const after = await surprise(lm, context, spaced);
    const placed: number[][] = [];
    for (const { input } of [...bench.task.train, ...bench.task.validation]) {
      placed.push(await surprise(lm, lm.tokenizer.encode(input), spaced));
    }
    expect(Math.log(result.perplexity.alone)).toBeCloseTo(mean(alone), 4);
    expect(Math.log(result.perplexity.afterContext)).toBeCloseTo(mean(after), 4);
    expect(Math.log(result.perplexity.inPlace)).toBeCloseTo(mean(placed.flat()), 4);
    for (const [t, token] of result.tokens.entries()) {
      expect(token.logProb.afterContext).toBeCloseTo(-after[t]!, 4);
      expect(token.logProb.inPlace).toBeCloseTo(-mean(placed.map((row) => row[t]!)), 4);
    }
  });
});

describe('tokens', () => {
  it('are worth what separate evaluations without them lose', async () => {
    const examples = [...bench.task.train, ...bench.task.validation];
    const words = PROMPT.split(' ');
    const score = async (text: string) => {
      const environment = bench.environment(examples, 'float32');
      const [found] = await environment.evaluate([text]);
      await environment.close();
      return found!;
    };
    const own = await score(PROMPT);
    expect(result.score.score).toBe(own.accuracy);
    expect(result.reward).toBeCloseTo(own.reward, 3);
    expect(result.tokens.map(({ token }) => token.trim())).toEqual(words);
    for (const [t, token] of result.tokens.entries()) {
      const without = await score(words.toSpliced(t, 1).join(' '));
      expect(token.importance).toBeCloseTo(own.accuracy - without.accuracy, 6);
      expect(token.rewardImportance).toBeCloseTo(own.reward - without.reward, 3);
      expect(token.interval[0]).toBeLessThanOrEqual(token.importance);
      expect(token.interval[1]).toBeGreaterThanOrEqual(token.importance);
    }
    expect(result.empty.score).toBe((await score('')).accuracy);
  });

  it('have the neighbours of the highest cosine', async () => {
    const table = await loadEmbeddings(bench.taskLm);
    const { id, nearest } = result.tokens[0]!;
    const V = bench.taskLm.config.vocabulary;
    const rows = await table.directions(Array.from({ length: V }, (_, i) => i));
    const D = rows.length / V;
    const cosines = Array.from({ length: V }, (_, v) => {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += rows[id * D + d]! * rows[v * D + d]!;
      return sum;
    });
    const { tokenizer } = bench.taskLm;
    const order = cosines
      .map((cosine, v) => ({ cosine, v }))
      .filter(({ v }) => v !== id && v < tokenizer.size && !tokenizer.isSpecial(v))
      .sort((a, b) => b.cosine - a.cosine);
    expect(cosines[id]).toBeCloseTo(1, 5);
    expect(nearest.map(({ token }) => token)).toEqual(
      order.slice(0, nearest.length).map(({ v }) => tokenizer.tokenText(v)),
    );
    expect(nearest[0]!.cosine).toBeCloseTo(order[0]!.cosine, 5);
    await table.unload();
  });
});

describe('the rest', () => {
  it('counts words, draws orders by the seed, and leaves the test split sealed', async () => {
    expect(result.words.filter(({ isKnown }) => !isKnown).map(({ word }) => word)).toEqual([]);
    expect(result.dictionaryShare).toBe(1);
    const { accuracy, permutations } = result.order!;
    expect(permutations).toBe(8);
    expect(accuracy.min).toBeLessThanOrEqual(accuracy.mean);
    expect(accuracy.max).toBeGreaterThanOrEqual(accuracy.mean);
    const { train, validation, test } = bench.task;
    expect(result.examples).toEqual({
      train: train.length,
      validation: validation.length,
      sealedTest: test.size,
    });
  });

  it('rewrites within the limit, and tells the best one’s cost', async () => {
    const rewrite = result.fluentRewrite!;
    const [reading] = await (await bench.fluency()).read([rewrite.prompt]);
    expect(rewrite.perplexity).toBeCloseTo(reading!.perplexity, 1);
    expect(rewrite.prompt).not.toBe(PROMPT);
    expect(rewrite.difference).toBeCloseTo(rewrite.score.score - result.score.score, 6);
    expect(result.rewrites.fluent).toBeGreaterThan(0);
  });

  it('substitutes towards likelier texts, the likeliest first', async () => {
    const lm = bench.taskLm;
    const embeddings = await loadEmbeddings(lm);
    const context = await bench.policyContext();
    const ids = lm.tokenizer.encode(` ${PROMPT}`);
    const found = await substitute(lm, ids, { embeddings, context });
    const begin = contextIds(lm, context);
    const own = mean(await surprise(lm, begin, ids));
    const each: number[] = [];
    for (const other of found.slice(0, 3)) each.push(mean(await surprise(lm, begin, other)));
    expect(each[0]).toBeLessThan(own);
    expect(each).toEqual([...each].sort((a, b) => a - b));
    await embeddings.unload();
  });

  it('scores other models on the same examples, or says why not', () => {
    const [own, same, masked, absent] = result.transfer;
    expect(own).toMatchObject({ model: bench.taskLm.name, score: result.score });
    expect(own!.rewrite).toEqual(result.fluentRewrite!.score);
    expect(same).toEqual({ ...own, model: tiny.model });
    // Its tokenizer knows neither the label words nor, in this file, a mask.
    expect(masked).toMatchObject({ score: null, cause: expect.stringMatching(/mask|label/) });
    expect(absent).toMatchObject({ score: null, cause: expect.stringMatching(/nowhere/) });
  });

  it.each([80, 120])('is a page of at most %i columns, control characters visible', (width) => {
    const odd = { ...result, prompt: 'tone\u001b[2J\nmood' };
    const lines = inspectLines(odd, { style: createStyle(true), width });
    for (const line of lines) expect(styledWidth(line)).toBeLessThanOrEqual(width);
    const text = lines.join('\n');
    expect(text).toContain('"tone␛[2J⏎mood"');
    expect(text).toContain('test examples stay sealed');
  });
});

describe('bad input', () => {
  it('an empty prompt', async () => {
    await expect(inspect(tiny.load(), { prompt: ' ' })).rejects.toThrow(/the prompt is empty/);
  });

  it('a prompt that does not fit', async () => {
    const prompt = Array(70).fill('mood').join(' ');
    await expect(inspect(tiny.load(), { prompt })).rejects.toThrow(/shorten/);
  });

  it('a masked policy LM', async () => {
    const loaded = tiny.load(`policyLm=${join(fixtures, 'models', 'bert')}`);
    await expect(inspect(loaded, { prompt: 'mood' })).rejects.toThrow(/policyLm/);
  });
});

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function whetstone(...args: string[]): Promise<Outcome> {
  if (!existsSync(built)) throw new Error('build first: npm run build');
  const env = { ...process.env, NO_COLOR: '1' };
  const child = spawn(process.execPath, [built, ...args], { cwd: tiny.folder, env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

describe('the command', () => {
  it('prints the result as its last line, and warns of special tokens', async () => {
    const prompt = 'mood </s> is';
    const { code, out } = await whetstone('inspect', prompt, '--max-examples', '8', '--json');
    const records = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(code).toBe(0);
    expect(records.find(({ kind }) => kind === 'warning').message).toContain('</s>');
    const last = records.at(-1);
    expect(last).toMatchObject({ kind: 'result', prompt, dictionaryShare: 1 });
    expect(last.tokens.map((t: { isSpecial: boolean }) => t.isSpecial)).toContain(true);
    expect(last.examples.train + last.examples.validation).toBe(8);
    expect(last.transfer).toHaveLength(1);
  });

  it('is the same for the same seed', async () => {
    const loaded = tiny.load();
    const one = await inspect(loaded, { prompt: 'tone is', maxExamples: 8 });
    const two = await inspect(loaded, { prompt: 'tone is', maxExamples: 8 });
    expect({ ...two, seconds: 0 }).toEqual({ ...one, seconds: 0 });
    const other = await inspect(tiny.load('seed=5'), { prompt: 'tone is', maxExamples: 8 });
    expect(other.order!.permutations).toBe(1);
  });

  it.each([
    [['inspect'], "missing required argument 'prompt'"],
    [['inspect', ''], 'the prompt is empty'],
    [['inspect', 'x', '--models', 'a,,b'], 'names or paths with commas'],
    [['inspect', 'x', 'none.yaml'], 'no such file'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, out, err } = await whetstone(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
