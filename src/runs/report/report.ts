/** The report of a comparison: gathered from cells and events, written as HTML and as Markdown. */
import { join, resolve } from 'node:path';
import { StoreError } from '../../errors.ts';
import type { SolutionKind } from '../../methods/index.ts';
import { type FileOptions, writeFileAtomic } from '../../util/atomic-file.ts';
import type { Compared } from '../compare.ts';
import { type Analysis, accuracyOf, analyse, comparable } from '../compare-analysis.ts';
import type { CompareResult, CompareRow } from '../compare-events.ts';
import type { Repetition } from '../compare-plan.ts';
import type { StoredCell } from '../comparison-table.ts';
import type { RunStore } from '../store.ts';
import { meanCurve } from './charts.ts';
import { htmlReport } from './html.ts';
import { markdownReport } from './markdown.ts';
import { LOOKS } from './style.ts';

export interface ReportedMethod {
  readonly row: CompareRow;
  /** Which colour and dash, by the order asked for. */
  readonly look: number;
  /** Accuracy of each repetition that came to an end. */
  readonly accuracies: readonly number[];
  readonly cells: readonly StoredCell[];
  /** Best train reward so far against evaluations, mean over repetitions. */
  readonly curve: readonly (readonly [evaluations: number, reward: number])[];
}

export interface Report {
  readonly compared: Compared;
  readonly analysis: Analysis;
  /** Best first. */
  readonly methods: readonly ReportedMethod[];
  readonly failed: readonly StoredCell[];
  readonly versions: Readonly<Record<string, string>>;
}

