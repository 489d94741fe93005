/**
 * Finds a prompt for a configured task, and records how. The method searches on the train split;
 * finalists are scored again as texts in float32, chosen on train and validation together, and the
 * test split is opened once, at the end.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Environment, PromptScore } from '../environment/index.ts';
import { BudgetError, ConfigError, isAbort } from '../errors.ts';
import {
  Budget,
  CandidatePool,
  humanCandidates,
  type Method,
  type MethodName,
  methods,
  type StepReport,
} from '../methods/index.ts';
import { packageRoot } from '../util/package-root.ts';
import type { OnProgress } from '../util/progress.ts';
import { createRng } from '../util/rng.ts';
import { nearest } from '../util/suggest.ts';
import type { LoadedConfig } from './config.ts';
import type { Episode, OnEvent, OptimizeResult, ResultRow, RunEvent } from './events.ts';
import { splitScore } from './measure.ts';
import type { RunStore } from './store.ts';
import { Workbench } from './workbench.ts';

export interface OptimizeOptions {
  readonly onEvent?: OnEvent | undefined;
  /** Aborted: finish the step, then end. */
  readonly signal?: AbortSignal | undefined;
  readonly store: RunStore;
}

/** Finalists that are scored again in float32. */
const FINALISTS = 24;
/** What somebody would write without trying: the yardstick of every table. */
const ORDINARY = 'Sentiment:';

