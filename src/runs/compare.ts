/**
 * Several methods on the same data, budget and seeds: a grid of cells, each a run of its own in the
 * store. One engine and one opened LM serve them all. The test split is opened at the end: texts of
 * all cells with the same test examples are scored in one pass, tensors when their cell ends.
 *
 * The store knows each cell's state and its run's journal, so that the same comparison goes on where it
 * stopped, in the middle of a cell too.
 */
import { dirname, join } from 'node:path';
import { isAbort } from '../errors.ts';
import type { LedgerLine, Totals } from '../providers/index.ts';
import { withFileLock } from '../util/file-lock.ts';
import { makeFolder } from '../util/make-folder.ts';
import type { Bench, OpenText } from './bench.ts';
import { CellJournals } from './cell-journals.ts';
import { chooseComparison, isFresh } from './choose-comparison.ts';
import type { CompareEvent, OnCompareEvent } from './compare-events.ts';
import { completedMethods, hashesOf, openBenches } from './compare-inputs.ts';
import type { Plan } from './compare-plan.ts';
import { runsOf, type StoredCell } from './comparison-table.ts';
import { refuseSmallBudget, refuseUnserved } from './configured-method.ts';
import { runsUnderOtherBudgets } from './earlier-cells.ts';
import { cellEvent, countOf, type Grid, keyOf } from './grid.ts';
import { runCell } from './grid-cell.ts';
import { testTexts } from './grid-test.ts';
import { paidIn } from './journal.ts';
import { totalsOf } from './ledger.ts';
import { nameOf } from './model-reference.ts';
import { checkRoom } from './optimize.ts';
import type { RunStore } from './store.ts';

export interface CompareOptions {
  readonly store: RunStore;
  readonly onEvent?: OnCompareEvent | undefined;
  /** Aborted: stop; the same comparison goes on from there. */
  readonly signal?: AbortSignal | undefined;
  /** Begin anew, whatever is in the store. */
  readonly fresh?: boolean | undefined;
  /** Run cells again that failed. */
  readonly retryFailed?: boolean | undefined;
  /** Opens models that answer in text. @default local ones and the known providers */
  readonly openText?: OpenText | undefined;
}

/** A comparison that came to its end. */
export interface Compared {
  readonly id: string;
  readonly plan: Plan;
  readonly cells: readonly StoredCell[];
  /** Of the data files and models. */
  readonly hashes: Readonly<Record<string, string>>;
  /** What models that answer in text took this time. */
  readonly ledger: LedgerLine;
  readonly about: {
    /** Of the scores, where answers are text. */
    readonly metric?: string;
    readonly task: string;
    readonly taskLm: string;
    readonly policyLm: string;
    readonly examples: {
      readonly train: number;
      readonly validation: number;
      readonly test: number;
    };
  };
}

/**
 * Runs what is left of a comparison.
 * @throws ConfigError when a method cannot be served or the budget is too small for one step
 */
export async function compare(plan: Plan, options: CompareOptions): Promise<Compared> {
  const { store, signal } = options;
  const emit = (event: CompareEvent) => options.onEvent?.(event);
  const journals = new CellJournals();
  const benches = await openBenches(plan, emit, { ...options, journal: journals });
  try {
    const [bench] = benches as [Bench, ...Bench[]];
    await refuseUnserved(bench, plan.methods.map(({ method }) => method)); // biome-ignore format: one call
    const completed = await completedMethods(plan, benches);
    for (const each of new Set(benches)) {
      refuseSmallBudget(completed, plan.loaded.config, each.task);
      checkRoom(each, completed.map(({ options }) => options)); // biome-ignore format: one call
    }
    const hashes = await hashesOf(plan, benches, completed);
    const id = chooseComparison(plan, hashes, { ...options, emit });
    const folder = comparisonFolder(store, id);
    makeFolder(folder, 0o700);
    const work = () => runGrid(plan, { id, benches, journals, store, signal, emit }, options);
    const cells = await withFileLock(join(folder, 'lock'), work, {
      signal,
      onWait: (pid) =>
        emit({
          kind: 'progress',
          phase: `comparison ${id}`,
          done: 0,
          unit: '',
          waitingFor: `process ${pid} runs it`,
        }),
    });
    const { ledger } = bench;
    return { id, plan, cells, hashes, about: aboutOf(plan, bench), ledger };
  } finally {
    await benches[0]?.close();
  }
}

/** Where a comparison's reports lie. */
export function comparisonFolder(store: RunStore, id: string): string {
  return join(dirname(store.path), 'comparisons', id);
}

