/**
 * Solutions scored afresh in float32 on a split, and the choice among them. Texts of one template
 * are scored together, so that what they share is computed once.
 */
import type { PromptScore } from '../environment/index.ts';
import type { Candidate, Solution, TextSolution } from '../methods/index.ts';
import type { Precision } from '../models/prepared-weights.ts';
import type { Example } from '../tasks/index.ts';
import type { Workbench } from './workbench.ts';

export interface Scored {
  readonly solution: Solution;
  readonly train: PromptScore;
  readonly validation: PromptScore;
}

/** Scores of solutions on examples, in their order; with `once`, nothing is kept for a later call. */
export async function scoreSolutions(
  bench: Workbench,
  solutions: readonly Solution[],
  examples: readonly Example[],
): Promise<PromptScore[]> {
  const scores = new Map<Solution, PromptScore>();
  const texts = solutions.filter((s): s is TextSolution => s.kind === 'text');
  for (const template of new Set(texts.map((s) => s.template))) {
    const group = texts.filter((s) => s.template === template);
    const environment = bench.environment(examples, 'float32', { once: true, template });
    const found = await environment.evaluate(group.map(({ text }) => text));
    await environment.close();
    group.forEach((solution, i) => {
      scores.set(solution, found[i]!);
    });
  }
  for (const solution of solutions) {
    if (solution.kind !== 'text') scores.set(solution, await solution.evaluate(examples));
  }
  return solutions.map((solution) => scores.get(solution)!);
}

/**
 * The texts that go into the last round: many are scored on validation in the search's precision,
 * since what is best on few train examples is often not best, and the best few of them go on.
 */
export async function shortlist(
  bench: Workbench,
  candidates: readonly Candidate[],
  { precision, count }: { precision: Precision; count: number },
): Promise<TextSolution[]> {
  const [t, v] = [bench.task.train.length, bench.task.validation.length];
  const judged: { readonly solution: TextSolution; readonly worth: number }[] = [];
  for (const template of new Set(candidates.map((c) => c.template))) {
    const group = candidates.filter((c) => c.template === template);
    const environment = bench.environment(bench.task.validation, precision, { template });
    const scores = await environment.step(group.map(({ prompt }) => prompt));
    await environment.close();
    group.forEach(({ prompt, reward }, i) => {
      const worth = (reward * t + scores[i]!.reward * v) / (t + v);
      judged.push({ solution: { kind: 'text', text: prompt.text, template }, worth });
    });
  }
  return judged
    .sort((a, b) => b.worth - a.worth)
    .slice(0, count)
    .map(({ solution }) => solution);
}

/** Solutions scored on train and validation. */
export async function scoreOnOpenSplits(
  bench: Workbench,
  solutions: readonly Solution[],
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Scored[]> {
  const total = 2 * solutions.length;
  onProgress(0, total);
  const train = await scoreSolutions(bench, solutions, bench.task.train);
  onProgress(solutions.length, total);
  const validation = await scoreSolutions(bench, solutions, bench.task.validation);
  return solutions.map((solution, i) => ({
    solution,
    train: train[i]!,
    validation: validation[i]!,
  }));
}

/**
 * The solution with the highest mean reward over train and validation examples together: with 16
 * examples a class, accuracy on validation alone is too coarse to choose by.
 */
export function bestOf(scored: readonly Scored[]): Scored {
  return scored.reduce((best, next) => (worth(next) > worth(best) ? next : best));
}

function worth({ solution, train, validation }: Scored): number {
  // A tensor is fitted to the train examples themselves, so that they say nothing about it.
  if (solution.kind !== 'text') return validation.reward;
  const [t, v] = [train.predicted.length, validation.predicted.length];
  return (train.reward * t + validation.reward * v) / (t + v);
}
