/**
 * What the cells of a comparison show: means with intervals, paired differences, and a verdict in
 * plain words that names no winner inside the noise.
 *
 * Intervals: crossed bootstrap over repetitions and, within each gold label, over test examples. A
 * pair's p-value: paired permutation test over test examples, each with its hits summed over the
 * repetitions that both methods finished; Holm's correction over all pairs. That test is about the
 * prompts that were found; whether new seeds would find as good ones is asked by flipping the signs
 * of whole repetitions, which needs at least five of them. Where there are several splits, seeds on
 * the same one are no new draws of its data: splits are drawn and flipped as wholes.
 */
import type { SolutionKind } from '../methods/index.ts';
import { crossedBootstrap, holm, pairedPermutationTest } from '../statistics/index.ts';
import { createRng } from '../util/rng.ts';
import type { Compared } from './compare.ts';
import type { CompareRow } from './compare-events.ts';
import { type AnalysedPair, REPETITIONS_TO_FLIP } from './compare-pairs.ts';
import { verdictOf } from './compare-verdict.ts';
import type { CellTest, StoredCell } from './comparison-table.ts';

export interface Analysis {
  readonly rows: readonly CompareRow[];
  readonly pairs: readonly AnalysedPair[];
  readonly verdict: readonly string[];
  /** Test examples that some prompt has no score for: they are left out for all. */
  readonly leftOut: number;
}

/** @param compared some of its cells may be missing, or be under way still */
export function analyse(compared: Pick<Compared, 'plan' | 'cells'>): Analysis {
  const { plan } = compared;
  const { cells, leftOut } = comparable(compared.cells);
  const names = plan.methods.map(({ method }) => method.name);
  const done = (name: string, r: number) =>
    cells.find((c) => c.method === name && c.repetition === r && c.state === 'done');
  const clusterOf = clustersOf(plan);
  const grid = names.map((name) => plan.repetitions.map((_, r) => done(name, r)));
  const couples = names.flatMap((_, a) => names.slice(a + 1).map((__, i) => [a, a + 1 + i]));
  const contrasts = [
    ...names.map((_, m) => names.map((__, i) => (i === m ? 1 : 0))),
    ...couples.map(([a, b]) => names.map((_, i) => (i === a ? 1 : i === b ? -1 : 0))),
  ];
  const intervals = crossedBootstrap({ ...sampleOf(grid), clusterOf }, contrasts, {
    rng: createRng('bootstrap'),
  });
  const rows = names.map((name, m) => {
    const finds = plan.methods[m]!.method.finds ?? 'text';
    const seeds = plan.repetitions.flatMap(({ seed }, r) => (grid[m]![r] ? [seed] : []));
    const own = grid[m]!.filter((cell) => cell !== undefined);
    return rowOf({ method: name, seeds, cells: own, finds }, intervals[m]!);
  });
  const pairs = couples.flatMap(([a, b], i) => {
    const interval = intervals[names.length + i];
    return interval
      ? [pairOf([names[a!]!, names[b!]!], [grid[a!]!, grid[b!]!], { interval, clusterOf })]
      : [];
  });
  const adjusted = holm(pairs.map(({ p }) => p));
  const judged = pairs.map((pair, i) => ({ ...pair, pAdjusted: adjusted[i]! }));
  const ended = cells.filter(({ state }) => state === 'done' || state === 'failed').length;
  const outcomes = rows.map((row, m) => ({
    row,
    finished: grid[m]!.flatMap((cell, r) => (cell ? [r] : [])),
  }));
  const about = { outcomes, pairs: judged, clusterOf, leftOut };
  const verdict =
    ended < names.length * plan.repetitions.length
      ? [`No verdict yet: ${ended} of ${names.length * plan.repetitions.length} runs have ended.`]
      : verdictOf(about);
  return { rows, pairs: judged, verdict, leftOut };
}

/** Whatever repetitions have in common beside their test set: their split, where there are several. */
function clustersOf({ repetitions }: Compared['plan']): number[] {
  const splits = [...new Set(repetitions.map(({ split }) => split))];
  return repetitions.map(({ split }, r) => (splits.length > 1 ? splits.indexOf(split) : r));
}

/** The cells with those test examples alone that all of the same test set have a score for. */
export function comparable(cells: readonly StoredCell[]): {
  readonly cells: readonly StoredCell[];
  readonly leftOut: number;
} {
  const missing = new Map<string, Set<number>>();
  for (const cell of cells) {
    const { hash, unanswered = [] } = testOf(cell) ?? {};
    if (hash === undefined || unanswered.length === 0) continue;
    missing.set(hash, new Set([...(missing.get(hash) ?? []), ...unanswered]));
  }
  const leftOut = [...missing.values()].reduce((sum, { size }) => sum + size, 0);
  if (leftOut === 0) return { cells, leftOut };
  const narrowed = cells.map((cell): StoredCell => {
    const test = testOf(cell);
    const without = test && missing.get(test.hash);
    if (!test || !without) return cell;
    const isKept = (_: number, e: number) => !without.has(e);
    const { hash, hits, gold } = test;
    const kept: CellTest = { hash, hits: hits.filter(isKept), gold: gold.filter(isKept) };
    return { ...cell, outcome: { ...cell.outcome!, test: kept } };
  });
  return { cells: narrowed, leftOut };
}

