/**
 * Finds a prompt for a configured task, and records how. The method searches on the train split;
 * finalists are scored again in float32, chosen on train and validation together, and the test
 * split is opened once, at the end.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { checkTask } from '../environment/index.ts';
import { isAbort } from '../errors.ts';
import { humanCandidates, type Method, type Solution, titleOf } from '../methods/index.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { type AnyExample, sampleStratified } from '../tasks/index.ts';
import { packageRoot } from '../util/package-root.ts';
import { createRng } from '../util/rng.ts';
import type { Bench, OpenText } from './bench.ts';
import { withinCaps } from './caps.ts';
import { bestOf, scoreSolutions, shortlist } from './choose.ts';
import type { Config, LoadedConfig } from './config.ts';
import type { OnEvent, OptimizeResult, ResultRow, RunEvent } from './events.ts';
import { splitScore } from './measure.ts';
import { nameOf } from './model-reference.ts';
import { openBench } from './open-bench.ts';
import { affordableEnd, minutesOfSearch, type Pace } from './pace.ts';
import { type Chosen, priceOf } from './price.ts';
import {
  type Found,
  methodOf,
  type OwnMethods,
  refuseSmallBudget,
  refuseUnserved,
  search,
} from './search.ts';
import type { RunStore } from './store.ts';
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
  const started = performance.now();
  const { store, signal } = options;
  let runId: string | undefined;
  const emit = (event: RunEvent) => {
    // Recorded before it is shown: what a person saw is there after a crash.
    if (runId && event.kind !== 'progress') store.appendEvent(runId, event);
    options.onEvent?.(event);
  };
  const bench = await openBench(loaded, {
    onProgress: (progress) => emit({ kind: 'progress', ...progress }),
    onWarning: (message) => emit({ kind: 'warning', message }),
    signal,
    openText: options.openText,
  });
  const ends = performance.now() + 1000 * (options.totalSeconds ?? Number.POSITIVE_INFINITY);
  try {
    checkRoom(bench, [methodOptions]);
    await refuseUnserved(bench, [method]);
    refuseSmallBudget([{ method, options: methodOptions }], config, bench.task);
    runId = beginRun(store, { bench, loaded, method, methodOptions });
    emit(startEvent(runId, bench, { method, config }));
    for (const message of bench.task.warnings) emit({ kind: 'warning', message });
    const yardsticks = await scoreHumans({ bench, emit, signal }, options.totalSeconds);
    emit({ kind: 'progress', phase: 'preparing the search', done: 0, unit: 'steps' });
    const plan = timePlan(bench, yardsticks.pace, ends);
    const capped = withinCaps(withinTime(config, plan, emit), bench);
    const artifactFolder = store.artifactFolder(runId);
    const searching = { bench, config: capped.config, method, methodOptions, emit, signal };
    const found = await search({ ...searching, artifactFolder }).finally(() => capped.release());
    const scoring = { bench, emit, signal: afterSearch(signal) };
    const result = await conclude({
      ...scoring,
      ...{ config, found, method, runId, started, store, yardsticks, ...plan.end() },
    });
    store.appendEvent(runId, result);
    store.finishRun(runId, { state: 'done', result });
    return result;
  } catch (error) {
    if (runId) {
      const message = error instanceof Error ? error.message : String(error);
      store.finishRun(
        runId,
        isAbort(error) ? { state: 'interrupted' } : { state: 'failed', error: message },
      );
    }
    throw error;
  } finally {
    await bench.close();
  }
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
    hashes: { ...r.bench.task.hashes, taskLm: r.bench.taskLm.key },
  });
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

/** Where an end is promised: how long to search, and how many finalists there is time for. */
function timePlan({ task, choice }: Bench, pace: Pace, ends: number) {
  const plan = () => ({
    secondsLeft: (ends - performance.now()) / 1000,
    finalists: choice.finalists,
    testExamples: task.test.size,
  });
  return {
    minutes: (wanted: number) => minutesOfSearch(pace, { ...plan(), minutes: wanted }),
    end: () => affordableEnd(pace, plan()),
  };
}

function withinTime<C extends LoadedConfig['config']>(
  config: C,
  plan: ReturnType<typeof timePlan>,
  emit: (event: RunEvent) => void,
): C {
  const minutes = plan.minutes(config.budget.minutes);
  if (minutes >= config.budget.minutes) return config;
  const seconds = Math.round(60 * minutes);
  const message = `this machine is slow or busy: the search is shortened to ${seconds} s, so that the whole run ends in time`;
  emit({ kind: 'warning', message });
  return { ...config, budget: { ...config.budget, minutes } };
}

