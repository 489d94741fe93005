/**
 * One method's search on the train split, from a configuration's options to the texts and tensors
 * that it puts forward. Choosing among them is `choose.ts`; nothing here sees the test split.
 */
import type { PromptScorer } from '../environment/index.ts';
import { BudgetError, ConfigError, isAbort } from '../errors.ts';
import {
  Budget,
  CandidatePool,
  type LmKind,
  type Method,
  type MethodContext,
  methods,
  openTaskLms,
  type PoolState,
  type PromptContext,
  SpentError,
  type StepReport,
  type TensorSolution,
  type TextCost,
  TimeOverError,
  type WriterHost,
} from '../methods/index.ts';
import type { LedgerLine } from '../providers/index.ts';
import type { AnyTask } from '../tasks/index.ts';
import { formatCount } from '../util/format.ts';
import { createRng, type RngState } from '../util/rng.ts';
import { nearest } from '../util/suggest.ts';
import type { Bench } from './bench.ts';
import { type Limits, limitsOf } from './caps.ts';
import { type Config, expectation } from './config.ts';
import type { Episode, RewardMeans, RunEvent, StepFluency } from './events.ts';
import { since } from './ledger.ts';
import { rewardMeans } from './measure.ts';
import type { Recording } from './recording.ts';
import { tensorReward } from './reward.ts';
import { saveOwn } from './save-own.ts';
import { SearchClock } from './search-clock.ts';
import { Workbench } from './workbench.ts';

export interface SearchOptions {
  readonly bench: Bench;
  readonly config: Config;
  /** What holds step after step. @default the configuration's budget */
  readonly limits?: readonly Limits[];
  readonly method: Method;
  readonly methodOptions: unknown;
  readonly emit: (event: RunEvent, state?: () => SearchState) => void;
  readonly signal: AbortSignal | undefined;
  /** Whether an interrupted search ends with what it has, or throws. @default true */
  readonly keepsPartial?: boolean;
  /** Where files go that a method keeps beside its result. @default none are kept */
  readonly artifactFolder?: string;
  /** Where answers and states are kept. @default nowhere */
  readonly recording?: Recording | undefined;
}

/** What a search puts forward, and what it cost. */
export interface Found {
  readonly pool: CandidatePool;
  readonly tensors: readonly TensorSolution[];
  /** Kept beside the result. */
  readonly files: readonly string[];
  readonly evaluations: number;
  readonly seconds: number;
}

/** What a search goes on from. */
interface SearchState {
  readonly method: unknown;
  readonly rng: RngState;
  readonly pool: PoolState;
  readonly evaluations: number;
  readonly tried: number;
}

/**
 * Runs the method until its budget is spent or it ends by itself.
 * @throws BudgetError when the budget ended before the first step
 */
