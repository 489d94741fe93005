/** What a run found, gathered for those who write it down: from its record, its task and its events. */
import { basename, relative } from 'node:path';
import { ConfigError } from '../errors.ts';
import { methods, type SolutionKind } from '../methods/index.ts';
import type { Bench } from '../runs/bench.ts';
import type { Config, LoadedConfig } from '../runs/config.ts';
import type { OptimizeResult, SplitScore } from '../runs/events.ts';
import { nameOf } from '../runs/model-reference.ts';
import type { RunStore, StoredRun } from '../runs/store.ts';
import type { Workbench } from '../runs/workbench.ts';
import type { AnyExample, AnyTask } from '../tasks/index.ts';
import { sha256File } from '../util/hash.ts';
import { type Asking, type Form, formOf, withoutQuestion } from './form.ts';

export type FinishedRun = StoredRun & { readonly result: OptimizeResult };

/** How the task LM is asked and how its answer is read. */
export interface Answers {
  readonly asking: Asking;
  /** Label words, where one of them is the answer. */
  readonly labels?: readonly { readonly gold: string; readonly word: string }[];
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly metric: string;
}

/** A prompt that was the best so far. */
export interface Ancestor {
  readonly step: number;
  readonly prompt: string;
  readonly reward: number;
}

export interface FoundFile {
  /** Below the run's folder, with "/". */
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
}

export interface Finding {
  readonly run: FinishedRun;
  readonly config: Config;
  readonly kind: SolutionKind;
  /** The text; of a tensor, what it is in one line. */
  readonly prompt: string;
  /** The template that it stands in. */
  readonly template: string;
  readonly form: Form;
  readonly answers: Answers;
  readonly task: AnyTask;
  readonly taskLm: string;
  readonly policyLm: string;
  /** One sentence on how the method searches. */
  readonly methodSummary: string;
  /** The file of a tensor that its method opens comes first. */
  readonly files: readonly FoundFile[];
  readonly lineage: readonly Ancestor[];
  readonly found: SplitScore;
  readonly bench: Bench;
}

/** @throws ConfigError for a run that has found nothing yet */
export function finished(run: StoredRun): FinishedRun {
  if (run.result !== undefined) return { ...run, result: run.result };
  throw new ConfigError(
    `run ${run.id}: it is ${run.state} and has found nothing yet, give a run that is done`,
  );
}

export interface GatherOptions {
  readonly bench: Bench;
  readonly loaded: LoadedConfig;
  readonly store: RunStore;
}

export async function gather(
  run: FinishedRun,
  { bench, loaded: { config }, store }: GatherOptions,
): Promise<Finding> {
  const { result } = run;
  const { task } = bench;
  const answers = answersOf(bench);
  const template = result.template ?? task.template.source;
  const form = formOf(answers.asking, template);
  return {
    run,
    config,
    kind: result.kindOfResult,
    prompt: result.prompt,
    template,
    form: config.task.question === undefined ? withoutQuestion(form) : form,
    answers,
    task,
    taskLm: bench.taskLm.name,
    policyLm: nameOf(config.policyLm),
    methodSummary: methods[run.method as keyof typeof methods]?.summary ?? '',
    files: await filesOf(run, store),
    lineage: lineageOf(run, store),
    found: result.test,
    bench,
  };
}

export function answersOf(bench: Bench): Answers {
  const { task } = bench;
  if (task.kind === 'text') {
    const { labelWords, maxAnswerTokens: maxTokens, stop = [] } = task;
    const labels = labelWords?.map((word) => ({ gold: word, word }));
    const metric = bench.metricName ?? 'the metric';
    return { asking: 'chat', ...(labels ? { labels } : {}), maxTokens, stop, metric };
  }
  const labels = task.classes.map(({ gold, word }) => ({ gold, word }));
  const { tokenizer, config } = (bench as Workbench).taskLm;
  const lengths = labels.map(({ word }) => tokenizer.encode(` ${word.trim()}`).length);
  const asking = config.kind === 'masked' ? 'mask' : 'completion';
  return { asking, labels, maxTokens: Math.max(...lengths), stop: [], metric: 'accuracy' };
}

async function filesOf(run: FinishedRun, store: RunStore): Promise<FoundFile[]> {
  if (run.result.kindOfResult === 'text') return [];
  const folder = store.artifactFolder(run.id);
  const paths = run.result.files ?? [];
  return Promise.all(
    paths.map(async (path) => {
      const below = relative(folder, path).replaceAll('\\', '/');
      const name = below.startsWith('..') ? basename(path) : below;
      return { name, path, sha256: await hashOf(run.id, path) };
    }),
  );
}

async function hashOf(id: string, path: string): Promise<string> {
  try {
    return await sha256File(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(
      `run ${id}: its file ${path} cannot be read (${code ?? String(error)}), run it again`,
    );
  }
}

/** The best prompts in the order in which they became so. */
function lineageOf({ id }: FinishedRun, store: RunStore): Ancestor[] {
  const out: Ancestor[] = [];
  for (const { event } of store.events(id)) {
    if (event.kind !== 'step' || event.bestPrompt === '') continue;
    if (out.at(-1)?.prompt === event.bestPrompt) continue;
    out.push({ step: event.step, prompt: event.bestPrompt, reward: event.bestReward });
  }
  return out;
}

/** The run's test examples: all of them, or the sample that it had time for. */
export type TestExamples = readonly AnyExample[];