/** Ctrl-C that ended the search must not end the measuring of what it found; a later one does. */
function afterSearch(signal: AbortSignal | undefined): AbortSignal | undefined {
  return signal?.aborted ? undefined : signal;
}

interface Conclusion extends Scoring {
  readonly config: Config;
  readonly found: Found;
  readonly yardsticks: Yardsticks;
  /** Texts that are scored again. */
  readonly finalists: number;
  readonly testExamples: number;
  readonly method: Method;
  readonly runId: string;
  readonly started: number;
  readonly store: RunStore;
}

/** Scores finalists afresh, chooses one, and opens the test split for it and for the yardsticks. */
async function conclude(c: Conclusion): Promise<OptimizeResult> {
  const { found, store, yardsticks } = c;
  const chosen = await chooseFinalist(c);
  recordPool(c);

  const lines = [
    { label: 'an ordinary human prompt', ...yardsticks.ordinary },
    { label: `best of ${yardsticks.count} human prompts`, ...yardsticks.best },
    { label: c.method.name, ...chosen },
  ];
  const tested = await openTest(
    c,
    lines.map(({ solution }) => solution),
  );
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
  const result: OptimizeResult = { ...untested, test, ...(ledger ? { ledger } : {}), rows };
  recordResult(store, result, chosen.train.reward);
  return result;
}

/** What a run knows of its result before the test split is opened. */
export type Untested = Omit<OptimizeResult, 'test' | 'rows'>;

/** Scores the finalists afresh in float32 on the open splits and chooses one. */
export async function chooseFinalist(
  c: Scoring & Pick<Conclusion, 'config' | 'found'> & { readonly finalists?: number },
): Promise<Chosen> {
  const { bench, found, emit } = c;
  emit({ kind: 'progress', phase: 'choosing finalists', done: 0, unit: 'rounds' });
  const { search: precision } = c.config.precision;
  const solutions = await finalistsOf(bench, found, { precision, count: c.finalists });
  const scored = await scoreOpen(c, { what: 'finalists', solutions });
  const chosen = bestOf(scored);
  const prompt = titleOf(chosen.solution);
  emit({ kind: 'validation', prompt, validation: splitScore(chosen.validation) });
  return { ...chosen, fluency: priceOf(chosen, scored, c.config.fluency) };
}

/** The chosen solution as it is recorded; a tensor is saved into the run's folder. */
export async function describeChosen(
  c: Pick<Conclusion, 'bench' | 'found' | 'method' | 'runId' | 'started' | 'store'>,
  { solution, train, validation, fluency }: Chosen,
): Promise<Untested> {
  const isText = solution.kind === 'text';
  const saved = isText ? [] : await solution.save(c.store.artifactFolder(c.runId));
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
    seconds: (performance.now() - c.started) / 1000,
    runId: c.runId,
  };
}

/** Stores the prompt of a result with its scores. */
export function recordResult(store: RunStore, result: OptimizeResult, reward: number): void {
  const { runId, prompt: text, promptTokens: tokens, train, validation, test } = result;
  store.putPrompt(runId, { text, tokens, reward, scores: { train, validation, test } });
}

/** Opens the test split, for the winner and the yardsticks alone. */
async function openTest(c: Conclusion, solutions: readonly Solution[]) {
  const { bench, emit, signal } = c;
  const all = bench.task.test.open();
  const examples = sampleStratified<AnyExample>(all, c.testExamples, createRng('test sample'));
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
    count = bench.choice.finalists,
  }: { precision: Precision; count?: number | undefined },
): Promise<Solution[]> {
  let tokens = 0;
  const candidates = pool.top(semifinalists(bench)).filter(({ prompt, template }, i) => {
    tokens += (prompt.ids ?? bench.tokensOf(prompt.text, template)).length;
    return i < count || tokens <= SEMIFINAL_TOKENS;
  });
  const texts = await shortlist(bench, candidates, { precision, count });
  await bench.unload(precision);
  return [...texts, ...tensors];
}

/** Stores the best texts of a search. */
export function recordPool({
  bench,
  found,
  store,
  runId,
}: Pick<Conclusion, 'bench' | 'found' | 'store' | 'runId'>): void {
  for (const { prompt, reward, template } of found.pool.top(64)) {
    store.putPrompt(runId, {
      text: prompt.text,
      tokens: prompt.ids ?? bench.tokensOf(prompt.text, template),
      reward,
      scores: {},
    });
  }
}

/** Versions that a run records. */
export function versions(): Record<string, string> {
  const read = createRequire(import.meta.url);
  const own = read(join(packageRoot(), 'package.json')) as { version: string };
  const engine = read('onnxruntime-node/package.json') as { version: string };
  return { whetstone: own.version, node: process.versions.node, onnxruntime: engine.version };
}
