/**
 * From a configuration to a task that is answered in text: reads the data files, refuses what would
 * make a result worthless (leaks between splits, golds that the metric cannot judge by), and divides
 * at random what is not divided yet.
 */
import { ConfigError, DataError } from '../errors.ts';
import { sha256 } from '../util/hash.ts';
import { createRng, type Rng } from '../util/rng.ts';
import type { ParsedTaskConfig, TaskConfig } from './config.ts';
import { type TaskKind, taskKinds } from './kinds/index.ts';
import { hasMessageSlot, parseMessageTemplate } from './message-template.ts';
import { type MetricConfig, type MetricDefinition, metricOf, metrics } from './metrics/index.ts';
import { sealSplit } from './sealed-split.ts';
import { splitStratified } from './split.ts';
import {
  examplesOfFiles,
  hashSplits,
  parseTaskConfig,
  readSplitFiles,
  type SplitName,
  type Splits,
  taskName,
} from './split-files.ts';
import type { TextExample, TextTask } from './task.ts';
import { readTextRows, type TextFile, type TextRow } from './text-rows.ts';

export interface LoadTextTaskOptions {
  /** Relative paths start here: the configuration file's folder. */
  readonly baseFolder: string;
  /** For drawing splits, unless `split.seed` says otherwise. */
  readonly seed: number | string;
  /** Metrics beside the task's own that must be able to judge by the gold answers. */
  readonly judgedBy?: readonly MetricConfig[];
}

/** True where a configuration's task is answered in text whatever the task LM is. */
export function isTextTask({ kind = 'classification' }: TaskConfig): boolean {
  return taskKinds[kind].answers === 'text';
}

/**
 * Loads a task whose kind is answered in text.
 * @throws ConfigError when the configuration cannot be meant, DataError when the data cannot be a task
 */
export async function loadTextTask(
  config: TaskConfig,
  { baseFolder, seed, judgedBy = [] }: LoadTextTaskOptions,
): Promise<TextTask> {
  const parsed = parseTaskConfig(config);
  const taskKind = parsed.kind ?? 'classification';
  const kind: TaskKind = taskKinds[taskKind];
  refuseLabels(parsed, taskKind);
  const template = parseMessageTemplate(parsed.template ?? kind.template);
  if (parsed.question !== undefined && !hasMessageSlot(template, 'question')) {
    throw new ConfigError(
      `task.question: the template has no slot {question}, put it where the column "${parsed.question}" is to stand`,
    );
  }
  // The schema's output is as narrow as its input, which its type does not say.
  const metric = (parsed.metric ?? kind.metric!) as MetricConfig;
  const files = await readSplitFiles(parsed, baseFolder, (place, path) =>
    readTextRows(place, path, parsed),
  );
  for (const one of [metric, ...judgedBy]) await checkGolds(files, one, baseFolder);
  const rng = createRng(parsed.split?.seed ?? seed).fork('task');
  const { splits, warnings } = divide(files, parsed, rng);
  return {
    kind: 'text',
    taskKind,
    name: taskName(parsed, baseFolder),
    description: parsed.description ?? kind.description,
    template,
    metric,
    maxAnswerTokens: parsed.maxAnswerTokens ?? kind.maxAnswerTokens,
    ...(parsed.stop ? { stop: parsed.stop } : {}),
    humanPrompts: kind.humanPrompts,
    train: splits.train,
    validation: splits.validation,
    test: sealSplit(splits.test),
    hashes: await hashSplits(files, splits, baseFolder),
    warnings,
  };
}

function refuseLabels({ labels, shots }: ParsedTaskConfig, kind: string): void {
  const [key, what] = labels ? ['labels', 'gives words'] : ['shots', 'counts examples'];
  if (labels === undefined && shots === undefined) return;
  throw new ConfigError(
    `task.${key}: ${what} for labels, a task of kind ${kind} has none; remove it, or set task.kind to classification`,
  );
}

/** @throws ConfigError where the metric cannot judge by a gold answer, naming the row */
async function checkGolds(
  files: ReadonlyMap<SplitName, TextFile>,
  config: MetricConfig,
  folder: string,
): Promise<void> {
  const name = typeof config === 'string' ? config : config.name;
  // What needs a model judges any text, and no model is open yet.
  if ((metrics as Record<string, MetricDefinition>)[name]?.needs) return;
  const metric = await metricOf(config, { folder });
  for (const { path, rows } of files.values()) {
    for (const { golds, row } of rows) metric.check?.(golds, `data file ${path}: row ${row}`);
  }
}

/** The three splits: files as given, missing ones drawn out of train. */
function divide(
  files: ReadonlyMap<SplitName, TextFile>,
  config: ParsedTaskConfig,
  rng: Rng,
): { splits: Splits<TextExample>; warnings: string[] } {
  const { splits, missing, warnings } = examplesOfFiles(files, config, {
    golds: 'gold answers',
    toExample,
    rng,
  });
  const names: SplitName[] = ['train', ...missing];
  const pool = splits.train!;
  if (pool.length < names.length) {
    throw new DataError(
      `task.data: ${pool.length} different ${pool.length === 1 ? 'example' : 'examples'} are too few for the splits ${names.join(', ')}; add examples or give a file per split`,
    );
  }
  const shares = { train: 0.5, validation: 0.2, test: 0.3, ...config.split };
  const parts = names.map((name) => ({ name, share: shares[name] }));
  const divided = splitStratified(pool, parts, rng, { golds: ['any'] });
  for (const [i, name] of names.entries()) splits[name] = divided[i]!;
  return { splits: splits as Splits<TextExample>, warnings };
}

function toExample({ input, golds, question, conversation }: TextRow): TextExample {
  const content = {
    input,
    golds,
    ...(question === undefined ? {} : { question }),
    ...(conversation === undefined ? {} : { conversation }),
  };
  return { id: sha256(JSON.stringify(content)).slice(0, 16), ...content };
}
