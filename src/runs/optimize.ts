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
import { packageRoot } from '../util/package-root.ts';
import { bestOf, race, scoreOnOpenSplits, scoreSolutions } from './choose.ts';
import type { LoadedConfig } from './config.ts';
import type { OnEvent, OptimizeResult, ResultRow, RunEvent } from './events.ts';
import { splitScore } from './measure.ts';
import { type Found, methodOf, search } from './search.ts';
import type { RunStore } from './store.ts';
import { Workbench } from './workbench.ts';

export { methodOf } from './search.ts';

export interface OptimizeOptions {
  readonly onEvent?: OnEvent | undefined;
  /** Aborted: finish the step, then end. */
  readonly signal?: AbortSignal | undefined;
  readonly store: RunStore;
}

/** Finalists that are scored again in float32. */
export const FINALISTS = 24;
/** What somebody would write without trying: the yardstick of every table. */
const ORDINARY = 'Sentiment:';

export async function optimize(
  loaded: LoadedConfig,
  options: OptimizeOptions,
): Promise<OptimizeResult> {
  const { config } = loaded;
  const { method, methodOptions } = methodOf(config);
  const started = performance.now();
  const { store, signal } = options;
  let runId: string | undefined;
  const emit = (event: RunEvent) => {
    // Recorded before it is shown: what a person saw is there after a crash.
    if (runId && event.kind !== 'progress') store.appendEvent(runId, event);
    options.onEvent?.(event);
  };
  const bench = await Workbench.open(loaded, {
    onProgress: (progress) => emit({ kind: 'progress', ...progress }),
    signal,
  });
  try {
    checkTask(bench.task, bench.taskLm, promptRoom(bench, methodOptions));
    runId = beginRun(store, { bench, loaded, method, methodOptions });
    emit(startEvent(runId, bench, { method, config }));
    for (const message of bench.task.warnings) emit({ kind: 'warning', message });
    const found = await search({ bench, config, method, methodOptions, emit, signal });
    await bench.unload(config.precision.search);
    const result = await conclude({ bench, found, method, runId, started, store, emit });
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

/** Tokens that a prompt may take: as many as the method writes, and as the human ones have. */
function promptRoom(bench: Workbench, methodOptions: unknown): number {
  const { promptTokens = 0, prompts = [] } = methodOptions as {
    promptTokens?: number;
    prompts?: readonly string[];
  };
  const layout = bench.layout();
  const human = [ORDINARY, ...humanCandidates, ...prompts].map((p) => layout.prompt(p).length);
  return Math.max(promptTokens, ...human);
}

export interface RunParts {
  readonly bench: Workbench;
  readonly loaded: LoadedConfig;
  readonly method: Method;
  readonly methodOptions: unknown;
}

/** Records the effective configuration, versions and hashes; returns the run's id. */
export function beginRun(store: RunStore, r: RunParts): string {
  const { config } = r.loaded;
  return store.createRun({
    method: r.method.name,
    config: { ...config, method: { ...(r.methodOptions as object), name: r.method.name } },
    seed: config.seed,
    versions: versions(),
    hashes: { ...r.bench.task.hashes, taskLm: r.bench.taskLm.key },
  });
}

function startEvent(
  runId: string,
  { task, taskLm }: Workbench,
  { method, config }: { method: Method; config: LoadedConfig['config'] },
): RunEvent {
  return {
    kind: 'start',
    runId,
    method: method.name,
    task: task.name,
    taskLm: taskLm.name,
    policyLm: config.policyLm,
    examples: {
      train: task.train.length,
      validation: task.validation.length,
      test: task.test.size,
    },
    seed: config.seed,
  };
}

interface Conclusion {
  readonly bench: Workbench;
  readonly found: Found;
  readonly method: Method;
  readonly runId: string;
  readonly started: number;
  readonly store: RunStore;
  readonly emit: (event: RunEvent) => void;
}

/** Scores finalists afresh, chooses one, and opens the test split for it and for the yardsticks. */
async function conclude(c: Conclusion): Promise<OptimizeResult> {
  const { bench, found, store, runId, emit } = c;
  const { task } = bench;
  const scored = async (what: string, solutions: readonly Solution[], always: Solution[] = []) => {
    const phase = `scoring ${what} in float32`;
    emit({ kind: 'progress', phase, done: 0, unit: 'prompts' });
    const left = new Set([...always, ...(await race(bench, solutions))]);
    return scoreOnOpenSplits(bench, [...left], (done, total) =>
      emit({ kind: 'progress', phase, done, total, unit: 'prompts' }),
    );
  };
  const chosen = bestOf(await scored('finalists', finalistsOf(found)));
  const text = titleOf(chosen.solution);
  emit({ kind: 'validation', prompt: text, validation: splitScore(chosen.validation) });
  const written = [...new Set([ORDINARY, ...humanCandidates])].map(
    (human): Solution => ({ kind: 'text', text: human }),
  );
  const humans = await scored('human prompts', written, [written[0]!]);
  recordPool(c);

  const examples = task.test.open();
  const lines = [
    { label: 'an ordinary human prompt', ...humans[0]! },
    { label: `best of ${written.length} human prompts`, ...bestOf(humans) },
    { label: c.method.name, ...chosen },
  ];
  const phase = 'opening the sealed test split';
  emit({ kind: 'progress', phase, done: 0, total: examples.length, unit: 'examples' });
  const tested = await scoreSolutions(
    bench,
    lines.map(({ solution }) => solution),
    examples,
  );
  const rows: ResultRow[] = lines.map(({ label, solution, validation }, i) => ({
    method: label,
    prompt: titleOf(solution),
    validation: splitScore(validation),
    test: splitScore(tested[i]!),
  }));
  const { validation, test } = rows.at(-1)!;
  const { solution } = chosen;
  const files = solution.kind === 'text' ? [] : await solution.save(store.artifactFolder(runId));
  for (const tensor of found.tensors) await tensor.close();
  const template = solution.kind === 'text' ? solution.template : undefined;
  const promptTokens = solution.kind === 'text' ? bench.layout(template).prompt(solution.text) : [];
  const result: OptimizeResult = {
    kind: 'result',
    method: c.method.name,
    kindOfResult: solution.kind,
    prompt: text,
    promptTokens,
    ...(template === undefined ? {} : { template }),
    ...(files.length > 0 ? { files } : {}),
    train: splitScore(chosen.train),
    validation,
    test,
    evaluations: found.evaluations,
    seconds: (performance.now() - c.started) / 1000,
    runId,
    rows,
  };
  store.putPrompt(runId, {
    text,
    tokens: promptTokens,
    reward: chosen.train.reward,
    scores: { train: result.train, validation, test },
  });
  return result;
}

/** What goes into the last round: the best texts, and every tensor. */
export function finalistsOf({ pool, tensors }: Found): Solution[] {
  const texts = pool
    .top(FINALISTS)
    .map(({ prompt, template }): Solution => ({ kind: 'text', text: prompt.text, template }));
  return [...texts, ...tensors];
}

function recordPool({ bench, found, store, runId }: Conclusion): void {
  for (const { prompt, reward, template } of found.pool.top(64)) {
    store.putPrompt(runId, {
      text: prompt.text,
      tokens: prompt.ids ?? bench.layout(template).prompt(prompt.text),
      reward,
      scores: {},
    });
  }
}

function versions(): Record<string, string> {
  const read = createRequire(import.meta.url);
  const own = read(join(packageRoot(), 'package.json')) as { version: string };
  const engine = read('onnxruntime-node/package.json') as { version: string };
  return { whetstone: own.version, node: process.versions.node, onnxruntime: engine.version };
}
