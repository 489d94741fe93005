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
import { sha256Json } from '../util/hash.ts';
import { makeFolder } from '../util/make-folder.ts';
import type { Bench, OpenOptions, OpenText } from './bench.ts';
import { CellJournals, noCache } from './cell-journals.ts';
import type { CompareEvent, OnCompareEvent } from './compare-events.ts';
import { type ComparedMethod, type Plan, taskOf } from './compare-plan.ts';
import type { StoredCell } from './comparison-table.ts';
import { completedOptions, refuseSmallBudget, refuseUnserved } from './configured-method.ts';
import { earlierCells, runsUnderOtherBudgets, type StoredPlan } from './earlier-cells.ts';
import { cellEvent, countOf, type Grid, keyOf } from './grid.ts';
import { runCell } from './grid-cell.ts';
import { testTexts } from './grid-test.ts';
import { paidIn } from './journal.ts';
import { totalsOf } from './ledger.ts';
import { nameOf } from './model-reference.ts';
import { openBench } from './open-bench.ts';
import { checkRoom } from './optimize.ts';
import type { RunStore } from './store.ts';
import { Workbench } from './workbench.ts';

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
    const hashes = { ...(await hashesOf(plan, benches)), ...fileHashes(plan, completed) };
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

/** One workbench a repetition; those of the same split are one. */
async function openBenches(
  { loaded, repetitions }: Plan,
  emit: (event: CompareEvent) => void,
  { signal, openText, journal }: Pick<OpenOptions, 'signal' | 'openText' | 'journal'>,
): Promise<Bench[]> {
  const bySplit = new Map<string | undefined, Bench>();
  let first: Bench | undefined;
  try {
    for (const repetition of repetitions) {
      if (bySplit.has(repetition.split)) continue;
      const task = taskOf(loaded, repetition);
      const config = { ...loaded.config, task };
      const bench = first
        ? await first.with(task)
        : await openBench(
            { ...loaded, config },
            {
              signal,
              openText,
              journal,
              cache: noCache,
              onProgress: (progress) => emit({ kind: 'progress', ...progress }),
              onWarning: (message) => emit({ kind: 'warning', message }),
            },
          );
      first ??= bench;
      bySplit.set(repetition.split, bench);
    }
  } catch (error) {
    await first?.close();
    throw error;
  }
  return repetitions.map(({ split }) => bySplit.get(split)!);
}

/** The methods with what their files hold. @throws ConfigError and DataError for what one cannot work with */
async function completedMethods(
  { methods, loaded: { folder } }: Plan,
  benches: readonly Bench[],
): Promise<ComparedMethod[]> {
  const out: ComparedMethod[] = [];
  for (const { method, options } of methods) {
    let completed: unknown = options;
    for (const { task } of new Set(benches)) {
      completed = await completedOptions(method, options, { task, folder });
    }
    out.push({ method, options: completed });
  }
  return out;
}

/** Of what was read from files that options name. */
function fileHashes(
  { methods }: Plan,
  completed: readonly ComparedMethod[],
): Record<string, string> {
  const read = completed.filter(({ options }, i) => options !== methods[i]!.options);
  return Object.fromEntries(
    read.map(({ method, options }) => [`methods.${method.name}`, sha256Json(options)]),
  );
}

async function hashesOf(
  { methods, loaded }: Plan,
  benches: readonly Bench[],
): Promise<Record<string, string>> {
  const [bench] = benches as [Bench, ...Bench[]];
  const writes = methods.some(({ method }) => method.needs?.policyLm);
  const policyLm =
    writes && bench instanceof Workbench
      ? (await bench.policyLm()).key
      : nameOf(loaded.config.policyLm);
  const data = benches.flatMap(({ task }, i) =>
    Object.entries(task.hashes).map(([name, hash]) => [
      name.startsWith('split:') ? `${i} ${name}` : name,
      hash,
    ]),
  );
  return { ...Object.fromEntries(data), taskLm: bench.taskLm.key, policyLm };
}

/** The stored comparison that asked the same of the same data and models, or a new one. */
function chooseComparison(
  plan: Plan,
  hashes: Record<string, string>,
  {
    store,
    fresh,
    emit,
  }: Pick<CompareOptions, 'store' | 'fresh'> & { emit: (event: CompareEvent) => void },
): string {
  const earlier = fresh ? [] : store.comparisons.find(plan.question);
  const same = earlier.find((one) => sha256Json(one.hashes) === sha256Json(hashes));
  if (!same && earlier[0]) {
    const old = earlier[0].hashes;
    const changed = Object.keys(hashes).filter((name) => old[name] !== hashes[name]);
    emit({
      kind: 'warning',
      message: `${changed.join(', ')} changed since comparison ${earlier[0].id}: a new one begins`,
    });
  }
  const { loaded, methods, repetitions } = plan;
  const stored: StoredPlan = {
    config: loaded.config,
    methods: methods.map(({ method, options }) => ({ name: method.name, options })),
    repetitions,
    ...(fresh ? { isFresh: true } : {}),
  };
  const { question } = plan;
  const id = same?.id ?? store.comparisons.create({ question, hashes, plan: stored });
  if (!isFresh(store, id)) takeOver(store, id, earlierCells(store, plan, hashes));
  return id;
}

/** Whether all of a comparison was to be paid for anew. */
function isFresh(store: RunStore, id: string): boolean {
  return (store.comparisons.get(id).plan as StoredPlan).isFresh === true;
}

/** Cells that others have paid for, where this comparison has none of its own. */
function takeOver(store: RunStore, id: string, paid: readonly StoredCell[]): void {
  const own = new Set<string>();
  for (const { method, repetition, state } of store.comparisons.cells(id)) {
    if (state !== 'running') own.add(keyOf(method, repetition));
  }
  for (const cell of paid) {
    if (own.has(keyOf(cell.method, cell.repetition))) continue;
    const outcome = { ...cell.outcome!, isTaken: true };
    store.comparisons.putCell(id, { ...cell, outcome });
  }
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
  for (const run of new Set([...stored.flatMap((cell) => cell.run ?? []), ...others])) {
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
  for (const { run, outcome, state } of cells) {
    // What a cell in hand has paid enters again as its journal is read.
    if (run === undefined || state === 'running' || outcome?.isTaken) continue;
    // The journal knows of the test and of calls without an answer, too; the ledger of models in this process.
    const paid = paidIn({ recordings: store.recordings, run });
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
