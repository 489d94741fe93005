/**
 * Finds a prompt for a configured task, and records how. The method searches on the train split;
 * finalists are scored again in float32, chosen on train and validation together, and the test
 * split is opened once, at the end.
 */
import { checkTask } from '../environment/index.ts';
import { BudgetError, isAbort, PauseError } from '../errors.ts';
import { humanCandidates } from '../methods/index.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { beginRun, hashesOf, refuseChanged, startEvent } from './begin-run.ts';
import type { Bench, OpenText } from './bench.ts';
import { type Limits, limitsOf, withinCaps } from './caps.ts';
import { MOST_SHORTLIST } from './choose.ts';
import { conclude, semifinalists } from './conclude.ts';
import type { LoadedConfig } from './config.ts';
import {
  completedOptions,
  methodOf,
  type OwnMethods,
  refuseSmallBudget,
  refuseUnserved,
} from './configured-method.ts';
import type { OnEvent, OptimizeResult, RunEvent } from './events.ts';
import { openBench } from './open-bench.ts';
import { affordableEnd, affordableTest, minutesOfSearch, type Pace } from './pace.ts';
import { Recording } from './recording.ts';
import { search } from './search.ts';
import type { RunOrigin, RunStore, StoredRun } from './store.ts';
import { Workbench } from './workbench.ts';
import { scoreHumans } from './yardsticks.ts';

export interface OptimizeOptions {
  readonly onEvent?: OnEvent | undefined;
  /** Aborted while it searches: measure what was found, then end; later: end. */
  readonly signal?: AbortSignal | undefined;
  /** Seconds for all of it once the models are open: the search is shortened to keep to them. */
  readonly totalSeconds?: number | undefined;
  readonly store: RunStore;
  /** A run that this process has claimed, to go on with; `loaded` is its recorded configuration. */
  readonly run?: StoredRun | undefined;
  /** Between two kept states of the method, at least. @default 2000, and 3% of the time at most */
  readonly statesApartMs?: number | undefined;
  /** Methods of your own that `method.name` may name, beside the built-in ones. */
  readonly methods?: OwnMethods;
  /** Opens models that answer in text. @default local ones and the known providers */
  readonly openText?: OpenText;
}

export async function optimize(
  loaded: LoadedConfig,
  options: OptimizeOptions,
): Promise<OptimizeResult> {
  const { config } = loaded;
  const { method, methodOptions } = methodOf(config, options.methods);
  const { store, signal, run } = options;
  // Ends the search alone: by the signal, or since somebody asked for it in the store.
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const { onEvent, statesApartMs } = options;
  const onStop = () => stop.abort();
  const recording = new Recording(store, { onEvent, run, onStop, statesApartMs });
  const { emit, journal } = recording;
  let bench: Bench | undefined;
  try {
    bench = await openBench(loaded, {
      onProgress: (progress) => emit({ kind: 'progress', ...progress }),
      onWarning: (message) => emit({ kind: 'warning', message }),
      signal,
      openText: options.openText,
      journal,
    });
    bench.paidBefore?.(journal.paid);
    const ends = performance.now() + 1000 * (options.totalSeconds ?? Number.POSITIVE_INFINITY);
    // A run that goes on was checked when it began.
    const about = { task: bench.task, folder: loaded.folder };
    const checked = run ? methodOptions : await completedOptions(method, methodOptions, about);
    checkRoom(bench, [checked]);
    await refuseUnserved(bench, [method]);
    refuseSmallBudget([{ method, options: checked }], config, bench.task);
    const parts = { bench, loaded, method, methodOptions };
    const facts = await hashesOf(parts);
    if (run) refuseChanged(run, { facts, config, store });
    const origin = originOf(loaded, options);
    const runId = recording.begin(() => beginRun(store, { ...parts, hashes: facts, origin }));
    emit(startEvent(runId, bench, { method, config }));
    for (const message of bench.task.warnings) emit({ kind: 'warning', message });
    // Made once per model, and no pace tells how long it takes: before the time is shared out.
    if (options.totalSeconds !== undefined) await bench.prepare?.(config.precision.search);
    const yardsticks = await scoreHumans({ bench, emit, signal, journal }, options.totalSeconds);
    emit({ kind: 'progress', phase: 'preparing the search', done: 0, unit: 'steps' });
    const plan = timePlan(bench, { ends, precision: config.precision.search });
    const { pace } = yardsticks;
    const all = limitsOf(config, run?.origin?.branch);
    const minutes = journal.value('minutes', () => plan.minutes(pace, all[0]!.budget.minutes));
    const capped = withinCaps(withinTime(all, minutes, emit), bench);
    const { limits } = capped;
    const artifactFolder = store.artifactFolder(runId);
    const found = await search({
      ...{ bench, config, limits, method, methodOptions, emit, recording, artifactFolder },
      signal: stop.signal,
    }).finally(() => capped.release());
    const scoring = { bench, emit, signal: afterSearch(signal) };
    const end = journal.value('end', () => plan.end(pace));
    const testExamples = (now: Pace) => journal.value('test', () => plan.test(now));
    const { result, prompts } = await conclude({
      ...scoring,
      ...{ config, found, method, runId, store, yardsticks, end, testExamples },
      seconds: () => recording.seconds,
    });
    recording.end({ state: 'done', result }, result, prompts);
    return result;
  } catch (error) {
    endBadly(recording, error);
    throw goneOnWith(error, recording.runId, options);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await bench?.close();
  }
}