async function runGrid(
  plan: Plan,
  parts: Omit<Grid, 'plan' | 'cells'>,
  { retryFailed, fresh }: CompareOptions,
): Promise<StoredCell[]> {
  const stored = parts.store.comparisons.cells(parts.id);
  const known = stored.flatMap((cell): StoredCell[] => {
    const { state, run, outcome, error: _, ...place } = cell;
    if (state === 'failed' && !retryFailed) return [cell];
    // A cell whose run was deleted is done anew.
    if (state === 'running' || run === undefined) return [];
    if (state !== 'failed') return [cell];
    // What failed on the test alone need not be searched again.
    return outcome ? [{ ...place, run, outcome, state: 'untested' }] : [];
  });
  const { recordings } = parts.store;
  const others = isFresh(parts.store, parts.id) ? [] : runsUnderOtherBudgets(parts.store, plan);
  for (const run of new Set([...stored.flatMap(runsOf), ...others])) {
    parts.journals.paidIn({ recordings, run });
  }
  for (const part of paidFor(parts, stored)) parts.benches[0]!.spentBefore?.(part);
  const cells = new Map(known.map((cell) => [keyOf(cell.method, cell.repetition), cell]));
  const grid: Grid = { ...parts, plan, cells };
  announce(grid, known);
  try {
    for (const repetition of plan.repetitions.keys()) {
      for (const compared of plan.methods) {
        const isPlace = (cell: StoredCell) =>
          cell.method === compared.method.name && cell.repetition === repetition;
        if (cells.has(keyOf(compared.method.name, repetition))) continue;
        await runCell(grid, compared, { repetition, earlier: stored.find(isPlace) });
      }
    }
    await testTexts(grid, retryFailed);
  } catch (error) {
    if (isAbort(error)) {
      const { done, total } = countOf(grid);
      const command = fresh ? 'command without --fresh' : 'command';
      const message = `stopped with ${done} of ${total} cells done: the same ${command} goes on from here`;
      grid.emit({ kind: 'warning', message });
      for (const cell of cells.values()) {
        if (cell.state === 'untested') grid.store.finishRun(cell.run!, { state: 'interrupted' });
      }
    }
    throw error;
  }
  return plan.repetitions.flatMap((_, r) =>
    plan.methods.map(({ method }) => cells.get(keyOf(method.name, r))!),
  );
}

/** What this comparison's cells have cost at most; those that it took over were another's. */
function* paidFor({ store }: Pick<Grid, 'store'>, cells: readonly StoredCell[]): Iterable<Totals> {
  const { recordings } = store;
  for (const { run, earlier = [], outcome, state } of cells) {
    if (outcome?.isTaken) continue;
    for (const given of earlier) yield paidIn({ recordings, run: given });
    // What a cell in hand has paid enters again as its journal is read.
    if (run === undefined || state === 'running') continue;
    // The journal knows of the test and of calls without an answer, too; the ledger of models in this process.
    const paid = paidIn({ recordings, run });
    const { calls, tokens, usd } = outcome?.found.ledger ? totalsOf(outcome.found.ledger) : paid;
    yield {
      calls: Math.max(calls, paid.calls),
      tokens: Math.max(tokens, paid.tokens),
      usd: Math.max(usd, paid.usd),
    };
  }
}

function announce({ plan, benches, emit, id, ...grid }: Grid, known: readonly StoredCell[]): void {
  const [bench] = benches as [Bench, ...Bench[]];
  emit({
    kind: 'comparison',
    comparisonId: id,
    ...aboutOf(plan, bench),
    methods: plan.methods.map(({ method }) => method.name),
    repetitions: plan.repetitions,
    budgetSeconds: 60 * plan.loaded.config.budget.minutes,
    resumed: known.filter(({ state }) => state !== 'failed').length,
  });
  const warnings = new Set(benches.flatMap(({ task }) => task.warnings));
  for (const message of warnings) emit({ kind: 'warning', message });
  for (const cell of known) emit(cellEvent({ plan, benches, emit, id, ...grid }, cell));
}

function aboutOf({ loaded }: Plan, { task, taskLm, metricName }: Bench): Compared['about'] {
  return {
    ...(metricName === undefined ? {} : { metric: metricName }),
    task: task.name,
    taskLm: taskLm.name,
    policyLm: nameOf(loaded.config.policyLm),
    examples: {
      train: task.train.length,
      validation: task.validation.length,
      test: task.test.size,
    },
  };
}
