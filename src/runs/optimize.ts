/**
 * Finds a prompt for a configured task, and records how. The method searches on the train split;
 * finalists are scored again in float32, chosen on train and validation together, and the test
 * split is opened once, at the end.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { checkTask } from '../environment/index.ts';
import { isAbort, PauseError, StoreError } from '../errors.ts';
import { humanCandidates, type Method, type Solution, titleOf } from '../methods/index.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { type AnyExample, sampleStratified } from '../tasks/index.ts';
import { packageRoot } from '../util/package-root.ts';
import { createRng } from '../util/rng.ts';
import type { Bench, OpenText } from './bench.ts';
import { type Limits, limitsOf, withinCaps } from './caps.ts';
import { bestOf, MOST_SHORTLIST, scoreSolutions, shortlist } from './choose.ts';
import type { Config, LoadedConfig } from './config.ts';
import { differences } from './differences.ts';
import type { OnEvent, OptimizeResult, ResultRow, RunEvent } from './events.ts';
import { splitScore } from './measure.ts';
import { nameOf } from './model-reference.ts';
import { openBench } from './open-bench.ts';
import { affordableEnd, affordableTest, type End, minutesOfSearch, type Pace } from './pace.ts';
import { type Chosen, priceOf } from './price.ts';
import { Recording } from './recording.ts';
import { saveOwn } from './save-own.ts';
import {
  type Found,
  methodOf,
  type OwnMethods,
  refuseSmallBudget,
  refuseUnserved,
  search,
} from './search.ts';
import type { RunOrigin, RunStore, StoredPrompt, StoredRun } from './store.ts';
import { Workbench } from './workbench.ts';
import { type Scoring, scoreHumans, scoreOpen, type Yardsticks } from './yardsticks.ts';

export { methodOf } from './search.ts';

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

/** Texts whose validation reward is looked at. */
const SEMIFINALISTS = 256;
/** Tokens of all those texts: of long ones (demonstrations) fewer are looked at. */
const SEMIFINAL_TOKENS = 8192;

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
    const ends = performance.now() + 1000 * (options.totalSeconds ?? Number.POSITIVE_INFINITY);
    checkRoom(bench, [methodOptions]);
    await refuseUnserved(bench, [method]);
    refuseSmallBudget([{ method, options: methodOptions }], config, bench.task);
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
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await bench?.close();
  }
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

/** Tokens that a prompt may take: as many as the method writes, and as the human ones have. */
function promptRoom(bench: Workbench, methodOptions: unknown): number {
  const { promptTokens = 0, prompts = [] } = methodOptions as {
    promptTokens?: number;
    prompts?: readonly string[];
  };
  const layout = bench.layout();
  const human = [...humanCandidates(bench.task), ...prompts].map((p) => layout.prompt(p).length);
  return Math.max(promptTokens, ...human);
}

export interface RunParts {
  readonly bench: Bench;
  readonly loaded: LoadedConfig;
  readonly method: Method;
  readonly methodOptions: unknown;
  /** @default those of the data and the task LM */
  readonly hashes?: Readonly<Record<string, string>>;
  /** @default the run cannot be resumed by itself */
  readonly origin?: RunOrigin;
}

/** Records the effective configuration, versions and hashes; returns the run's id. */
export function beginRun(store: RunStore, r: RunParts): string {
  const { methods: _, ...given } = r.loaded.config;
  const { task } = r.bench;
  let config = given;
  if (given.labelWords === 'search' && task.kind === 'classification') {
    const labels = Object.fromEntries(task.classes.map(({ gold, word }) => [gold, word]));
    config = { ...given, task: { ...given.task, labels } };
  }
  return store.createRun({
    method: r.method.name,
    config: {
      ...config,
      method: { ...(r.methodOptions as object), name: r.method.name },
      folder: r.loaded.folder,
    },
    seed: config.seed,
    versions: versions(),
    hashes: r.hashes ?? { ...r.bench.task.hashes, taskLm: r.bench.taskLm.key },
    ...(r.origin ? { origin: r.origin } : {}),
  });
}

/** What a run's course hangs on beside its configuration: data files and models, by name. */
async function hashesOf({ bench, method }: RunParts): Promise<Record<string, string>> {
  const hashes = { ...bench.task.hashes, taskLm: bench.taskLm.key };
  if (!method.needs?.policyLm || !(bench instanceof Workbench)) return hashes;
  return { ...hashes, policyLm: (await bench.policyLm()).key };
}

