/**
 * What the cells of a comparison show: means with intervals, paired differences, and a verdict in
 * plain words that names no winner inside the noise.
 *
 * Intervals: crossed bootstrap over repetitions and, within each gold label, over test examples. A
 * pair's p-value: paired permutation test over test examples, each with its hits summed over the
 * repetitions that both methods finished; Holm's correction over all pairs. That test is about the
 * prompts that were found; whether new seeds would find as good ones is asked by flipping the signs
 * of whole repetitions, which needs at least five of them.
 */
import type { SolutionKind } from '../methods/index.ts';
import { crossedBootstrap, holm, pairedPermutationTest } from '../statistics/index.ts';
import { createRng } from '../util/rng.ts';
import type { Compared } from './compare.ts';
import type { ComparePair, CompareRow } from './compare-events.ts';
import type { CellTest, StoredCell } from './comparison-table.ts';

export interface AnalysedPair extends ComparePair {
  /** Sign flips of whole repetitions; absent below five of them. */
  readonly pRepetitions?: number;
  readonly repetitions: number;
}

export interface Analysis {
  readonly rows: readonly CompareRow[];
  readonly pairs: readonly AnalysedPair[];
  readonly verdict: readonly string[];
}

/** A difference counts below this adjusted p-value, if its interval leaves out 0, too. */
export const ALPHA = 0.05;
const REPETITIONS_TO_FLIP = 5;

export function analyse({ plan, cells }: Pick<Compared, 'plan' | 'cells'>): Analysis {
  const names = plan.methods.map(({ method }) => method.name);
  const done = (name: string, r: number) =>
    cells.find((c) => c.method === name && c.repetition === r && c.state === 'done');
  const grid = names.map((name) => plan.repetitions.map((_, r) => done(name, r)));
  const couples = names.flatMap((_, a) => names.slice(a + 1).map((__, i) => [a, a + 1 + i]));
  const contrasts = [
    ...names.map((_, m) => names.map((__, i) => (i === m ? 1 : 0))),
    ...couples.map(([a, b]) => names.map((_, i) => (i === a ? 1 : i === b ? -1 : 0))),
  ];
  const intervals = crossedBootstrap(sampleOf(grid), contrasts, { rng: createRng('bootstrap') });
  const rows = names.map((name, m) => {
    const finds = plan.methods[m]!.method.finds ?? 'text';
    const seeds = plan.repetitions.flatMap(({ seed }, r) => (grid[m]![r] ? [seed] : []));
    const own = grid[m]!.filter((cell) => cell !== undefined);
    return rowOf({ method: name, seeds, cells: own, finds }, intervals[m]!);
  });
  const pairs = couples.flatMap(([a, b], i) => {
    const interval = intervals[names.length + i];
    return interval
      ? [pairOf({ a: names[a!]!, b: names[b!]! }, [grid[a!]!, grid[b!]!], interval)]
      : [];
  });
  const adjusted = holm(pairs.map(({ p }) => p));
  const judged = pairs.map((pair, i) => ({ ...pair, pAdjusted: adjusted[i]! }));
  return { rows, pairs: judged, verdict: verdictOf(rows, judged) };
}

/** True where a difference is more than noise. */
export function isClear({ pAdjusted, interval: [low, high] }: ComparePair): boolean {
  return pAdjusted < ALPHA && (low > 0 || high < 0);
}

/** The pair turned so that the difference is not negative. */
export function leaderFirst<Pair extends ComparePair>(pair: Pair): Pair {
  if (pair.difference >= 0) return pair;
  const [low, high] = pair.interval;
  const turned = { a: pair.b, b: pair.a, difference: -pair.difference, interval: [-high, -low] };
  return { ...pair, ...turned };
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
  return mean(testOf(cell)!.hits);
}