export async function search(options: SearchOptions): Promise<Found> {
  const { bench, config, method, signal, emit, recording } = options;
  const { task } = bench;
  const rng = createRng(config.seed);
  const journal = recording?.journal;
  // Rows from here on are the search's own.
  const began = journal?.value('search begins', () => recording!.mark()) ?? 0;
  const clock = new SearchClock(signal);
  const asking = { signal: clock.signal, reserve: (n: number) => budget.reserve(n) };
  const environment = bench.environment(task.train, config.precision.search, asking);
  const environments = [environment];
  const spent = () => environments.reduce((sum, { evaluations }) => sum + evaluations, 0);
  const before = bench.ledger;
  const limits = options.limits ?? limitsOf(config);
  /** What holds for the step after one. */
  const limitsAfter = (step: number) => limits.find((stage) => step < stage.step)!.budget;
  const budget = new Budget(limitsAfter(0), spent, {
    signal: clock.signal,
    ...(journal ? { now: journal.now } : {}),
    spentOn: () => sinceOf(bench, before),
    isHard: bench.lmKind === 'text',
  });
  const pool = new CandidatePool();
  const tensors: TensorSolution[] = [];
  const files: string[] = [];
  const drawing = rng.fork('sampling');
  let isRestored = false;
  let tried = 0;
  const context: PromptContext = {
    task,
    environment,
    environmentWith(template, { examples = task.train, ...options } = {}) {
      const where = { ...options, ...asking, template };
      const other = bench.environment(examples, config.precision.search, where);
      environments.push(other);
      if (isRestored) other.knowRecorded?.();
      return other;
    },
    validation: task.validation,
    writer: () => bench.writer(),
    rng: drawing,
    folder: bench.folder,
    budget,
    pool,
    warn: (message) => emit({ kind: 'warning', message }),
    onProgress: (progress) => emit({ kind: 'progress', ...progress }),
    signal: clock.signal,
    restore() {
      const kept = recording?.restored();
      if (!kept) return undefined;
      const state = kept.state as SearchState;
      recording!.goOnAfter(kept, began);
      isRestored = true;
      for (const each of environments) each.knowRecorded?.();
      drawing.goOn(state.rng);
      pool.goOn(state.pool);
      budget.goOn(state.evaluations);
      tried = state.tried;
      budget.limit(limitsAfter(kept.step));
      clock.set(budget.timeLeft);
      return state.method;
    },
    ...(bench instanceof Workbench
      ? {
          taskLm: bench.taskLm,
          reward: tensorReward(config),
          createPolicy: (o: Parameters<Workbench['policy']>[0]) =>
            bench.policy(o, rng.fork('policy')),
        }
      : {}),
    ...(bench.policyLm
      ? {
          propose: (solution: TensorSolution) => tensors.push(solution),
          ...hostOf(bench),
          reads: config.policy.context,
          keep: async (save: (folder: string) => Promise<readonly string[]>) => {
            if (options.artifactFolder !== undefined) {
              files.push(...(await saveOwn(options.artifactFolder, save)));
            }
          },
        }
      : {}),
  };
  const work = async () => {
    for await (const report of method.run(context as MethodContext, options.methodOptions)) {
      tried += report.tried.length;
      budget.stepped();
      const event = stepEvent(report, { ...options, environment, budget, pool, tried });
      const { state } = report;
      emit(
        event,
        state &&
          (() => ({
            method: state(),
            rng: drawing.state(),
            pool: pool.state(),
            evaluations: budget.evaluations,
            tried,
          })),
      );
      budget.limit(limitsAfter(report.step));
      clock.set(budget.timeLeft);
    }
  };
  try {
    await (journal ? journal.search(work) : work());
  } catch (error) {
    // Ctrl-C ends the search, not the run: what was found is still measured.
    const isTimeOver = clock.isOver || error instanceof TimeOverError;
    const isSpent = isTimeOver || error instanceof BudgetError;
    const isUsable =
      ((options.keepsPartial ?? true) || isSpent) && (pool.best || tensors.length > 0);
    const isStopped = isAbort(error) || isSpent;
    if (!isStopped || !isUsable) {
      for (const tensor of tensors) await tensor.close();
      throw error;
    }
    // Another process would not find the place again by itself.
    if (isTimeOver || !isSpent) journal?.stopped(isTimeOver);
    if (!isTimeOver && !(error instanceof SpentError)) {
      const why =
        error instanceof BudgetError ? `the search ends: ${error.message}` : 'stopped early';
      emit({ kind: 'warning', message: `${why}: measuring the best prompts found so far` });
    }
  } finally {
    clock.stop();
    for (const each of environments) await each.close();
  }
  if (!pool.best && tensors.length === 0) {
    if (Number.isFinite(pool.refused)) throw nothingFluent(config, pool.refused);
    throw new BudgetError(
      `the budget of ${describeBudget(limits.at(-1)!)} ended before ${method.name} had a result, give it more`,
    );
  }
  return { pool, tensors, files, evaluations: budget.evaluations, seconds: budget.seconds };
}

/** "10 minutes or 5,000 evaluations". */
export function describeBudget({
  budget: { minutes, evaluations },
}: Pick<Config, 'budget'>): string {
  const time = `${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`;
  return evaluations === undefined ? time : `${time} or ${formatCount(evaluations)} evaluations`;
}

function nothingFluent({ fluency }: Config, least: number): BudgetError {
  return new BudgetError(
    `no prompt had a perplexity of at most fluency.maxPerplexity ${fluency.maxPerplexity}, the least was ${least.toFixed(1)}; raise the limit, fluency.weight or the budget`,
  );
}