type Row = readonly (StoredCell | undefined)[];
type Bounds = { readonly low: number; readonly high: number };

const testOf = (cell: StoredCell | undefined): CellTest | undefined => cell?.outcome?.test;

function sampleOf(grid: readonly Row[]) {
  const sets: CellTest[] = [];
  const repetitions = grid[0]?.length ?? 0;
  const setOf = Array.from({ length: repetitions }, (_, r) => {
    const test = grid.map((row) => testOf(row[r])).find((one) => one !== undefined);
    // A repetition that nothing finished has no test set; any will do, as it is never drawn.
    if (!test) return 0;
    const known = sets.findIndex(({ hash }) => hash === test.hash);
    return known >= 0 ? known : sets.push(test) - 1;
  });
  return {
    scores: grid.map((row) => row.map((cell) => testOf(cell)?.hits ?? null)),
    setOf,
    strata: sets.length > 0 ? sets.map(({ gold }) => gold) : [[]],
  };
}

interface RowParts {
  readonly method: string;
  readonly seeds: readonly number[];
  readonly cells: readonly StoredCell[];
  readonly finds: SolutionKind;
}

function rowOf({ method, seeds, cells, finds }: RowParts, interval: Bounds | null): CompareRow {
  if (!interval) {
    const nothing = { test: null, validation: null, evaluations: null, seconds: null, usd: null };
    return { method, kindOfResult: finds, seeds, ...nothing };
  }
  const found = cells.map(({ outcome }) => outcome!.found);
  return {
    method,
    kindOfResult: found[0]!.kindOfResult,
    seeds,
    test: {
      mean: mean(cells.map((cell) => accuracyOf(cell))),
      interval: [interval.low, interval.high],
    },
    validation: mean(found.map(({ validation }) => validation.score)),
    evaluations: mean(found.map(({ evaluations }) => evaluations)),
    seconds: mean(found.map(({ seconds }) => seconds)),
    usd: meanOrNull(found.map(({ ledger }) => (ledger ? ledger.usd : 0))),
  };
}

function meanOrNull(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length < values.length ? null : mean(known);
}

/** Accuracy of a finished cell on the test split. */
export function accuracyOf(cell: StoredCell): number {
  const { hits, unanswered } = testOf(cell)!;
  const without = new Set(unanswered);
  return mean(hits.filter((_, e) => !without.has(e)));
}

function pairOf(
  [nameA, nameB]: readonly [a: string, b: string],
  [first, second]: readonly [Row, Row],
  parts: { readonly interval: Bounds; readonly clusterOf: readonly number[] },
): AnalysedPair {
  const { interval, clusterOf } = parts;
  const shared = first.flatMap((one, r) => {
    const other = second[r];
    return one && other ? [{ cells: [one, other] as const, cluster: clusterOf[r]! }] : [];
  });
  const perExample = (which: 0 | 1) => {
    const sums = new Map<string, number>();
    for (const { cells } of shared) {
      const { hash, hits } = testOf(cells[which])!;
      hits.forEach((hit, e) => {
        const key = `${hash} ${e}`;
        sums.set(key, (sums.get(key) ?? 0) + hit / hits.length);
      });
    }
    return [...sums.values()];
  };
  // The same draws in whichever order the two were asked for.
  const rng = createRng(`permutation ${[nameA, nameB].sort().join(' ')}`);
  const { pValue } = pairedPermutationTest(perExample(0), perExample(1), { rng });
  const perCluster = (which: 0 | 1) =>
    [...new Set(shared.map(({ cluster }) => cluster))].map((wanted) =>
      mean(
        shared
          .filter(({ cluster }) => cluster === wanted)
          .map(({ cells }) => accuracyOf(cells[which])),
      ),
    );
  const [a, b] = [perCluster(0), perCluster(1)];
  const canFlip = a.length >= REPETITIONS_TO_FLIP;
  const difference =
    mean(shared.map(({ cells }) => accuracyOf(cells[0]))) -
    mean(shared.map(({ cells }) => accuracyOf(cells[1])));
  return {
    a: nameA,
    b: nameB,
    difference,
    interval: [interval.low, interval.high],
    p: pValue,
    pAdjusted: pValue,
    repetitions: a.length,
    ...(canFlip ? { pRepetitions: pairedPermutationTest(a, b, { rng }).pValue } : {}),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
