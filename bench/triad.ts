/**
 * The deadly triad: function approximation, bootstrapping and off-policy data, each on and off, with
 * and without a lagging target, with and without the guard, over five seeds. A tiny committed
 * checkpoint is task LM and policy LM, so that every prompt of the small action space can be scored
 * beforehand: floor and ceiling are exact, and no run pays for a reward. docs/deadly-triad.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../src/environment/index.ts';
import { LanguageModel } from '../src/models/language-model.ts';
import type { ActionSpace } from '../src/policy/index.ts';
import { Engine } from '../src/tensor/index.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type Arm, judgeRun, mean, type Report, type Scale, summary } from './triad-outcome.ts';
import { softQ, type WordTask, wordTask } from './word-task.ts';

const WORDS = 24;
const TOKENS = 3;
const EXAMPLES = 8;
/**
 * A rate at which the published setting learns, and one five times as high, for something to see. An
 * entry of a table moves only when its state is seen, an MLP's weights every step.
 */
const LEARNING_RATES = { mlp: [0.006, 0.03], table: [0.6, 3] };
/** Arms that are computed together: their runs take turns at the engine, which never waits. */
const TOGETHER = 8;

export async function* benchTriad(o: { steps: number; seeds: number }): AsyncGenerator<object> {
  const engine = new Engine({ threads: 1 });
  const cacheFolder = await mkdtemp(join(tmpdir(), 'whetstone-triad-'));
  const checkpoint = join(packageRoot(), 'test', 'fixtures', 'models', 'llama');
  const lm = await LanguageModel.open(checkpoint, { engine, cacheFolder });
  const task = wordTask(lm, { words: WORDS, examples: EXAMPLES });
  const { environment, actions } = task;
  try {
    const scale = await scoreAll(environment, actions);
    yield { kind: 'setting', ...scale, ...o, words: WORDS, tokens: TOKENS, examples: EXAMPLES };
    const todo = arms();
    for (let i = 0; i < todo.length; i += TOGETHER) {
      const part = todo.slice(i, i + TOGETHER).map(async (arm) => {
        const seeds = Array.from({ length: o.seeds }, (_, s) => s + 1);
        const pairs = seeds.map((seed) => runBoth(arm, { task, steps: o.steps, seed }));
        const reports = await Promise.all(pairs);
        return [0, 1].map((guard) => {
          const outcomes = reports.map((both) => judgeRun(both[guard]!, scale));
          return { kind: 'arm', guard: guard === 1, ...arm, ...summary(outcomes), outcomes };
        });
      });
      yield* (await Promise.all(part)).flat();
    }
  } finally {
    await environment.close();
    await lm.close();
    await engine.close();
    await rm(cacheFolder, { recursive: true, force: true });
  }
}

function arms(): Arm[] {
  const out: Arm[] = [];
  for (const speed of [0, 1])
    for (const adapter of ['mlp', 'table'] as const)
      for (const bootstrap of [true, false])
        for (const replay of [0.5, 0])
          for (const targetRate of [1, 0.001]) {
            const learningRate = LEARNING_RATES[adapter][speed]!;
            out.push({ adapter, bootstrap, replay, targetRate, learningRate });
          }
  return out;
}

interface Setting {
  readonly task: WordTask;
  readonly seed: number;
  readonly steps: number;
}

/** A run with the guard off and one with it on; where the guard saw nothing they are the same run. */
async function runBoth(arm: Arm, setting: Setting): Promise<[Report[], Report[]]> {
  const off = await runArm({ ...arm, restores: 0 }, setting);
  const isQuiet = off.every(({ quantities }) => quantities.guard === 0);
  return [off, isQuiet ? off : await runArm({ ...arm, restores: 3 }, setting)];
}

async function runArm(arm: Arm & { restores: number }, s: Setting): Promise<Report[]> {
  let hasWarned = false;
  const options = { ...arm, promptTokens: TOKENS, prior: 0, topK: 0, adapterWidth: 128 };
  const warn = () => {
    hasWarned = true;
  };
  const reports: Report[] = [];
  for await (const report of softQ(s.task, options, { seed: s.seed, warn })) {
    const scored = report.tried.map(({ score }) => score.reward);
    const best = Math.max(...scored);
    reports.push({ reward: mean(scored), best, quantities: report.quantities!, hasWarned });
    if (reports.length === s.steps) break;
  }
  return reports;
}

/** Every prompt of the action space: exact floor (the mean), deviation and ceiling. */
async function scoreAll(environment: Environment, { ids }: ActionSpace): Promise<Scale> {
  let prompts: number[][] = [[]];
  for (let t = 0; t < TOKENS; t++) prompts = prompts.flatMap((p) => ids.map((id) => [...p, id]));
  const scores: number[] = [];
  for (let i = 0; i < prompts.length; i += 512) {
    const part = prompts.slice(i, i + 512).map((p) => ({ text: '', ids: p }));
    for (const { reward } of await environment.step(part)) scores.push(reward);
  }
  const floor = mean(scores);
  const deviation = Math.sqrt(mean(scores.map((x) => (x - floor) ** 2)));
  return { floor, deviation, ceiling: scores.reduce((a, b) => Math.max(a, b)) };
}
