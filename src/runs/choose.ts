/**
 * Solutions scored afresh in float32 on a split, and the choice among them. Texts of one template
 * are scored together, so that what they share is computed once. Of many texts and large splits, a
 * race leaves a few (successive halving, arXiv 1502.07943).
 */
import { type PromptScore, restrict } from '../environment/index.ts';
import type { Candidate, Solution, TextSolution } from '../methods/index.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { type AnyExample, type Example, sampleStratified } from '../tasks/index.ts';
import { createRng } from '../util/rng.ts';
import type { Bench } from './bench.ts';

/** Told the share of a scoring that is done; what it throws ends the scoring. */
export type OnShare = (share: number) => void;

export interface Scored {
  readonly solution: Solution;
  readonly train: PromptScore;
  readonly validation: PromptScore;
}

/**
 * Scores of solutions on examples, in their order; nothing is kept for a later call. A text's score
 * is that on the examples it may be judged by.
 */
export async function scoreSolutions(
  bench: Bench,
  solutions: readonly Solution[],
  examples: readonly AnyExample[],
  onProgress?: OnShare,
): Promise<PromptScore[]> {
  const scores = new Map<Solution, PromptScore>();
  const texts = solutions.filter((s): s is TextSolution => s.kind === 'text');
  for (const template of new Set(texts.map((s) => s.template))) {
    const group = texts.filter((s) => s.template === template);
    const environment = bench.environment(examples, 'float32', { once: true, template });
    const given = group.map(({ text }) => text);
    let found = await environment.evaluate(given, onProgress);
    // Examples that got no answer are asked once more; what is known stays known.
    if (found.some(({ text }) => text && text.failed > 0))
      found = await environment.evaluate(given);
    await environment.close();
    group.forEach((solution, i) => {
      scores.set(solution, withoutLeftOut(solution, found[i]!, examples));
    });
  }
  for (const solution of solutions) {
    // Only an open task LM has tensors, and labelled examples.
    if (solution.kind !== 'text') {
      scores.set(solution, await solution.evaluate(examples as readonly Example[]));
    }
  }
  return solutions.map((solution) => scores.get(solution)!);
}

function withoutLeftOut(
  { leftOut }: TextSolution,
  score: PromptScore,
  examples: readonly AnyExample[],
): PromptScore {
  if (!leftOut) return score;
  const ids = new Set(leftOut);
  return restrict(score, examples, ({ id }) => !ids.has(id));
}

/** Validation examples that a shortlist looks at. */
export const MOST_SHORTLIST = 128;

/**
 * The texts that go into the last round: many are scored on validation in the search's precision,
 * since what is best on few train examples is often not best, and the best few of them go on.
 */
export async function shortlist(
  bench: Bench,
  candidates: readonly Candidate[],
  { precision, count }: { precision: Precision; count: number },
): Promise<TextSolution[]> {
  const examples = sampleStratified<AnyExample>(
    bench.task.validation,
    MOST_SHORTLIST,
    createRng('shortlist'),
  );
  const v = examples.length;
  const judged: { readonly solution: TextSolution; readonly worth: number }[] = [];
  for (const template of new Set(candidates.map((c) => c.template))) {
    const group = candidates.filter((c) => c.template === template);
    const environment = bench.environment(examples, precision, { template });
    const scores = await environment.step(group.map(({ prompt }) => prompt));
    await environment.close();
    group.forEach(({ prompt, reward, evaluations, leftOut }, i) => {
      // Of minibatches, a reward weighs as many examples as it has seen.
      const t = Math.min(evaluations, bench.task.train.length - (leftOut?.length ?? 0));
      const worth = (reward * t + scores[i]!.reward * v) / (t + v);
      judged.push({ solution: { kind: 'text', text: prompt.text, template, leftOut }, worth });
    });
  }
  return judged
    .sort((a, b) => rank(b.worth) - rank(a.worth))
    .slice(0, count)
    .map(({ solution }) => solution);
}

/** Examples of a race's first round, and texts that it leaves. */
const FIRST_ROUND = 128;
const SURVIVORS = 3;

/**
 * The solutions that deserve a full score: all of them where that is cheap; else the texts that are
 * left of a race over growing samples of train and validation, and every tensor.
 */
export async function race(
  bench: Bench,
  solutions: readonly Solution[],
  onProgress?: OnShare,
): Promise<Solution[]> {
  const all = [...openTrain(bench), ...bench.task.validation];
  if (solutions.length * all.length <= bench.choice.evaluations) return [...solutions];
  const rng = createRng('race');
  let left = solutions.filter(({ kind }) => kind === 'text');
  for (let size = FIRST_ROUND; left.length > SURVIVORS && size < all.length; size *= 2) {
    const examples = sampleStratified(all, size, rng.fork(`${size}`));
    const scores = await scoreSolutions(bench, left, examples, onProgress);
    const ranks = scores.map(({ reward }) => rank(reward));
    const order = left.map((_, i) => i).sort((a, b) => ranks[b]! - ranks[a]!);
    left = order.slice(0, Math.max(SURVIVORS, Math.ceil(left.length / 2))).map((i) => left[i]!);
  }
  return [...left, ...solutions.filter(({ kind }) => kind !== 'text')];
}

/** The train examples that a choice looks at: a fixed sample where there are very many. */
function openTrain({ task, choice }: Bench): readonly AnyExample[] {
  return sampleStratified<AnyExample>(task.train, choice.trainExamples, createRng('train sample'));
}

/** Solutions scored on train (at most 1,024 examples of it, fewer in text) and validation. */
export async function scoreOnOpenSplits(
  bench: Bench,
  solutions: readonly Solution[],
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Scored[]> {
  const n = solutions.length;
  onProgress(0, 2 * n);
  const report = (before: number) => (share: number) => onProgress(before + n * share, 2 * n);
  const train = await scoreSolutions(bench, solutions, openTrain(bench), report(0));
  const validation = await scoreSolutions(bench, solutions, bench.task.validation, report(n));
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
export function bestOf(scored: readonly Scored[], priced = true): Scored {
  const rankOf = (one: Scored) => rank(worth(one, priced));
  return scored.reduce((best, next) => (rankOf(next) > rankOf(best) ? next : best));
}

/** What no example gave a score goes last. */
function rank(worth: number): number {
  return Number.isNaN(worth) ? Number.NEGATIVE_INFINITY : worth;
}

/** What it is chosen by; with `priced` false, as if fluency were free. */
export function worth({ solution, train, validation }: Scored, priced = true): number {
  const of = (score: PromptScore) =>
    (priced ? undefined : score.fluency?.taskReward) ?? score.reward;
  // A tensor is fitted to the train examples themselves, so that they say nothing about it.
  if (solution.kind !== 'text') return of(validation);
  const [t, v] = [train.examples.length, validation.examples.length];
  return (of(train) * t + of(validation) * v) / (t + v);
}
