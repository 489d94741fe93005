/**
 * One method's search on the train split, from a configuration's options to the texts and tensors
 * that it puts forward. Choosing among them is `choose.ts`; nothing here sees the test split.
 */
import { BudgetError, isAbort } from '../errors.ts';
import {
  Budget,
  CandidatePool,
  type Method,
  type MethodContext,
  type PoolState,
  type PromptContext,
  SpentError,
  type TensorSolution,
  TimeOverError,
  type WriterHost,
} from '../methods/index.ts';
import { formatCount } from '../util/format.ts';
import { createRng, type RngState } from '../util/rng.ts';
import type { Bench } from './bench.ts';
import { type Limits, limitsOf } from './caps.ts';
import type { Config } from './config.ts';
import type { RunEvent } from './events.ts';
import { since, totalsOf } from './ledger.ts';
import type { Recording } from './recording.ts';
import { tensorReward } from './reward.ts';
import { saveOwn } from './save-own.ts';
import { SearchClock } from './search-clock.ts';
import { stepEvent } from './step-event.ts';
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
    spentOn: () => totalsOf(since(bench.ledger, before)),
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
      for (const [role, outcome] of journal!.knownOutcomes()) bench.payAgain?.(role, outcome);
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

/** What a policy that writes prompts needs to be scored. */
export function hostOf(bench: Bench): WriterHost {
  return {
    policyLm: () => bench.policyLm!(),
    scorer: (examples) => bench.environment(examples, 'float32', { once: true }),
  };
}