interface Progress extends SearchOptions {
  readonly environment: PromptScorer;
  readonly budget: Budget;
  readonly pool: CandidatePool;
  /** Prompts so far. */
  readonly tried: number;
}

function stepEvent(report: StepReport, s: Progress): RunEvent {
  const rewardsOf = report.tried.flatMap(({ score }) =>
    Number.isNaN(score.reward) ? [] : [score.reward],
  );
  const mean = rewardsOf.reduce((a, b) => a + b, 0) / Math.max(1, rewardsOf.length);
  const best = s.pool.best;
  const left = s.budget.secondsLeft;
  const episode = episodeOf(report, s);
  const fluency = fluencyOf(report, best?.fluency?.perplexity);
  const parts = partsOf(report);
  return {
    kind: 'step',
    step: report.step,
    reward: report.reward ?? mean,
    ...(report.entropy === undefined ? {} : { entropy: report.entropy }),
    bestPrompt: best?.prompt.text ?? '',
    bestReward: best?.reward ?? report.reward ?? 0,
    promptsPerSecond: s.tried / Math.max(s.budget.seconds, 1e-3),
    evaluations: s.budget.evaluations,
    spent: Math.min(1, s.budget.spent),
    ...(left === undefined ? {} : { secondsLeft: left }),
    ...(episode ? { episode } : {}),
    ...(fluency ? { fluency } : {}),
    ...(parts ? { parts } : {}),
    ...(report.quantities ? { quantities: report.quantities } : {}),
  };
}

/** Of all of a step's prompts together. */
function partsOf({ tried }: StepReport): RewardMeans | undefined {
  const parts = tried.flatMap(({ score }) => score.parts ?? []);
  const scores = tried.flatMap(({ score }) => score.text?.scores ?? []);
  const text = scores.length > 0 ? { outputs: [], scores, failed: 0 } : undefined;
  return rewardMeans({ accuracy: 0, predicted: [], parts, ...(text ? { text } : {}) });
}

function fluencyOf({ tried }: StepReport, best: number | undefined): StepFluency | undefined {
  const priced = tried.flatMap(({ score }) => score.fluency ?? []);
  if (priced.length === 0) return undefined;
  const mean = (f: (of: (typeof priced)[number]) => number) =>
    priced.reduce((sum, of) => sum + f(of), 0) / priced.length;
  return {
    perplexity: Math.exp(mean(({ perplexity }) => Math.log(perplexity))),
    taskReward: mean(({ taskReward }) => taskReward),
    penalty: mean(({ penalty }) => penalty),
    ...(best === undefined ? {} : { best }),
  };
}

/** One of the step's prompts on one example, another pair at every step. */
function episodeOf({ step, tried }: StepReport, s: Progress): Episode | undefined {
  if (tried.length === 0) return undefined;
  const { prompt, score } = tried[step % tried.length]!;
  if (score.examples.length === 0) return undefined;
  return { prompt: prompt.text, ...s.environment.answered(score, step % score.examples.length) };
}

/** Methods of a library's user, by name. */
export type OwnMethods = Readonly<Record<string, Method>>;

/**
 * The configured method and its options: those under `methods`, those under `method` on top.
 * @throws ConfigError for an unknown method or option, naming the known ones
 */
export function methodOf(
  config: Config,
  own: OwnMethods = {},
): { method: Method; methodOptions: unknown } {
  const all = { ...(methods as unknown as OwnMethods), ...own };
  const { name } = config.method;
  refuseUnknown(name, 'method.name', all);
  for (const other of Object.keys(config.methods ?? {})) refuseUnknown(other, 'methods', all);
  const method = all[name]!;
  const given = { ...config.methods?.[name], ...config.method };
  const parsed = method.options.safeParse(given);
  if (parsed.success) return { method, methodOptions: parsed.data };
  const issue = parsed.error.issues[0]!;
  const [first] = issue.code === 'unrecognized_keys' ? issue.keys : issue.path;
  const isOwn = first === undefined || first in config.method;
  const place = [...(isOwn ? ['method'] : ['methods', name]), ...issue.path].join('.');
  if (issue.code !== 'unrecognized_keys') {
    throw new ConfigError(`${place}: ${expectation(issue, given)}`);
  }
  const schema = method.options as unknown as { shape?: object };
  const options = Object.keys(schema.shape ?? {}).filter((key) => key !== 'name');
  throw new ConfigError(
    `${place}.${issue.keys[0]}: unknown key; options of ${name} are ${options.join(', ') || 'none'}`,
  );
}