/** Writes both files into the folder. @throws StoreError when that cannot be */
export async function writeReport(
  compared: Compared,
  store: RunStore,
  folder: string,
  options: FileOptions = {},
): Promise<{ analysis: Analysis; result: CompareResult }> {
  const report = gather(compared, store);
  const paths = {
    html: resolve(join(folder, 'report.html')),
    markdown: resolve(join(folder, 'report.md')),
  };
  try {
    await writeFileAtomic(paths.html, htmlReport(report), options);
    await writeFileAtomic(paths.markdown, markdownReport(report), options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StoreError(`${folder}: the report cannot be written (${code ?? String(error)})`);
  }
  const { analysis } = report;
  const pairs = analysis.pairs.map(({ a, b, difference, interval, p, pAdjusted }) => ({
    a,
    b,
    difference,
    interval,
    p,
    pAdjusted,
  }));
  const { ledger, about } = compared;
  const result: CompareResult = {
    kind: 'result',
    rows: analysis.rows,
    pairs,
    report: paths,
    ...(about.metric === undefined ? {} : { metric: about.metric }),
    ledger,
  };
  return { analysis, result };
}

function gather(compared: Compared, store: RunStore): Report {
  const analysis = analyse(compared);
  const { cells: all } = comparable(compared.cells);
  const methods = analysis.rows.map((row, index): ReportedMethod => {
    const cells = all.filter((cell) => cell.method === row.method);
    const done = cells.filter(({ state }) => state === 'done');
    const curves = done.map(({ run }) => curveOf(store, run!));
    return {
      row,
      look: index % LOOKS,
      accuracies: done.map(accuracyOf),
      cells,
      curve: meanCurve(curves),
    };
  });
  const mean = ({ row }: ReportedMethod) => row.test?.mean ?? -1;
  const run = compared.cells.find((cell) => cell.run !== undefined)?.run;
  return {
    compared,
    analysis,
    methods: [...methods].sort((a, b) => mean(b) - mean(a)),
    failed: compared.cells.filter(({ state }) => state === 'failed'),
    versions: run ? store.getRun(run).versions : {},
  };
}

/** Best reward so far against evaluations. */
function curveOf(store: RunStore, run: string): [evaluations: number, reward: number][] {
  return (
    store
      .events(run)
      .flatMap(({ event }) => (event.kind === 'step' ? [event] : []))
      // Texts that were tried on some of the examples only are not the best of anything yet.
      .filter(({ episode, bestPrompt }) => !episode || bestPrompt !== '')
      .filter(({ bestReward }) => Number.isFinite(bestReward))
      .map(({ evaluations, bestReward }) => [evaluations, bestReward])
  );
}

/** What a kind of result is, and whether it can be moved to another model. */
export const KINDS: Readonly<
  Record<SolutionKind, { readonly what: string; readonly moves: string }>
> = {
  text: {
    what: 'a text that you can paste',
    moves: 'yes, into any model, also behind an API; measure it again there',
  },
  'soft-prompt': {
    what: 'a tensor for an open model',
    moves: 'no, it fits this one model, whose weights must be at hand',
  },
  weights: {
    what: 'changed weights',
    moves: 'no, it is a model of its own that must be served',
  },
  policy: {
    what: 'a policy that writes a prompt for each input',
    moves: 'its prompts are texts for any model; the policy itself needs its own LM',
  },
};

/** "split 13, seed 1". */
export function nameOf({ seed, split }: Repetition): string {
  return split === undefined ? `seed ${seed}` : `split ${split}, seed ${seed}`;
}

/** The command that asks the same again. */
export function commandOf({ plan: { loaded, methods, repetitions } }: Compared): string {
  const splits = [...new Set(repetitions.flatMap(({ split }) => split ?? []))];
  const seeds = [...new Set(repetitions.map(({ seed }) => seed))];
  return [
    'whetstone compare',
    loaded.path.split(/[\\/]/).at(-1),
    `--methods ${methods.map(({ method }) => method.name).join(',')}`,
    seeds.length > 1 ? `--seeds ${seeds.join(',')}` : `--seeds 1 --set seed=${seeds[0]}`,
    ...(splits.length > 0 ? [`--splits ${splits.join(',')}`] : []),
  ].join(' ');
}

/** What the columns of evaluations, time and money say. */
export function spending({ methods }: Report): string {
  const asked = methods.some(({ cells }) =>
    cells.some((cell) => (cell.outcome?.found.ledger?.calls ?? 0) > 0),
  );
  return `Evaluations (examples that the model answered)${asked ? ', time and money' : ' and time'} are means over runs, of search and choice. ${
    asked
      ? 'Money is at the prices that the configuration says; local models cost none.'
      : 'A search ends with the step in which its evaluations are spent, so that it can use a few more. All models are local: no money was spent.'
  }`;
}

/** How the figures came about, a sentence each. */
export function judging({ compared, analysis }: Report): string[] {
  const { repetitions } = compared.plan;
  const flips = analysis.pairs.filter(({ pRepetitions }) => pRepetitions !== undefined);
  const fewest = Math.min(...flips.map((pair) => pair.repetitions));
  return [
    'Every method saw the same train examples, had the same budget and the same seeds. Finalists were scored again as they would be pasted (a local model in float32), and chosen on train and validation examples (a tensor on validation alone). The test split was opened once for each method and seed, at the end.',
    `Intervals hold 95% and are a bootstrap over the ${repetitions.length === 1 ? 'one repetition' : `${repetitions.length} repetitions`} and, within each gold label, over the test examples${repetitions.length === 1 ? ', so that they cover the test examples alone' : ''}. What few repetitions add is underestimated; where each has test examples of its own, what these add counts twice.`,
    'p-values of pairs are from a paired permutation test over the test examples, each with its hits summed over the repetitions that both methods finished, adjusted by Holm for all pairs. It is about the prompts that were found. A difference counts as more than noise when the adjusted p is below 0.05 and the interval leaves out 0.',
    flips.length > 0
      ? `Flipping whole repetitions instead (p over runs, not adjusted) asks whether new seeds would show the same; with ${fewest} of them the smallest possible p of that test is ${(2 / 2 ** fewest).toPrecision(2)}.`
      : 'Whether new seeds would show the same can be tested with five repetitions or more.',
  ];
}
