/**
 * Several methods on the same data, budget and seeds: a grid of cells, each a run of its own in the
 * store. One engine and one opened LM serve them all. The test split is opened at the end: texts of
 * all cells with the same test examples are scored in one pass, tensors when their cell ends.
 *
 * The store knows each cell's state, so that the same comparison goes on where it stopped.
 */
import { dirname, join } from 'node:path';
import { answerScores, type PromptScore } from '../environment/index.ts';
import { isAbort, StoreError, WhetstoneError } from '../errors.ts';
import type { TextSolution } from '../methods/index.ts';
import type { LedgerLine } from '../providers/index.ts';
import type { AnyExample, Example } from '../tasks/index.ts';
import { withFileLock } from '../util/file-lock.ts';
import { sha256Json } from '../util/hash.ts';
import type { Bench, OpenText } from './bench.ts';
import { withinCaps } from './caps.ts';
import { scoreSolutions } from './choose.ts';
import type { CellEvent, CompareEvent, OnCompareEvent } from './compare-events.ts';
import { type ComparedMethod, cellConfig, type Plan, taskOf } from './compare-plan.ts';
import type { CellOutcome, CellTest, StoredCell } from './comparison-table.ts';
import { earlierCells, type StoredPlan } from './earlier-cells.ts';
import type { RunEvent } from './events.ts';
import { since } from './ledger.ts';
import { splitScore } from './measure.ts';
import { nameOf } from './model-reference.ts';
import { openBench } from './open-bench.ts';
import {
  beginRun,
  checkRoom,
  chooseFinalist,
  describeChosen,
  poolPrompts,
  promptOf,
  startEvent,
} from './optimize.ts';
import { refuseSmallBudget, refuseUnserved, search } from './search.ts';
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

interface Grid {
  readonly id: string;
  readonly plan: Plan;
  readonly benches: readonly Bench[];
  readonly cells: Map<string, StoredCell>;
  readonly store: RunStore;
  readonly signal: AbortSignal | undefined;
  readonly emit: (event: CompareEvent) => void;
}

/**
 * Runs what is left of a comparison.
 * @throws ConfigError when a method cannot be served or the budget is too small for one step
 */
export async function compare(plan: Plan, options: CompareOptions): Promise<Compared> {
  const { store, signal } = options;
  const emit = (event: CompareEvent) => options.onEvent?.(event);
  const benches = await openBenches(plan, emit, options);
  try {
    const [bench] = benches as [Bench, ...Bench[]];
    await refuseUnserved(bench, plan.methods.map(({ method }) => method)); // biome-ignore format: one call
    for (const each of new Set(benches)) {
      refuseSmallBudget(plan.methods, plan.loaded.config, each.task);
      checkRoom(each, plan.methods.map((compared) => compared.options)); // biome-ignore format: one call
    }
    const hashes = await hashesOf(plan, benches);
    const id = chooseComparison(plan, hashes, { ...options, emit });
    const folder = comparisonFolder(store, id);
    const work = () => runGrid(plan, { id, benches, store, signal, emit }, options);
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
  { signal, openText }: Pick<CompareOptions, 'signal' | 'openText'>,
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
  };
  const { question } = plan;
  const id = same?.id ?? store.comparisons.create({ question, hashes, plan: stored });
  if (!fresh) takeOver(store, id, earlierCells(store, plan, hashes));
  return id;
}

/** Cells that others have paid for, where this comparison has none of its own. */
function takeOver(store: RunStore, id: string, paid: readonly StoredCell[]): void {
  const own = new Set<string>();
  for (const { method, repetition, state } of store.comparisons.cells(id)) {
    if (state !== 'running') own.add(keyOf(method, repetition));
  }
  for (const cell of paid) {
    if (!own.has(keyOf(cell.method, cell.repetition))) store.comparisons.putCell(id, cell);
  }
}

const keyOf = (method: string, repetition: number): string => `${method} ${repetition}`;