/** @throws ConfigError naming the known ones */
export function refuseUnknown(name: string, place: string, all: object = methods): void {
  const known = Object.keys(all);
  if (known.includes(name)) return;
  const near = nearest(name, known);
  throw new ConfigError(
    `${place}: there is no method "${name}", known are ${known.join(', ')}${near ? `; did you mean ${near}?` : ''}`,
  );
}

/**
 * Checks that the LMs can serve the methods, before anything is spent.
 * @throws ConfigError naming the methods that can be served
 */
export async function refuseUnserved(bench: Bench, wanted: readonly Method[]): Promise<void> {
  const kind = bench.lmKind;
  const fits = ({ needs }: Method) => (needs?.taskLm ?? openTaskLms).includes(kind);
  const served = async (method: Method) =>
    fits(method) && (!method.needs?.policyLm || (await policyKind(bench)) === 'causal');
  // No model is opened only to be named.
  const isNamed = (method: Method) =>
    kind === 'text'
      ? fits(method) && (!method.needs?.policyLm || bench.policyLm !== undefined)
      : served(method);
  for (const method of wanted) {
    if (await served(method)) continue;
    const names: string[] = [];
    for (const other of Object.values(methods) as unknown as Method[]) {
      if (await isNamed(other)) names.push(other.name);
    }
    throw new ConfigError(
      `method ${method.name} cannot be used here: ${await whyNot(bench, fits(method))}; methods that can: ${names.join(', ')}`,
    );
  }
}

/**
 * Checks that the budget lasts for a first step of each method, before anything is spent.
 * @throws ConfigError saying what one step costs
 */
export function refuseSmallBudget(
  chosen: readonly { readonly method: Method; readonly options: unknown }[],
  { budget: { evaluations } }: Config,
  task: AnyTask,
): void {
  if (evaluations === undefined) return;
  const costs = chosen.map(({ method, options }) => ({
    name: method.name,
    least: method.leastEvaluations?.(options, task) ?? 0,
  }));
  const tooDear = costs.filter(({ least }) => least > evaluations);
  if (tooDear.length === 0) return;
  const list = tooDear.map(({ name, least }) => `${name} ${least}`).join(', ');
  throw new ConfigError(
    `budget.evaluations: ${evaluations} are too few for one step on ${task.train.length} train examples, it costs: ${list}; raise the budget or lower the method's options`,
  );
}

async function policyKind(bench: Bench): Promise<LmKind> {
  return (await bench.policyLm?.())?.config.kind ?? 'text';
}

async function whyNot(bench: Bench, doesFit: boolean): Promise<string> {
  const { name } = bench.taskLm;
  if (!doesFit && bench.lmKind === 'text') {
    return `it needs the task LM's token ids, logits or gradients, and ${name} is asked in text`;
  }
  if (!doesFit) return `the task LM ${name} is ${bench.lmKind}`;
  if (!bench.policyLm) return 'it trains the policy LM, which is behind an API; take a local one';
  return `it needs a causal policy LM, ${(await bench.policyLm()).name} is masked`;
}

/** What a policy that writes prompts needs to be scored. */
export function hostOf(bench: Bench): WriterHost {
  return {
    policyLm: () => bench.policyLm!(),
    scorer: (examples) => bench.environment(examples, 'float32', { once: true }),
  };
}

/** Calls, tokens and money since a ledger was read. */
function sinceOf({ ledger }: Bench, before: LedgerLine): TextCost {
  const { calls, inputTokens, outputTokens, usd } = since(ledger, before);
  return { calls, tokens: inputTokens + outputTokens, usd: usd ?? 0 };
}
