/** What the studio shows of a run, out of the store: a line of the list, the whole of one. */
import { stringify } from 'yaml';
import type { StoredPrompt, StoredRun } from '../runs/store.ts';
import type { RunQueries } from '../runs/store-queries.ts';
import { taskName } from '../tasks/split-files.ts';
import type * as contract from './contract.ts';

type StoredScore = contract.Score & { readonly failed?: number; readonly corpus?: number };

const SPARK_POINTS = 32;
const MAX_LINEAGE = 100;
const MAX_WARNINGS = 200;
/** Steps that are looked through for the last episode. */
const EPISODE_STEPS = 20;

export function summaryOf(queries: RunQueries, run: StoredRun): contract.RunSummary {
  const [step] = queries.lastEvents(run.id, 'step', 1);
  const [looked] = queries.lastEvents(run.id, 'validation', 1);
  const { result } = run;
  const isRunning = run.state === 'running';
  const spark = queries.steps(run.id, SPARK_POINTS).map(({ reward }) => reward);
  return defined({
    id: run.id,
    method: run.method,
    state: run.state,
    task: taskOf(queries, run),
    started: run.started.toISOString(),
    ended: run.ended?.toISOString(),
    step: step?.step,
    spent: step?.spent,
    secondsLeft: isRunning ? step?.secondsLeft : undefined,
    bestPrompt: result?.prompt ?? (step?.bestPrompt || undefined),
    // A best reward that there is none of yet is stored as null.
    bestReward: step?.bestReward ?? undefined,
    validation: scoreOf(result?.validation ?? looked?.validation),
    test: scoreOf(result?.test),
    error: run.error,
    parent: run.parent,
    spark: spark.filter((reward) => Number.isFinite(reward)),
  });
}

export function detailOf(queries: RunQueries, run: StoredRun): contract.RunDetail {
  const [start] = queries.events(run.id, { kinds: ['start'], limit: 1 }).map(({ event }) => event);
  const begun = start?.kind === 'start' ? start : undefined;
  const steps = queries.lastEvents(run.id, 'step', EPISODE_STEPS);
  const last = steps.at(-1);
  const { result } = run;
  const { folder: _, ...config } = run.config as { folder?: string };
  const warnings = queries.lastEvents(run.id, 'warning', MAX_WARNINGS);
  return defined({
    ...summaryOf(queries, run),
    config,
    yaml: stringify(config),
    seed: run.seed,
    taskLm: begun?.taskLm,
    policyLm: begun?.policyLm,
    examples: begun?.examples,
    versions: run.versions,
    hashes: run.hashes,
    evaluations: result?.evaluations ?? last?.evaluations,
    promptsPerSecond: last?.promptsPerSecond,
    usd: result?.ledger?.usd ?? undefined,
    lastEpisode: episodeOf(steps.findLast(({ episode }) => episode)?.episode),
    lastSeq: queries.lastSeq(run.id),
    lineage: queries.lineage(run.id, MAX_LINEAGE).map(({ step, bestPrompt, bestReward }) => ({
      step,
      prompt: bestPrompt,
      reward: bestReward ?? 0,
    })),
    rows: result?.rows?.map(({ method, prompt, validation, test }) => ({
      method,
      prompt,
      validation: scoreOf(validation)!,
      test: scoreOf(test)!,
    })),
    result,
    warnings: warnings.map(({ message }) => message),
    canResume: run.canResume,
  });
}

export function promptRowOf({ text, reward, scores }: StoredPrompt): contract.PromptRow {
  return defined({
    text,
    reward,
    train: scoreOf(scores.train),
    validation: scoreOf(scores.validation),
    test: scoreOf(scores.test),
  });
}

/** Without what the contract does not carry. */
export function scoreOf(stored: StoredScore | undefined): contract.Score | undefined {
  if (!stored) return undefined;
  const { score, interval, examples } = stored;
  return { score, interval, examples };
}

function episodeOf(episode: contract.Episode | undefined): contract.Episode | undefined {
  if (!episode) return undefined;
  const { context, prompt, input, answer, gold, reward } = episode;
  return defined({ context, prompt, input, answer, gold, reward: reward ?? 0 });
}

/** As the run said at its start; of one that came not so far, as its configuration has it. */
export function taskOf(
  queries: RunQueries,
  { id, config }: Pick<StoredRun, 'id' | 'config'>,
): string {
  const [start] = queries.events(id, { kinds: ['start'], limit: 1 });
  if (start?.event.kind === 'start') return start.event.task;
  try {
    const { task, folder = '.' } = config as { task: never; folder?: string };
    return taskName(task, folder);
  } catch {
    return '';
  }
}

type Optional<T> = { [K in keyof T]: T[K] | undefined };

/** The record without what is undefined. */
export function defined<T extends object>(record: Optional<T>): T {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as T;
}