async function runGrid(
  plan: Plan,
  parts: Omit<Grid, 'plan' | 'cells'>,
  { retryFailed }: CompareOptions,
): Promise<StoredCell[]> {
  const known = parts.store.comparisons
    .cells(parts.id)
    .filter(({ state }) => state !== 'running' && !(retryFailed && state === 'failed'));
  const cells = new Map(known.map((cell) => [keyOf(cell.method, cell.repetition), cell]));
  const grid: Grid = { ...parts, plan, cells };
  announce(grid, known);
  try {
    for (const repetition of plan.repetitions.keys()) {
      for (const compared of plan.methods) {
        if (!cells.has(keyOf(compared.method.name, repetition))) {
          await runCell(grid, compared, repetition);
        }
      }
    }
    await testTexts(grid);
  } catch (error) {
    if (isAbort(error)) {
      const { done, total } = countOf(grid);
      const message = `stopped with ${done} of ${total} cells done: the same command goes on from here`;
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

function announce({ plan, benches, emit, id, ...grid }: Grid, known: readonly StoredCell[]): void {
  const [bench] = benches as [Bench, ...Bench[]];
  emit({
    kind: 'comparison',
    comparisonId: id,
    ...aboutOf(plan, bench),
    methods: plan.methods.map(({ method }) => method.name),
    repetitions: plan.repetitions,
    budgetSeconds: 60 * plan.loaded.config.budget.minutes,
    resumed: known.length,
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

/** One search and choice. A failure is the cell's; what stops everything is thrown. */
async function runCell(
  grid: Grid,
  { method, options }: ComparedMethod,
  repetition: number,
): Promise<void> {
  const { plan, store, signal } = grid;
  signal?.throwIfAborted();
  const bench = grid.benches[repetition]!;
  const loaded = cellConfig(plan, method.name, plan.repetitions[repetition]!);
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const runId = beginRun(store, { bench, loaded, method, methodOptions: options });
  const place = { method: method.name, repetition };
  const put = (cell: Pick<StoredCell, 'state' | 'outcome' | 'error'>) =>
    putCell(grid, { ...place, run: runId, ...cell });
  const emit = (event: RunEvent) => {
    if (event.kind !== 'progress') store.appendEvent(runId, event);
    grid.emit({ ...event, ...place });
  };
  const { done, total } = countOf(grid);
  put({ state: 'running' });
  const before = bench.ledger;
  try {
    emit(startEvent(runId, bench, { method, config: loaded.config }));
    const capped = withinCaps(loaded.config, bench, 1 / (total - done));
    const found = await search({
      bench,
      config: capped.config,
      method,
      methodOptions: options,
      emit,
      signal,
      keepsPartial: false,
    }).finally(() => capped.release());
    try {
      const chosen = await chooseFinalist({ bench, config: loaded.config, found, emit, signal });
      if (!Number.isFinite(chosen.validation.reward)) {
        throw new WhetstoneError(
          `${method.name}: what it found has the reward ${chosen.validation.reward} on validation`,
        );
      }
      const described = await describeChosen(
        { bench, found, method, runId, seconds, store },
        chosen,
      );
      const ledger = since(bench.ledger, before);
      const outcome: CellOutcome = {
        found: { ...described, ledger },
        trainReward: chosen.train.reward,
      };
      store.append(runId, { prompts: poolPrompts({ bench, found }) });
      if (chosen.solution.kind === 'text') put({ state: 'untested', outcome });
      else {
        const examples = bench.task.test.open() as readonly Example[];
        const score = await chosen.solution.evaluate(examples);
        const cell: StoredCell = { ...place, state: 'untested', run: runId, outcome };
        finishCell(grid, cell, { examples, score });
      }
    } finally {
      for (const tensor of found.tensors) await tensor.close();
      // The next search needs the memory.
      await bench.unload('float32');
    }
  } catch (error) {
    if (isAbort(error)) store.finishRun(runId, { state: 'interrupted' });
    if (isAbort(error) || error instanceof StoreError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    store.finishRun(runId, { state: 'failed', error: message });
    put({ state: 'failed', error: message });
    if (!bench.isAlive) throw error;
  }
}

/** Opens the test split for the texts of all cells that have the same examples and template. */
async function testTexts(grid: Grid): Promise<void> {
  const groups = new Map<string, StoredCell[]>();
  for (const cell of grid.cells.values()) {
    if (cell.state !== 'untested') continue;
    const { task } = grid.benches[cell.repetition]!;
    const { template } = cell.outcome!.found;
    const words = task.kind === 'text' ? task.labelWords : task.classes;
    const key = JSON.stringify([task.hashes['split:test'], template, words]);
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  for (const cells of groups.values()) await testGroup(grid, cells);
}

async function testGroup(grid: Grid, cells: readonly StoredCell[]): Promise<void> {
  const bench = grid.benches[cells[0]!.repetition]!;
  const prompts = cells.length === 1 ? '1 prompt' : `${cells.length} prompts`;
  const phase = `opening the sealed test split for ${prompts}`;
  const solutions = cells.map(({ outcome }): TextSolution => {
    const { prompt, template } = outcome!.found;
    return { kind: 'text', text: prompt, template };
  });
  try {
    const examples = bench.task.test.open();
    const total = examples.length;
    const report = (share: number) => {
      grid.signal?.throwIfAborted();
      const done = Math.round(share * total);
      grid.emit({ kind: 'progress', phase, done, total, unit: 'examples' });
    };
    report(0);
    const scores = await scoreSolutions(bench, solutions, examples, report);
    cells.forEach((cell, i) => {
      finishCell(grid, cell, { examples, score: scores[i]! });
    });
  } catch (error) {
    if (isAbort(error) || error instanceof StoreError || !bench.isAlive) throw error;
    // One prompt may be at fault (too long for some example): the others must not fail with it.
    const left = cells.filter(
      ({ method, repetition }) => grid.cells.get(keyOf(method, repetition))!.state === 'untested',
    );
    if (cells.length > 1) for (const cell of left) await testGroup(grid, [cell]);
    else {
      const [cell] = cells as [StoredCell];
      const message = `on the test split: ${error instanceof Error ? error.message : error}`;
      grid.store.finishRun(cell.run!, { state: 'failed', error: message });
      putCell(grid, { ...cell, state: 'failed', error: message });
    }
  }
}

/** Stores the answers to the test examples with the cell, and its run's result. */
function finishCell(
  grid: Grid,
  cell: StoredCell,
  { examples, score }: { examples: readonly AnyExample[]; score: PromptScore },
): void {
  const { task } = grid.benches[cell.repetition]!;
  const { found, trainReward } = cell.outcome!;
  const unanswered = score.text?.failed ?? 0;
  if (unanswered > 0) {
    throw new WhetstoneError(
      `${unanswered} of ${examples.length} test examples have no score, so that the prompt cannot be compared with others; run it again with --retry-failed`,
    );
  }
  const gold = examples.map(({ label = 0 }) => label);
  const hits = answerScores(score, examples);
  const test: CellTest = { hash: task.hashes['split:test']!, hits, gold };
  const result = { ...found, test: splitScore(score) };
  const prompts = [promptOf(result, trainReward)];
  grid.store.append(cell.run!, { events: [result], prompts, end: { state: 'done', result } });
  putCell(grid, { ...cell, state: 'done', outcome: { found, trainReward, test } });
}

function putCell(grid: Grid, cell: StoredCell): void {
  grid.store.comparisons.putCell(grid.id, cell);
  grid.cells.set(keyOf(cell.method, cell.repetition), cell);
  grid.emit(cellEvent(grid, cell));
}

function cellEvent(grid: Grid, cell: StoredCell): CellEvent {
  const { method, repetition, state, run, outcome, error } = cell;
  return {
    kind: 'cell',
    method,
    repetition,
    ...grid.plan.repetitions[repetition]!,
    state,
    ...(run === undefined ? {} : { runId: run }),
    ...(outcome ? { seconds: outcome.found.seconds } : {}),
    ...(error === undefined ? {} : { error }),
    ...countOf(grid),
  };
}

function countOf({ plan, cells }: Grid): { done: number; total: number } {
  const done = [...cells.values()].filter(({ state }) => state !== 'running').length;
  return { done, total: plan.methods.length * plan.repetitions.length };
}
