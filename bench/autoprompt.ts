/**
 * The whole AutoPrompt loop on 32 examples: gradient, ranking of the vocabulary, filter, scoring,
 * choice. Evaluations a second are candidates times examples over the time of all of it; what the
 * gradient costs is measured apart.
 */
import { cpus } from 'node:os';
import { Environment, PromptGradient } from '../src/environment/index.ts';
import { autoprompt } from '../src/methods/autoprompt.ts';
import { Budget, CandidatePool, type MethodContext } from '../src/methods/index.ts';
import { openModel } from '../src/runs/open-model.ts';
import { rewards } from '../src/tasks/index.ts';
import { Engine } from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';
import { benchTask } from './task.ts';

const EXAMPLES = 32;
const TRIGGER_TOKENS = 5;
const SEARCH_WIDTH = 64;
const GRADIENTS = 5;

export async function benchAutoprompt(
  name: string,
  data: string,
  candidates: number,
): Promise<object> {
  const engine = new Engine();
  const task = await benchTask(data);
  const taskLm = await openModel(name, { engine });
  const environment = new Environment({
    task,
    taskLm,
    examples: [...task.train, ...task.validation].slice(0, EXAMPLES),
    reward: rewards.piecewise,
    precision: 'int8',
  });
  const steps = Math.max(1, Math.ceil(candidates / SEARCH_WIDTH));
  const seconds: number[] = [];
  const scored: number[] = [];
  const correlations: number[] = [];
  let last = 0;
  for await (const { tried, quantities } of autoprompt.run(
    contextOf(environment),
    autoprompt.options.parse({
      promptTokens: TRIGGER_TOKENS,
      searchWidth: SEARCH_WIDTH,
      patience: 1e6,
    }),
  )) {
    const now = performance.now();
    // The first step opens programs and computes keys and values; it takes no gradient.
    if (quantities?.loss !== undefined) {
      seconds.push((now - last) / 1000);
      scored.push(tried.length);
      if (quantities.rankCorrelation !== undefined) correlations.push(quantities.rankCorrelation);
    }
    last = now;
    if (seconds.length === steps) break;
  }
  const result = {
    evaluationsPerSecond: (EXAMPLES * sum(scored)) / sum(seconds),
    gradientSeconds: await secondsOfGradient(environment),
    candidatesPerGradient: sum(scored) / scored.length,
    rankCorrelation: sum(correlations) / correlations.length,
    examples: EXAMPLES,
    triggerTokens: TRIGGER_TOKENS,
    candidates: sum(scored),
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    threads: engine.threads,
    cpu: cpus()[0]?.model,
  };
  await environment.close();
  await engine.close();
  return result;
}

/** Median seconds of one gradient over all examples. */
async function secondsOfGradient(environment: Environment): Promise<number> {
  const gradient = await PromptGradient.load(environment);
  const ids = environment.layout.prompt('It was all in all');
  await gradient.at(ids);
  const seconds: number[] = [];
  for (let i = 0; i < GRADIENTS; i++) {
    const start = performance.now();
    await gradient.at(ids);
    seconds.push((performance.now() - start) / 1000);
  }
  await gradient.close();
  return seconds.sort((a, b) => a - b)[GRADIENTS >> 1]!;
}

function contextOf(environment: Environment): MethodContext {
  const refuse = () => {
    throw new Error('the benchmark tries texts alone');
  };
  return {
    task: environment.task,
    environment,
    environmentWith: refuse,
    validation: environment.task.validation,
    taskLm: environment.taskLm,
    reward: rewards.piecewise,
    rng: createRng(7),
    budget: new Budget({}, () => environment.evaluations),
    pool: new CandidatePool(),
    propose: refuse,
    createPolicy: refuse,
    policyLm: refuse,
    scorer: refuse,
    reads: ['description', 'examples'],
    warn: () => {},
    signal: undefined,
  };
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