export async function optimize(
  loaded: LoadedConfig,
  options: OptimizeOptions,
): Promise<OptimizeResult> {
  const { method, methodOptions } = methodOf(loaded);
  const started = performance.now();
  const { store, signal } = options;
  let runId: string | undefined;
  const emit = (event: RunEvent) => {
    // Recorded before it is shown: what a person saw is there after a crash.
    if (runId && event.kind !== 'progress') store.appendEvent(runId, event);
    options.onEvent?.(event);
  };
  const onProgress: OnProgress = (progress) => emit({ kind: 'progress', ...progress });
  const bench = await Workbench.open(loaded, { onProgress, signal });
  try {
    const { config } = loaded;
    const { task } = bench;
    runId = store.createRun({
      method: method.name,
      config: { ...config, method: { ...(methodOptions as object), name: method.name } },
      seed: config.seed,
      versions: versions(),
      hashes: { ...task.hashes, taskLm: bench.taskLm.key },
    });
    emit({
      kind: 'start',
      runId,
      method: method.name,
      task: task.name,
      taskLm: bench.taskLm.name,
      policyLm: config.policyLm,
      examples: {
        train: task.train.length,
        validation: task.validation.length,
        test: task.test.size,
      },
      seed: config.seed,
    });
    for (const message of task.warnings) emit({ kind: 'warning', message });
    const search = bench.environment(task.train, config.precision.search);
    const pool = new CandidatePool();
    await searchPrompts({ loaded, bench, method, methodOptions, search, pool, emit, signal });
    const result = await conclude({ bench, search, pool, method, runId, started, store, emit });
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

interface Search {
  readonly loaded: LoadedConfig;
  readonly bench: Workbench;
  readonly method: Method;
  readonly methodOptions: unknown;
  readonly search: Environment;
  readonly pool: CandidatePool;
  readonly emit: (event: RunEvent) => void;
  readonly signal: AbortSignal | undefined;
}

async function searchPrompts(s: Search): Promise<void> {
  const { config } = s.loaded;
  const rng = createRng(config.seed);
  const budget = new Budget(config.budget, () => s.search.evaluations, { signal: s.signal });
  const context = {
    task: s.bench.task,
    environment: s.search,
    rng: rng.fork('sampling'),
    budget,
    pool: s.pool,
    createPolicy: (options: { adapterWidth?: number; prior?: number }) =>
      s.bench.policy(options, rng.fork('policy')),
    warn: (message: string) => s.emit({ kind: 'warning', message }),
  };
  let tried = 0;
  try {
    for await (const report of s.method.run(context, s.methodOptions)) {
      tried += report.tried.length;
      s.emit(stepEvent(report, s, budget, tried));
    }
  } catch (error) {
    // Ctrl-C ends the search, not the run: what was found is still measured.
    if (!isAbort(error) || !s.pool.best) throw error;
    s.emit({ kind: 'warning', message: 'stopped early: measuring the best prompts found so far' });
  }
  if (!s.pool.best) {
    throw new BudgetError(
      `the budget of ${JSON.stringify(config.budget)} ended before one step of ${s.method.name}, give it more`,
    );
  }
}

function stepEvent(report: StepReport, s: Search, budget: Budget, tried: number): RunEvent {
  const { task } = s.bench;
  const rewards = report.tried.map(({ score }) => score.reward);
  const best = s.pool.best;
  const left = budget.secondsLeft;
  return {
    kind: 'step',
    step: report.step,
    reward: rewards.reduce((a, b) => a + b, 0) / rewards.length,
    ...(report.entropy === undefined ? {} : { entropy: report.entropy }),
    bestPrompt: best?.prompt.text ?? '',
    bestReward: best?.reward ?? 0,
    promptsPerSecond: tried / Math.max(budget.seconds, 1e-3),
    evaluations: s.search.evaluations,
    spent: Math.min(1, budget.spent),
    ...(left === undefined ? {} : { secondsLeft: left }),
    episode: episodeOf(report, s),
    ...(report.quantities ? { quantities: report.quantities } : {}),
  };

  function episodeOf({ tried: all }: StepReport, { search }: Search): Episode {
    const { prompt, score } = all[report.step % all.length]!;
    const at = report.step % score.predicted.length;
    const example = search.examples[score.examples[at]!]!;
    return {
      prompt: prompt.text,
      input: example.input,
      answer: task.classes[score.predicted[at]!]!.word,
      gold: task.classes[example.label]!.word,
      reward: score.rewards[at]!,
    };
  }
}

interface Conclusion {
  readonly bench: Workbench;
  readonly search: Environment;
  readonly pool: CandidatePool;
  readonly method: Method;
  readonly runId: string;
  readonly started: number;
  readonly store: RunStore;
  readonly emit: (event: RunEvent) => void;
}

/** Scores finalists afresh, chooses one, and opens the test split for it and for the yardsticks. */
async function conclude(c: Conclusion): Promise<OptimizeResult> {
  const { bench, search, pool, store, runId, emit } = c;
  const { task } = bench;
  await search.close();
  await bench.unload(search.precision);
  const train = bench.environment(task.train, 'float32');
  const validation = bench.environment(task.validation, 'float32');
  const splits = { train, validation };
  const finalists = await scoresOf(
    c,
    'finalists',
    pool.top(FINALISTS).map(({ prompt }) => prompt.text),
    splits,
  );
  const humans = await scoresOf(
    c,
    'human prompts',
    [...new Set([ORDINARY, ...humanCandidates])],
    splits,
  );
  const chosen = bestOf(finalists);
  const human = bestOf(humans);
  const ordinary = humans[0]!;
  emit({ kind: 'validation', prompt: chosen.text, validation: splitScore(chosen.validation) });
  for (const { prompt, reward } of pool.top(64)) {
    const text = prompt.text;
    store.putPrompt(runId, {
      text,
      tokens: prompt.ids ?? train.layout.prompt(text),
      reward,
      scores: {},
    });
  }
  await train.close();
  await validation.close();

  const examples = task.test.open();
  const test = bench.environment(examples, 'float32', { once: true });
  const lines: [string, Scored][] = [
    ['an ordinary human prompt', ordinary],
    [`best of ${humans.length} human prompts`, human],
    [c.method.name, chosen],
  ];
  const phase = 'opening the sealed test split';
  emit({ kind: 'progress', phase, done: 0, total: examples.length, unit: 'examples' });
  const tested = await test.evaluate(lines.map(([, { text }]) => text));
  const rows: ResultRow[] = lines.map(([label, scored], i) => ({
    method: label,
    prompt: scored.text,
    validation: splitScore(scored.validation),
    test: splitScore(tested[i]!),
  }));
  const promptTokens = test.layout.prompt(chosen.text);
  await test.close();
  const last = rows.at(-1)!;
  const result: OptimizeResult = {
    kind: 'result',
    method: c.method.name,
    prompt: chosen.text,
    promptTokens,
    train: splitScore(chosen.train),
    validation: last.validation,
    test: last.test,
    evaluations: search.evaluations,
    seconds: (performance.now() - c.started) / 1000,
    runId,
    rows,
  };
  store.putPrompt(runId, {
    text: chosen.text,
    tokens: promptTokens,
    reward: chosen.train.reward,
    scores: { train: result.train, validation: result.validation, test: result.test },
  });
  return result;
}

interface Scored {
  readonly text: string;
  readonly train: PromptScore;
  readonly validation: PromptScore;
}

/**
 * The text with the highest mean reward over train and validation examples together: with 16
 * examples a class, accuracy on validation alone is too coarse to choose by.
 */
function bestOf(scored: readonly Scored[]): Scored {
  return scored.reduce((best, next) => (choice(next) > choice(best) ? next : best));
}

function choice({ train, validation }: Scored): number {
  const [t, v] = [train.predicted.length, validation.predicted.length];
  return (train.reward * t + validation.reward * v) / (t + v);
}

/** Texts scored afresh on train and validation, in float32. */
async function scoresOf(
  c: Conclusion,
  what: string,
  texts: readonly string[],
  splits: { readonly train: Environment; readonly validation: Environment },
): Promise<Scored[]> {
  const phase = `scoring ${what} in float32`;
  c.emit({ kind: 'progress', phase, done: 0, total: 2 * texts.length, unit: 'prompts' });
  const train = await splits.train.evaluate(texts);
  c.emit({ kind: 'progress', phase, done: texts.length, total: 2 * texts.length, unit: 'prompts' });
  const validation = await splits.validation.evaluate(texts);
  return texts.map((text, i) => ({ text, train: train[i]!, validation: validation[i]! }));
}

/** @throws ConfigError for an unknown method or option, naming the known ones */
export function methodOf({ config }: LoadedConfig): { method: Method; methodOptions: unknown } {
  const name = config.method.name;
  const known = Object.keys(methods);
  if (!known.includes(name)) {
    const near = nearest(name, known);
    throw new ConfigError(
      `method.name: there is no method "${name}", known are ${known.join(', ')}${near ? `; did you mean ${near}?` : ''}`,
    );
  }
  const method = methods[name as MethodName] as unknown as Method;
  const parsed = method.options.safeParse(config.method);
  if (parsed.success) return { method, methodOptions: parsed.data };
  const issue = parsed.error.issues[0]!;
  const place = ['method', ...issue.path].join('.');
  const schema = method.options as unknown as { shape?: object };
  const options = Object.keys(schema.shape ?? {}).filter((key) => key !== 'name');
  throw new ConfigError(
    `${place}: ${issue.message}; options of ${name} are ${options.join(', ') || 'none'}`,
  );
}

function versions(): Record<string, string> {
  const read = createRequire(import.meta.url);
  const own = read(join(packageRoot(), 'package.json')) as { version: string };
  const engine = read('onnxruntime-node/package.json') as { version: string };
  return { whetstone: own.version, node: process.versions.node, onnxruntime: engine.version };
}
