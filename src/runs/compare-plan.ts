/**
 * What a comparison will do: which methods with which options, and how often each. Everything that
 * can be refused is refused here, before anything is spent.
 *
 * A repetition is a seed; where the data paths hold `{split}`, it is a split and a seed. How one data
 * file is divided does not change with the seed, so that all methods and seeds share one test split.
 */
import { basename, dirname, extname, resolve, sep } from 'node:path';
import { ConfigError } from '../errors.ts';
import { methods as known, type Method, openTaskLms } from '../methods/index.ts';
import { sha256Json } from '../util/hash.ts';
import type { Config, LoadedConfig } from './config.ts';
import { methodOf, refuseUnknown } from './configured-method.ts';
import { isRemote } from './model-reference.ts';
import { isAskedInText } from './open-bench.ts';
import { versions } from './versions.ts';

export interface Repetition {
  readonly seed: number;
  /** What stands for `{split}` in the data paths. */
  readonly split?: string;
}

export interface ComparedMethod {
  readonly method: Method;
  /** Every default filled in. */
  readonly options: unknown;
}

export interface Plan {
  readonly loaded: LoadedConfig;
  readonly methods: readonly ComparedMethod[];
  readonly repetitions: readonly Repetition[];
  /** Hash of all that decides the outcome but data and models. */
  readonly question: string;
}

export interface PlanOptions {
  /** Names. @default all that serve the task LM */
  readonly methods?: readonly string[] | undefined;
  /** A number of seeds from the configuration's on, or the seeds. @default 5; 1 with splits */
  readonly seeds?: number | readonly number[] | undefined;
  /** Values for `{split}` in the data paths. */
  readonly splits?: readonly string[] | undefined;
}

const PLACEHOLDER = '{split}';

/** @throws ConfigError for an unknown method or option, or splits that do not fit the data paths */
export function planOf(loaded: LoadedConfig, options: PlanOptions = {}): Plan {
  const { config } = loaded;
  const names = options.methods ?? methodsThatServe(loaded);
  refuseRepeats(names, '--methods');
  for (const name of names) refuseUnknown(name, '--methods');
  const methods = names.map((name) => {
    const { method, methodOptions } = methodOf(withMethod(config, name));
    return { method, options: methodOptions };
  });
  const repetitions = repetitionsOf(config, options);
  const question = sha256Json({
    config: questionOf(config),
    methods: methods
      .map(({ method, options: given }) => ({ name: method.name, options: given }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    repetitions,
    whetstone: versions().whetstone,
  });
  return { loaded, methods, repetitions, question };
}

/** What all cells of a comparison have in common. */
export function questionOf(config: Config): object {
  const { method: _, methods: __, seed: ___, ...rest } = config;
  return { ...rest, task: pinned(config) };
}

/**
 * All methods that serve the task LM; those for which the policy LM must answer in text only where
 * the task LM does, too.
 */
function methodsThatServe(loaded: LoadedConfig): string[] {
  const all: readonly Method[] = Object.values(known) as unknown as Method[];
  const inText = isAskedInText(loaded);
  const serves = ({ needs }: Method) =>
    inText
      ? (needs?.taskLm ?? openTaskLms).includes('text') &&
        (!needs?.policyLm || !isRemote(loaded.config.policyLm))
      : !needs?.writer;
  return all.filter(serves).map(({ name }) => name);
}

/** The configuration of one cell, as `optimize` would take it. */
export function cellConfig({ loaded }: Plan, name: string, repetition: Repetition): LoadedConfig {
  const { config } = loaded;
  const task = taskOf(loaded, repetition);
  return { ...loaded, config: { ...withMethod(config, name), task, seed: repetition.seed } };
}

/** The data of one repetition; all of them have one name. */
export function taskOf({ config, folder }: LoadedConfig, { split }: Repetition): Config['task'] {
  const task = pinned(config);
  if (split === undefined) return task;
  const put = (path: string) => path.replaceAll(PLACEHOLDER, split);
  const { data } = task;
  const train = typeof data === 'string' ? data : data.train;
  const named = { ...task, name: task.name ?? nameWithoutSplit(resolve(folder, train)) };
  if (typeof data === 'string') return { ...named, data: put(data) };
  const files = Object.entries(data).map(([part, path]) => [part, path && put(path)]);
  return { ...named, data: Object.fromEntries(files) };
}

/** Of a path, the last part that is the same for all splits: "SST-2" of SST-2/16-{split}/train.tsv. */
function nameWithoutSplit(path: string): string {
  const parts = [...dirname(path).split(sep), basename(path, extname(path))];
  const isCommon = (part: string) => part !== '' && part !== 'train' && !part.includes(PLACEHOLDER);
  return parts.findLast(isCommon) ?? path;
}

/** Other options under `method` belong to the method that is named there. */
function withMethod(config: Config, name: string): Config {
  return config.method.name === name ? config : { ...config, method: { name } };
}

/** The task with the division of one file fixed, whatever seed a cell has. */
function pinned({ task, seed }: Config): Config['task'] {
  const shares = task.split ?? { train: 0.5, validation: 0.2, test: 0.3 };
  return { ...task, split: { ...shares, seed: task.split?.seed ?? seed } };
}

function repetitionsOf(config: Config, { seeds, splits }: PlanOptions): Repetition[] {
  const { data } = config.task;
  const paths = typeof data === 'string' ? [data] : Object.values(data);
  const hasPlace = paths.some((path) => path?.includes(PLACEHOLDER));
  if (hasPlace && !splits) {
    throw new ConfigError(
      `task.data: a path holds ${PLACEHOLDER}, say what stands for it, as in --splits 13,21,42`,
    );
  }
  if (splits && !hasPlace) {
    throw new ConfigError(
      `--splits: no path of task.data holds ${PLACEHOLDER}, put it where the splits differ, as in data/16-${PLACEHOLDER}/train.tsv`,
    );
  }
  if (splits) refuseRepeats(splits, '--splits');
  const given = seeds ?? (splits ? 1 : 5);
  const list =
    typeof given === 'number' ? Array.from({ length: given }, (_, i) => config.seed + i) : given;
  refuseRepeats(list.map(String), '--seeds');
  return splits
    ? splits.flatMap((split) => list.map((seed) => ({ seed, split })))
    : list.map((seed) => ({ seed }));
}

function refuseRepeats(values: readonly string[], place: string): void {
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice !== undefined) throw new ConfigError(`${place}: ${twice} stands twice, give it once`);
  if (values.length === 0) throw new ConfigError(`${place}: expected at least one, got none`);
}
