/**
 * How well first-order changes rank words: Spearman's correlation of predicted and actual changes of
 * the loss for random words in one slot of random triggers, by the number of points at which the
 * gradient is taken (1: the slot's own word; 2: the mean of all words too; then random words).
 */
import { Environment, PromptGradient } from '../src/environment/index.ts';
import { triggerTokens, turnsIn } from '../src/methods/trigger-candidates.ts';
import { openModel } from '../src/runs/open-model.ts';
import { spearman } from '../src/statistics/index.ts';
import { rewards } from '../src/tasks/index.ts';
import { Engine } from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';
import { benchTask } from './task.ts';

const EXAMPLES = 16;
const TRIGGER_TOKENS = 5;
const TRIGGERS = 10;
const POINTS = [1, 2, 4];

/** `words` random words a trigger. */
export async function benchTokenGradient(
  name: string,
  data: string,
  words: number,
): Promise<object> {
  const engine = new Engine();
  const task = await benchTask(data);
  const environment = new Environment({
    task,
    taskLm: await openModel(name, { engine }),
    examples: task.train.slice(0, EXAMPLES),
    reward: rewards['log-prob'],
    precision: 'int8',
  });
  const rng = createRng(7);
  const tokens = triggerTokens(environment, { banLabelWords: true });
  const gradient = await PromptGradient.load(environment);
  const sums = new Map(POINTS.map((points) => [points, 0]));
  const draw = (slot: number) => tokens.at(slot)[rng.integer(tokens.at(slot).length)]!;
  for (let i = 0; i < TRIGGERS; i++) {
    const slot = i % TRIGGER_TOKENS;
    const ids = Array.from({ length: TRIGGER_TOKENS }, (_, s) => draw(s));
    const tried = Array.from({ length: words }, () => draw(slot));
    const prompts = tried.map((id) => ({ text: '', ids: ids.with(slot, id) }));
    const scores = await environment.step(prompts);
    const losses = scores.map(({ reward }) => -reward);
    for (const points of POINTS) {
      const turns = await turnsIn(slot, gradient, { tokens, points, rng });
      const slope = await gradient.at(ids, { turns });
      const change = (await gradient.changes(slope, tried))[slot]!;
      sums.set(points, sums.get(points)! + spearman(change, losses));
    }
  }
  await gradient.close();
  await environment.close();
  await engine.close();
  return {
    rankCorrelation: Object.fromEntries([...sums].map(([p, sum]) => [p, sum / TRIGGERS])),
    triggers: TRIGGERS,
    words,
    examples: EXAMPLES,
    triggerTokens: TRIGGER_TOKENS,
  };
}
