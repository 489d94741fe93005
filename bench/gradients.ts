/**
 * Gradient steps on 32 examples: soft prompts of 5 virtual tokens behind and in front of the input in
 * steps a second, and what forward and backward cost together over forward alone. The gradient is
 * held against PyTorch's (recorded for the default model's 4-bit file, the only one that has
 * `relativeError`), and against central differences of the loss along its own direction.
 */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type Block, cachedLearner, type Learner, wholeLearner } from '../src/methods/learner.ts';
import { readingOf } from '../src/methods/reading.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { loadPrefiller } from '../src/models/programs.ts';
import { loadBranchTrainer, wordEmbeddings } from '../src/models/training.ts';
import { openModel } from '../src/runs/open-model.ts';
import type { Task } from '../src/tasks/index.ts';
import { adam, Engine, globalNorm, type Parameters } from '../src/tensor/index.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { benchTask } from './task.ts';

const EXAMPLES = 32;
const VIRTUAL_TOKENS = 5;
const STEPS = 7;

type Place = 'after' | 'before';

interface Bench {
  readonly learner: Learner;
  readonly blocks: readonly Block[];
  readonly parameters: Parameters;
}

/** `{"stepsPerSecond": {"after", "before"}, "backwardRatio", "backwardRatioBefore", …}`. */
export async function benchSoftPrompt(name: string, data: string): Promise<object> {
  return withModel(name, data, async (lm, task) => {
    const stepsPerSecond: Partial<Record<Place, number>> = {};
    const backwardRatio: Partial<Record<Place, number>> = {};
    for (const place of ['after', 'before'] as const) {
      const bench = await benchOf(lm, task, place);
      const step = await median(() => trainingStep(bench));
      const forward = await median(() => total(bench, false));
      const both = await median(() => total(bench, true));
      stepsPerSecond[place] = 1 / step;
      backwardRatio[place] = both / forward;
      await bench.learner.close();
    }
    return {
      stepsPerSecond,
      backwardRatio: backwardRatio.after,
      backwardRatioBefore: backwardRatio.before,
    };
  });
}

/** `{"backwardRatio", "relativeError", "slopeError", …}` of virtual tokens behind the input. */
export async function benchGradient(name: string, data: string): Promise<object> {
  return withModel(name, data, async (lm, task) => {
    const bench = await benchOf(lm, task, 'after');
    const forward = await median(() => total(bench, false));
    const both = await median(() => total(bench, true));
    const slopeError = await differenceFromSlope(bench);
    await bench.learner.close();
    return {
      backwardRatio: both / forward,
      ...(lm.key.includes('Q4_1') ? { relativeError: await differenceFromPyTorch(lm) } : {}),
      slopeError,
      forwardMs: 1000 * forward,
      forwardAndBackwardMs: 1000 * both,
    };
  });
}

async function withModel(
  name: string,
  data: string,
  measure: (lm: LanguageModel, task: Task) => Promise<object>,
): Promise<object> {
  const engine = new Engine();
  const task = await benchTask(data);
  const lm = await openModel(name, { engine });
  const result = {
    ...(await measure(lm, task)),
    examples: EXAMPLES,
    virtualTokens: VIRTUAL_TOKENS,
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    threads: engine.threads,
    cpu: cpus()[0]?.model,
  };
  await engine.close();
  return result;
}

async function benchOf(lm: LanguageModel, task: Task, place: Place): Promise<Bench> {
  // PEFT's benchmark reads "{text} Sentiment:" behind its virtual tokens.
  const prompt = place === 'before' ? 'Sentiment:' : '';
  const reading = readingOf(task, lm, { virtualTokens: VIRTUAL_TOKENS, place, prompt });
  const options = { virtualTokens: VIRTUAL_TOKENS, prepackForward: true };
  const { cached } = reading;
  const learner = cached
    ? cachedLearner({ taskLm: lm }, { ...reading, cached }, options)
    : wholeLearner({ taskLm: lm }, reading, options);
  const examples = [...task.train, ...task.validation].slice(0, EXAMPLES);
  const text = lm.tokenizer.encode(' Is this review positive or negative?').slice(-VIRTUAL_TOKENS);
  const bench = {
    learner,
    blocks: learner.blocksOf(examples, EXAMPLES),
    parameters: { virtual: await wordEmbeddings(lm, text) },
  };
  // Programs, keys and values.
  await total(bench, true);
  await total(bench, false);
  return bench;
}

async function total(
  { learner, blocks, parameters }: Bench,
  withGradient: boolean,
  at: Parameters = parameters,
): Promise<{ loss: number; gradient: Float32Array<ArrayBuffer> }> {
  const gradient = new Float32Array(parameters.virtual!.length);
  let loss = 0;
  for (const block of blocks) {
    const { losses, gradients } = await learner.run(block, at, withGradient);
    for (const value of losses) loss += value;
    gradients.virtual?.forEach((x, i) => {
      gradient[i]! += x;
    });
  }
  return { loss, gradient };
}

async function trainingStep(bench: Bench): Promise<void> {
  const optimizer = adam({ learningRate: 1e-3 });
  const { gradient } = await total(bench, true);
  const { parameters } = bench;
  optimizer.update(parameters, { virtual: gradient }, optimizer.init(parameters));
}

/** Largest difference from the recorded gradient, relative to its largest value. */
export async function differenceFromPyTorch(lm: LanguageModel): Promise<number> {
  const path = join(packageRoot(), 'test', 'fixtures', 'smollm2-gradient.json');
  const { prefixes, gold, labels, init, gradient } = JSON.parse(await readFile(path, 'utf8')) as {
    readonly prefixes: number[][];
    readonly gold: number[];
    readonly labels: number[];
    readonly init: number[];
    readonly gradient: number[];
  };
  const prefiller = await loadPrefiller(lm, { prepack: false });
  const cache = await prefiller.run(prefixes);
  await prefiller.unload();
  const trainer = await loadBranchTrainer(lm, { prepack: false });
  const words = await wordEmbeddings(lm, init);
  const branch = { words, rows: 1, length: init.length };
  const got = (await trainer.run(cache, branch, { labels, gold })).gradient;
  await trainer.unload();
  const worst = got.reduce((most, x, i) => Math.max(most, Math.abs(x - gradient[i]!)), 0);
  return worst / gradient.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

/** | slope along the gradient − its norm | relative to the norm. */
async function differenceFromSlope(bench: Bench): Promise<number> {
  const { virtual } = bench.parameters;
  const { gradient } = await total(bench, true);
  const norm = globalNorm({ gradient });
  const size = 1e-2 * globalNorm({ virtual: virtual! });
  const lossAt = async (side: number) => {
    const moved = virtual!.map((x, i) => x + (side * size * gradient[i]!) / norm);
    return (await total(bench, false, { virtual: moved })).loss;
  };
  const slope = ((await lossAt(1)) - (await lossAt(-1))) / (2 * size);
  return Math.abs(slope - norm) / norm;
}

async function median(work: () => Promise<unknown>): Promise<number> {
  const seconds: number[] = [];
  for (let i = 0; i < STEPS; i++) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds.sort((a, b) => a - b)[STEPS >> 1]!;
}