function pairOf(
  names: { readonly a: string; readonly b: string },
  [first, second]: readonly [Row, Row],
  { low, high }: Bounds,
): AnalysedPair {
  const shared = first.flatMap((one, r) => {
    const other = second[r];
    return one && other ? [[one, other] as const] : [];
  });
  const perExample = (which: 0 | 1) => {
    const sums = new Map<string, number>();
    for (const cells of shared) {
      const { hash, hits } = testOf(cells[which])!;
      hits.forEach((hit, e) => {
        const key = `${hash} ${e}`;
        sums.set(key, (sums.get(key) ?? 0) + hit / hits.length);
      });
    }
    return [...sums.values()];
  };
  const rng = createRng(`permutation ${names.a} ${names.b}`);
  const { pValue } = pairedPermutationTest(perExample(0), perExample(1), { rng });
  const a = shared.map(([cell]) => accuracyOf(cell));
  const b = shared.map(([, cell]) => accuracyOf(cell));
  const canFlip = shared.length >= REPETITIONS_TO_FLIP;
  return {
    ...names,
    difference: mean(a) - mean(b),
    interval: [low, high],
    p: pValue,
    pAdjusted: pValue,
    repetitions: shared.length,
    ...(canFlip ? { pRepetitions: pairedPermutationTest(a, b, { rng }).pValue } : {}),
  };
}

function verdictOf(rows: readonly CompareRow[], pairs: readonly AnalysedPair[]): string[] {
  const ranked = rows.filter(({ test }) => test).sort((x, y) => y.test!.mean - x.test!.mean);
  const [best, ...others] = ranked;
  if (!best) return ['No cell came to an end, so there is nothing to compare.'];
  const score = `${percent(best.test!.mean)} on the sealed test`;
  if (others.length === 0) return [`${best.method} reaches ${score}; nothing to compare it with.`];
  const between = (x: string, y: string) =>
    pairs.find(({ a, b }) => (a === x && b === y) || (a === y && b === x));
  const compared = others.filter(({ method }) => between(best.method, method));
  const apart = others.filter((row) => !compared.includes(row));
  const beaten = compared.filter(({ method }) => isClear(between(best.method, method)!));
  const equals = compared.filter((row) => !beaten.includes(row));
  const out: string[] = [];
  if (compared.length === 0) {
    out.push('No two methods can be compared: too many runs failed.');
  } else if (equals.length === 0) {
    const among = apart.length > 0 ? ' of those that can be compared' : '';
    out.push(`${best.method} is best${among}: ${score}, more than noise above ${list(beaten)}.`);
  } else {
    const level = equals.filter(({ test }) => test!.mean === best.test!.mean);
    const [next, ...more] = equals.filter((row) => !level.includes(row));
    const pair = next && between(best.method, next.method);
    const behind = next ? `, but the lead over ${next.method} lies inside the noise` : '';
    out.push(
      level.length > 0
        ? `No winner: ${list([best, ...level])} share the highest mean, ${score}${behind}.`
        : `No winner: ${best.method} has the highest mean, ${score}${behind}.`,
    );
    if (pair) out.push(`That lead: ${leadOf(leaderFirst(pair))}.`);
    if (more.length > 0) out.push(`Nor can it be told apart from ${list(more)}.`);
    if (beaten.length > 0) {
      out.push(`It is better than ${list(beaten)} by more than noise.`);
    }
    const cheapest = [best, ...equals].reduce((x, y) => (y.evaluations! < x.evaluations! ? y : x));
    out.push(
      `Among those that cannot be told apart, ${cheapest.method} took the fewest evaluations (${Math.round(cheapest.evaluations!).toLocaleString('en-US')} a run).`,
    );
  }
  if (apart.length > 0) {
    out.push(
      `${best.method} and ${list(apart)} came to an end in no repetition together, so that they cannot be compared.`,
    );
  }
  if (new Set(ranked.map(({ seeds }) => seeds.length)).size > 1) {
    out.push('Some runs failed: the means stand on different repetitions, the differences do not.');
  }
  const fewest = Math.min(...ranked.map(({ seeds }) => seeds.length));
  if (fewest < REPETITIONS_TO_FLIP) {
    out.push(
      `With ${fewest} ${fewest === 1 ? 'repetition' : 'repetitions'} this is about the prompts that were found; how much a method owes to its seed needs five or more.`,
    );
  }
  return out;
}

function leadOf({ difference, interval: [low, high], pAdjusted }: AnalysedPair): string {
  return `${points(difference)} points, 95% interval ${points(low)} to ${points(high)}, adjusted p ${pAdjusted.toFixed(3)}`;
}

/** "+2.0": a difference in percentage points. */
export function points(difference: number): string {
  const text = (100 * difference).toFixed(1);
  if (Number(text) === 0) return '0.0';
  return difference > 0 ? `+${text}` : text.replace('-', '−');
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

function list(rows: readonly CompareRow[]): string {
  const names = rows.map(({ method }) => method);
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
