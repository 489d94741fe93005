/**
 * What prompts and found solutions answer on a few examples of the open splits, or on a text of one's
 * own, in float32: for looking at, not for choosing by. The test split stays sealed.
 */
import { answerScores, type PromptScore } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { Solution } from '../methods/index.ts';
import { type AnyExample, sampleStratified, type TextExample } from '../tasks/index.ts';
import { createRng } from '../util/rng.ts';
import type { Bench } from './bench.ts';
import { scoreSolutions } from './choose.ts';
import { solutionOf } from './evaluate.ts';
import type { SplitScore } from './events.ts';
import { splitScore } from './measure.ts';
import type { StoredRun } from './store.ts';
import { Workbench } from './workbench.ts';

export interface AnsweredRow {
  readonly input: string;
  /** Empty for a text of one's own. */
  readonly gold: string;
  readonly answer: string;
  readonly isRight: boolean;
  readonly reward: number;
  /** P of each label word among the label words. */
  readonly shares?: Readonly<Record<string, number>>;
}

export interface Played {
  readonly tokens: readonly string[];
  /** Absent for a text of one's own, and where no example got a score. */
  readonly score?: SplitScore;
  readonly rows: readonly AnsweredRow[];
}

export interface Asked {
  readonly split: 'train' | 'validation';
  /** Examples, drawn with the labels in proportion; the same ones each time. */
  readonly limit: number;
  /** A text of one's own in place of examples. */
  readonly input?: string | undefined;
}

/** What a run found, or its best prompt so far. @throws ConfigError while there is none */
export async function solutionOfRun(
  run: StoredRun,
  best: string | undefined,
  bench: Bench,
): Promise<Solution> {
  if (run.result) return solutionOf({ run }, bench);
  if (best) return { kind: 'text', text: best };
  throw new ConfigError(`run ${run.id}: it has found no prompt yet`);
}

/** Answers of each solution, in their order. */
export async function play(
  bench: Bench,
  solutions: readonly Solution[],
  { split, limit, input }: Asked,
): Promise<Played[]> {
  const isOwn = input !== undefined;
  const examples: readonly AnyExample[] = isOwn
    ? [ownExample(bench, input)]
    : sampleStratified<AnyExample>(bench.task[split], limit, createRng('playground'));
  const scores = await scoreSolutions(bench, solutions, examples);
  return solutions.map((solution, i) => {
    const score = scores[i]!;
    const rows = rowsOf(bench, examples, score);
    const shown = isOwn ? rows.map((row) => ({ ...row, gold: '', isRight: false, reward: 0 })) : rows; // biome-ignore format: one line
    const isScored = !isOwn && rows.length > 0;
    return {
      tokens: tokensOf(bench, solution),
      ...(isScored ? { score: splitScore(score) } : {}),
      rows: shown,
    };
  });
}

function ownExample({ task }: Bench, input: string): AnyExample {
  return task.kind === 'classification'
    ? { id: 'asked', input, label: 0 }
    : { id: `asked ${input}`, input, golds: [task.labelWords?.[0] ?? ' '] };
}

function rowsOf(
  { task }: Bench,
  examples: readonly AnyExample[],
  score: PromptScore,
): AnsweredRow[] {
  const right = answerScores(score, examples);
  return score.examples.map((e, i) => {
    const common = { isRight: right[i]! >= 1, reward: score.rewards[i]! };
    if (task.kind === 'text') {
      const { input, question, golds } = examples[e] as TextExample;
      const read = [input, question].filter(Boolean).join('\n');
      return { input: read, gold: golds[0]!, answer: score.text!.outputs[i]!, ...common };
    }
    const example = examples[e] as { input: string; label: number };
    const words = task.classes.map(({ word }) => word);
    return {
      input: example.input,
      gold: words[example.label]!,
      answer: words[score.predicted[i]!]!,
      ...common,
      shares: sharesOf(score.scores.subarray(i * words.length, (i + 1) * words.length), words),
    };
  });
}

/** Softmax of the label words' scores. */
function sharesOf(scores: Float32Array, words: readonly string[]): Record<string, number> {
  const most = Math.max(...scores);
  const weights = [...scores].map((s) => Math.exp(s - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return Object.fromEntries(words.map((word, c) => [word, weights[c]! / total]));
}

function tokensOf(bench: Bench, solution: Solution): string[] {
  if (solution.kind !== 'text' || !(bench instanceof Workbench)) return [];
  const { tokenizer } = bench.taskLm;
  return bench.tokensOf(solution.text, solution.template).map((id) => tokenizer.tokenText(id));
}
