/**
 * The reward of a prompt on 32 examples: prompts a second in both precisions, of random tokens and as
 * an untrained policy draws them (many of these begin alike, which is computed once); the share of the
 * machine's own matrix-product rate on the same shapes in the same process, peak memory, and how
 * well int8 rewards follow float32.
 */
import { cpus } from 'node:os';
import { Environment, type Prompt } from '../src/environment/index.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import type { Precision } from '../src/models/prepared-weights.ts';
import { actionSpaceOf, describeTask, Policy } from '../src/policy/index.ts';
import { openModel } from '../src/runs/open-model.ts';
import { spearman } from '../src/statistics/index.ts';
import { rewards, type Task } from '../src/tasks/index.ts';
import { add, Engine, float32, input, reduceSum, type Tensor } from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';
import { benchTask } from './task.ts';

const EXAMPLES = 32;
const PROMPT_TOKENS = 5;
const PROMPTS_PER_PASS = 16;
const EXAMPLES_PER_PASS = 8;
const REPEATS = 3;

export async function benchReward(name: string, data: string, count: number): Promise<object> {
  const engine = new Engine();
  const task = await benchTask(data);
  const lm = await openModel(name, { engine });
  const rng = createRng(7);
  const { ids } = actionSpaceOf(lm.tokenizer);
  const draw = (n: number): Prompt[] =>
    Array.from({ length: n }, () => {
      const prompt = Array.from({ length: PROMPT_TOKENS }, () => ids[rng.integer(ids.length)]!);
      return { text: lm.tokenizer.decode(prompt).trim(), ids: prompt };
    });
  const drawn = await policyDraws(lm, task, REPEATS * count);
  const promptsPerSecond: Partial<Record<Precision, number>> = {};
  const policyPromptsPerSecond: Partial<Record<Precision, number>> = {};
  const peakShare: Partial<Record<Precision, number>> = {};
  const correlated = draw(200);
  const byPrecision: number[][] = [];
  for (const precision of ['float32', 'int8'] as const) {
    const environment = environmentOf(task, lm, precision);
    await environment.step(draw(PROMPTS_PER_PASS)); // programs, keys and values
    const secondsOf = async (batch: (i: number) => readonly Prompt[]) => {
      const seconds: number[] = [];
      for (let i = 0; i < REPEATS; i++) {
        const prompts = batch(i);
        const start = performance.now();
        await environment.step(prompts);
        seconds.push((performance.now() - start) / 1000);
      }
      return seconds.sort((a, b) => a - b)[REPEATS >> 1]!;
    };
    const median = await secondsOf(() => draw(count));
    promptsPerSecond[precision] = count / median;
    const ofPolicy = await secondsOf((i) => drawn.slice(i * count, (i + 1) * count));
    policyPromptsPerSecond[precision] = count / ofPolicy;
    const scores = await environment.step(correlated);
    byPrecision.push(scores.map(({ reward }) => reward));
    await environment.close();
    const passes = (count / PROMPTS_PER_PASS) * (EXAMPLES / EXAMPLES_PER_PASS);
    peakShare[precision] = (passes * (await productsAlone(lm, precision))) / median;
  }
  const result = {
    promptsPerSecond,
    policyPromptsPerSecond,
    peakShare,
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    spearman: spearman(byPrecision[0]!, byPrecision[1]!),
    examples: EXAMPLES,
    promptTokens: PROMPT_TOKENS,
    prompts: count,
    threads: engine.threads,
    cpu: cpus()[0]?.model,
  };
  await engine.close();
  return result;
}

/** Prompts, all different, as a policy writes them before it has learnt anything. */
async function policyDraws(lm: LanguageModel, task: Task, count: number): Promise<Prompt[]> {
  const context = describeTask(task, { tokenizer: lm.tokenizer, maxTokens: 256 });
  const rng = createRng(11);
  const options = { adapterWidth: 2048, prior: 1, rng };
  const policy = await Policy.create(lm, actionSpaceOf(lm.tokenizer), context, options);
  const prompts = new Map<string, Prompt>();
  while (prompts.size < count) {
    const sampling = { count: 16, tokens: PROMPT_TOKENS, temperature: 1, topK: 256, rng };
    for (const { ids } of await policy.sample(sampling)) {
      prompts.set(ids.join(), { text: lm.tokenizer.decode(ids).trim(), ids });
    }
  }
  await policy.close();
  return [...prompts.values()].slice(0, count);
}

function environmentOf(task: Task, taskLm: LanguageModel, precision: Precision): Environment {
  const examples = [...task.train, ...task.validation].slice(0, EXAMPLES);
  return new Environment({
    task,
    taskLm,
    examples,
    reward: rewards.piecewise,
    precision,
    promptsPerPass: PROMPTS_PER_PASS,
    examplesPerPass: EXAMPLES_PER_PASS,
  });
}

/** Seconds that one pass's matrix products take with nothing between them, all layers. */
async function productsAlone(lm: LanguageModel, precision: Precision): Promise<number> {
  const w = await lm.weights(precision);
  const names = lm.architecture
    .weights(lm.config, () => false)
    .filter((spec) => spec.isLinear)
    .map(({ name, shape }) => ({ name, width: shape[1]! }));
  const inputs = new Map<number, Tensor>();
  for (const { width } of names) inputs.set(width, input(`x${width}`, ['R', width]));
  // Each product is reduced to one number, so that nothing is dropped and little is added.
  const parts = names.map(({ name, width }) => reduceSum(w.product(inputs.get(width)!, name), [1]));
  const executable = await lm.load({ y: parts.reduce((a, b) => add(a, b)) });
  const rows = PROMPTS_PER_PASS * EXAMPLES_PER_PASS * PROMPT_TOKENS;
  const rng = createRng(1);
  const feeds = Object.fromEntries(
    [...inputs.keys()].map((width) => {
      const values = new Float32Array(rows * width).map(() => rng.next() - 0.5);
      return [`x${width}`, float32(values, [rows, width])];
    }),
  );
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    await executable.run(feeds);
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  await executable.unload();
  return best;
}
