/**
 * A cell of a comparison: one search and choice, recorded as a run. One that was cut off goes on from its
 * journal and the last state of its method, as a run does.
 */
import { isAbort, StoreError, WhetstoneError } from '../errors.ts';
import { ordinaryPrompt } from '../methods/index.ts';
import type { Example } from '../tasks/index.ts';
import { beginRun, startEvent } from './begin-run.ts';
import type { Bench } from './bench.ts';
import { costOfCall, limitsOf, withinCaps } from './caps.ts';
import { type ComparedMethod, cellConfig } from './compare-plan.ts';
import { type CellOutcome, runsOf, type StoredCell } from './comparison-table.ts';
import { chooseFinalist, describeChosen, poolPrompts } from './conclude.ts';
import type { Config } from './config.ts';
import type { RunEvent } from './events.ts';
import { countOf, type Grid, putCell } from './grid.ts';
import { finishCell } from './grid-test.ts';
import { since } from './ledger.ts';
import { isRemote } from './model-reference.ts';
import { planComparison } from './plan.ts';
import { OtherCourseError, Recording } from './recording.ts';
import { search } from './search.ts';
import type { StoredRun } from './store.ts';

interface Place {
  readonly repetition: number;
  /** What the store had of the cell. */
  readonly earlier?: StoredCell | undefined;
}

/**
 * One search and choice, from where it was left. A failure is the cell's; what stops everything is
 * thrown.
 */
export async function runCell(
  grid: Grid,
  compared: ComparedMethod,
  { repetition, earlier }: Place,
): Promise<void> {
  grid.signal?.throwIfAborted();
  const left = leftBy(grid, earlier);
  const anew = { repetition, givenUp: earlier ? runsOf(earlier) : [] };
  if (!left) return searchCell(grid, compared, anew);
  const { state } = left;
  const run = { ...grid.store.claimRun(left.id), state };
  try {
    await searchCell(grid, compared, { repetition, givenUp: earlier?.earlier ?? [], run });
  } catch (error) {
    if (!(error instanceof OtherCourseError)) throw error;
    const message = `${error.message.split('; ')[0]}: this cell begins again`;
    grid.emit({ kind: 'warning', message });
    await searchCell(grid, compared, anew);
  }
}

/** The run of a cell that was cut off, where it can be gone on with. */
function leftBy({ store }: Grid, cell: StoredCell | undefined): StoredRun | undefined {
  if (cell?.state !== 'running' || cell.run === undefined) return undefined;
  const run = store.getRun(cell.run);
  // Of a version that kept no journal of cells there are steps alone.
  const isRecorded =
    store.recordings.lastJournalSeq(run.id) > 0 || !store.lastEvent(run.id, 'step');
  return run.state !== 'running' && isRecorded ? run : undefined;
}

/** Examples that an ordinary prompt is asked on, where nothing tells yet what a call costs. */
const MEASURED = 8;

/** What a call of the task LM takes: measured, or as planned where every answer so far was paid for before. */
async function measuredCall({ plan }: Grid, bench: Bench, config: Config) {
  if (bench.taskCalls === undefined) return undefined;
  await takeMeasure(bench, config);
  const measured = costOfCall(bench);
  if (measured) return measured;
  const { byRole, calls, tokens, usd } = await planComparison(plan);
  const asked = Math.max(1, byRole.task?.calls ?? 0);
  return { calls: calls / asked, tokens: tokens / asked, usd: (usd ?? 0) / asked };
}

/** Asks a few questions where caps need to know what one takes and none was asked. */
async function takeMeasure(bench: Bench, { budget, taskLm }: Config): Promise<void> {
  const isCapped = isRemote(taskLm) || budget.calls !== undefined || budget.tokens !== undefined;
  if (bench.taskCalls !== 0 || !isCapped) return;
  const environment = bench.environment(bench.task.train.slice(0, MEASURED), 'float32');
  await environment.evaluate([ordinaryPrompt(bench.task)]);
  await environment.close();
  bench.forget?.();
}

interface SearchedPlace {
  readonly repetition: number;
  /** Runs that the cell had before. */
  readonly givenUp: readonly string[];
  /** The one that goes on. @default a new one */
  readonly run?: StoredRun;
}

async function searchCell(
  grid: Grid,
  { method, options }: ComparedMethod,
  { repetition, givenUp, run }: SearchedPlace,
): Promise<void> {
  const { plan, store, journals, signal } = grid;
  const bench = grid.benches[repetition]!;
  const loaded = cellConfig(plan, method.name, plan.repetitions[repetition]!);
  const place = { method: method.name, repetition };
  const onEvent = (event: RunEvent) => grid.emit({ ...event, ...place });
  const recording = new Recording(store, { onEvent, run });
  const { emit, journal } = recording;
  const runId = recording.begin(() =>
    beginRun(store, { bench, loaded, method, methodOptions: options }),
  );
  const own = { ...place, run: runId, ...(givenUp.length > 0 ? { earlier: givenUp } : {}) };
  const put = (cell: Pick<StoredCell, 'state' | 'outcome' | 'error'>) =>
    putCell(grid, { ...own, ...cell });
  put({ state: 'running' });
  const before = bench.ledger;
  bench.forget?.();
  journals.current = journal;
  bench.paidBefore?.(journal.paid);
  let release = () => {};
  try {
    emit(startEvent(runId, bench, { method, config: loaded.config }));
    const perCall = await measuredCall(grid, bench, loaded.config);
    const budget = journal.value('budget', () => {
      const parts = { runs: countOf(grid).total, tested: 1, perCall };
      const capped = withinCaps(limitsOf(loaded.config), bench, parts);
      release = capped.release;
      return capped.limits[0]!.budget;
    });
    const found = await search({
      bench,
      config: loaded.config,
      limits: limitsOf({ budget }),
      method,
      methodOptions: options,
      emit,
      signal,
      keepsPartial: false,
      recording,
    }).finally(() => release());
    try {
      const open = { bench, config: loaded.config, found, emit, signal };
      const { chosen } = await chooseFinalist(open);
      if (!Number.isFinite(chosen.validation.reward)) {
        throw new WhetstoneError(
          `${method.name}: what it found has the reward ${chosen.validation.reward} on validation`,
        );
      }
      const described = await describeChosen(
        { bench, found, method, runId, seconds: () => recording.seconds, store },
        chosen,
      );
      const ledger = since(bench.ledger, before);
      const outcome: CellOutcome = {
        found: { ...described, ledger },
        trainReward: chosen.train.reward,
      };
      store.append(runId, { journal: journal.take(), prompts: poolPrompts({ bench, found }) });
      if (chosen.solution.kind === 'text') put({ state: 'untested', outcome });
      else {
        const examples = bench.task.test.open() as readonly Example[];
        const score = await chosen.solution.evaluate(examples);
        const cell: StoredCell = { ...own, state: 'untested', outcome };
        finishCell(grid, cell, { examples, score });
      }
    } finally {
      for (const tensor of found.tensors) await tensor.close();
      // The next search needs the memory.
      await bench.unload('float32');
    }
  } catch (error) {
    const isOther = error instanceof OtherCourseError;
    if (isAbort(error) || isOther) recording.leave({ state: 'interrupted' });
    if (isAbort(error) || error instanceof StoreError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    recording.leave({ state: 'failed', error: message });
    put({ state: 'failed', error: message });
    if (!bench.isAlive) throw error;
  } finally {
    journals.current = undefined;
  }
}