/** A cap that was met says how to go on without paying again. */
function goneOnWith(
  error: unknown,
  run: string | undefined,
  { methods, openText }: OptimizeOptions,
): unknown {
  if (!(error instanceof BudgetError) || run === undefined || methods || openText) return error;
  const key = /raise (budget\.(?:calls|tokens|usd))/.exec(error.message);
  if (!key) return error;
  const command = `whetstone runs branch ${run} --set ${key[1]}=…`;
  return new BudgetError(`${error.message}; "${command}" goes on with the answers that are paid`, {
    cause: error,
  });
}

/** Records how a run ended without a result; where even that fails, the first error is the one to tell. */
function endBadly(recording: Recording, error: unknown): void {
  if (recording.runId === undefined) return;
  const message = error instanceof Error ? error.message : String(error);
  try {
    if (isAbort(error)) recording.leave({ state: 'interrupted' });
    else if (error instanceof PauseError) recording.leave({ state: 'paused' });
    else recording.leave({ state: 'failed', error: message });
  } catch {
    // The disk is full, or another process has the run: its state is seen from its process being gone.
  }
}

/** What another process must know to go on. */
function originOf(
  { source, config, path }: LoadedConfig,
  { totalSeconds, methods, openText }: OptimizeOptions,
): RunOrigin {
  return {
    ...(source ? { file: { path, ...source } } : {}),
    ...(config.labelWords === 'search' ? { labels: config.task.labels ?? null } : {}),
    ...(totalSeconds === undefined ? {} : { totalSeconds }),
    ...(methods || openText ? { isOwn: true } : {}),
  };
}

/**
 * Checks that every example leaves room for the prompts that methods with these options write.
 * @throws ConfigError naming the first that does not
 */
export function checkRoom(bench: Bench, options: readonly unknown[]): void {
  // Where the task LM is asked in text, it says so itself, request by request.
  if (!(bench instanceof Workbench)) return;
  const rooms = options.map((one) => promptRoom(bench, one));
  checkTask(bench.task, bench.taskLm, Math.max(...rooms));
}

/** Tokens that a prompt may take: as many as the method writes, and as the human ones and given ones have. */
function promptRoom(bench: Workbench, methodOptions: unknown): number {
  const given = methodOptions as GivenPrompts;
  const { promptTokens = 0, virtualTokens = 0, prompts = [], prompt, start } = given;
  const layout = bench.layout();
  const lengthOf = (text: unknown) => (typeof text === 'string' ? layout.prompt(text).length : 0);
  // A start that is no text ("human") is one word.
  const texts = [...humanCandidates(bench.task), ...prompts, start];
  return Math.max(promptTokens, virtualTokens + lengthOf(prompt), ...texts.map(lengthOf));
}

/** How methods name what may stand in the prompt's place; those of a library's user may mean other things. */
interface GivenPrompts {
  readonly promptTokens?: number;
  readonly virtualTokens?: number;
  readonly prompts?: readonly string[];
  readonly prompt?: unknown;
  readonly start?: unknown;
}

/** Measured: 2.4. */
const INT8_SPEED = 2;

/** Where an end is promised: how long to search, and how much after that there is time for. */
function timePlan(bench: Bench, { ends, precision }: { ends: number; precision: Precision }) {
  const { task, choice } = bench;
  const plan = () => ({
    secondsLeft: (ends - performance.now()) / 1000,
    semifinalists: semifinalists(bench),
    shortlistExamples: Math.min(MOST_SHORTLIST, task.validation.length),
    shortlistSpeed: precision === 'float32' ? 1 : INT8_SPEED,
    finalists: choice.finalists,
    testExamples: task.test.size,
  });
  return {
    minutes: (pace: Pace, wanted: number) => minutesOfSearch(pace, { ...plan(), minutes: wanted }),
    end: (pace: Pace) => affordableEnd(pace, plan()),
    test: (pace: Pace) => affordableTest(pace, plan()),
  };
}

/** The first limits of a search, shortened; a branch goes on without. */
function withinTime(
  [first, ...later]: readonly Limits[],
  minutes: number,
  emit: (event: RunEvent) => void,
): readonly Limits[] {
  if (minutes >= first!.budget.minutes) return [first!, ...later];
  const seconds = Math.round(60 * minutes);
  const message = `this machine is slow or busy: the search is shortened to ${seconds} s, so that the whole run ends in time`;
  emit({ kind: 'warning', message });
  return [{ ...first!, budget: { ...first!.budget, minutes } }, ...later];
}

/** Ctrl-C that ended the search must not end the measuring of what it found; a later one does. */
function afterSearch(signal: AbortSignal | undefined): AbortSignal | undefined {
  return signal?.aborted ? undefined : signal;
}