/** @throws StoreError naming the first file or model that is not what it was when the run began */
function refuseChanged(
  run: StoredRun,
  {
    facts,
    config,
    store,
  }: { facts: Readonly<Record<string, string>>; config: Config; store: RunStore },
): void {
  // Of a branch that begins anew nothing is known yet.
  if (Object.keys(run.hashes).length === 0) {
    store.putHashes(run.id, facts);
    return;
  }
  const changed = differences(run.hashes, facts);
  if (changed.length === 0) return;
  const { path } = changed.find((one) => !one.path.startsWith('split:')) ?? changed[0]!;
  const isModel = path === 'taskLm' || path === 'policyLm';
  const what = isModel ? `${path} (${nameOf(config[path])})` : path;
  throw new StoreError(
    `run ${run.id}: ${what} is not what it was when the run began, nothing is mixed; put it back, or begin anew with what there is now by "whetstone runs branch ${run.id} --step 0"`,
  );
}

/** The first event of a run. */
export function startEvent(
  runId: string,
  { task, taskLm }: Bench,
  { method, config }: { method: Method; config: LoadedConfig['config'] },
): RunEvent {
  return {
    kind: 'start',
    runId,
    method: method.name,
    task: task.name,
    taskLm: taskLm.name,
    policyLm: nameOf(config.policyLm),
    examples: {
      train: task.train.length,
      validation: task.validation.length,
      test: task.test.size,
    },
    seed: config.seed,
  };
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

/** Texts that are looked at, and that are scored again. */
type Lasts = Partial<Pick<End, 'semifinalists' | 'finalists'>>;

interface Conclusion extends Scoring {
  readonly config: Config;
  readonly found: Found;
  readonly yardsticks: Yardsticks;
  readonly end: Lasts;
  /** How many test examples there is time for at a pace. */
  readonly testExamples: (pace: Pace) => number;
  readonly method: Method;
  readonly runId: string;
  /** Seconds of work on the run so far. */
  readonly seconds: () => number;
  readonly store: RunStore;
}

/** Scores finalists afresh, chooses one, and opens the test split for it and for the yardsticks. */
async function conclude(
  c: Conclusion,
): Promise<{ result: OptimizeResult; prompts: readonly StoredPrompt[] }> {
  const { found, yardsticks } = c;
  const { chosen, pace } = await chooseFinalist(c);

  const lines = [
    { label: 'an ordinary human prompt', ...yardsticks.ordinary },
    { label: `best of ${yardsticks.count} human prompts`, ...yardsticks.best },
    { label: c.method.name, ...chosen },
  ];
  const solutions = lines.map(({ solution }) => solution);
  const tested = await openTest(c, { solutions, size: c.testExamples(pace) });
  const rows: ResultRow[] = lines.map(({ label, solution, validation }, i) => ({
    method: label,
    prompt: titleOf(solution),
    validation: splitScore(validation),
    test: splitScore(tested[i]!),
    ...(validation.fluency ? { perplexity: validation.fluency.perplexity } : {}),
  }));
  const { test } = rows.at(-1)!;
  const untested = await describeChosen(c, chosen);
  for (const tensor of found.tensors) await tensor.close();
  const { ledger } = c.bench;
  const result: OptimizeResult = { ...untested, test, ledger, rows };
  return { result, prompts: [...poolPrompts(c), promptOf(result, chosen.train.reward)] };
}

/** What a run knows of its result before the test split is opened. */
export type Untested = Omit<OptimizeResult, 'test' | 'rows'>;

/** Scores the finalists afresh in float32 on the open splits and chooses one. */
export async function chooseFinalist(
  c: Scoring & Pick<Conclusion, 'config' | 'found'> & { readonly end?: Lasts },
): Promise<{ chosen: Chosen; pace: Pace }> {
  const { bench, found, emit } = c;
  emit({ kind: 'progress', phase: 'choosing finalists', done: 0, unit: 'rounds' });
  const { search: precision } = c.config.precision;
  const solutions = await finalistsOf(bench, found, { precision, ...c.end });
  const { scored, pace } = await scoreOpen(c, { what: 'finalists', solutions });
  const chosen = bestOf(scored);
  const prompt = titleOf(chosen.solution);
  emit({ kind: 'validation', prompt, validation: splitScore(chosen.validation) });
  return { chosen: { ...chosen, fluency: priceOf(chosen, scored, c.config.fluency) }, pace };
}

/** The chosen solution as it is recorded; a tensor is saved into the run's folder. */
export async function describeChosen(
  c: Pick<Conclusion, 'bench' | 'found' | 'method' | 'runId' | 'seconds' | 'store'>,
  { solution, train, validation, fluency }: Chosen,
): Promise<Untested> {
  const isText = solution.kind === 'text';
  const saved = isText ? [] : await saveOwn(c.store.artifactFolder(c.runId), solution.save);
  const files = [...c.found.files, ...saved];
  const template = isText ? solution.template : undefined;
  return {
    kind: 'result',
    method: c.method.name,
    kindOfResult: solution.kind,
    prompt: titleOf(solution),
    promptTokens: isText ? c.bench.tokensOf(solution.text, template) : [],
    ...(template === undefined ? {} : { template }),
    ...(files.length > 0 ? { files } : {}),
    train: splitScore(train),
    validation: splitScore(validation),
    ...(c.bench.metricName === undefined ? {} : { metric: c.bench.metricName }),
    ...(fluency ? { fluency } : {}),
    evaluations: c.found.evaluations,
    seconds: c.seconds(),
    runId: c.runId,
  };
}

/** The prompt of a result with its scores, as it is stored. */
export function promptOf(result: OptimizeResult, reward: number): StoredPrompt {
  const { prompt: text, promptTokens: tokens, train, validation, test } = result;
  return { text, tokens, reward, scores: { train, validation, test } };
}

/** Opens the test split, for the winner and the yardsticks alone. */
async function openTest(
  { bench, emit, signal }: Conclusion,
  { solutions, size }: { solutions: readonly Solution[]; size: number },
) {
  const all = bench.task.test.open();
  const examples = sampleStratified<AnyExample>(all, size, createRng('test sample'));
  const total = examples.length;
  if (total < all.length) {
    const message = `${total} of ${all.length} test examples are scored, so that the run ends in time`;
    emit({ kind: 'warning', message });
  }
  const report = (share: number) => {
    signal?.throwIfAborted();
    const phase = 'opening the sealed test split';
    emit({ kind: 'progress', phase, done: Math.round(share * total), total, unit: 'examples' });
  };
  report(0);
  return scoreSolutions(bench, solutions, examples, report);
}

/** In text every one of them costs a validation split's answers. */
function semifinalists({ lmKind, choice }: Bench): number {
  return lmKind === 'text' ? 2 * choice.finalists : SEMIFINALISTS;
}

/** What goes into the last round: a shortlist of the texts, and every tensor. */
export async function finalistsOf(
  bench: Bench,
  { pool, tensors }: Found,
  {
    precision,
    finalists: count = bench.choice.finalists,
    semifinalists: most = semifinalists(bench),
  }: { precision: Precision } & Lasts,
): Promise<Solution[]> {
  let tokens = 0;
  const candidates = pool.top(most).filter(({ prompt, template }, i) => {
    tokens += (prompt.ids ?? bench.tokensOf(prompt.text, template)).length;
    return i < count || tokens <= SEMIFINAL_TOKENS;
  });
  const texts = await shortlist(bench, candidates, { precision, count });
  await bench.unload(precision);
  return [...texts, ...tensors];
}

/** The best texts of a search, as they are stored. */
export function poolPrompts({ bench, found }: Pick<Conclusion, 'bench' | 'found'>): StoredPrompt[] {
  return found.pool.top(64).map(({ prompt, reward, template }) => ({
    text: prompt.text,
    tokens: prompt.ids ?? bench.tokensOf(prompt.text, template),
    reward,
    scores: {},
  }));
}

/** Versions that a run records. */
export function versions(): Record<string, string> {
  const read = createRequire(import.meta.url);
  const own = read(join(packageRoot(), 'package.json')) as { version: string };
  const engine = read('onnxruntime-node/package.json') as { version: string };
  return { whetstone: own.version, node: process.versions.node, onnxruntime: engine.version };
}
