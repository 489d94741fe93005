/** What every kind of task does with its data files: find, read, hash and name them. */
import { basename, dirname, extname, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { sha256, sha256File } from '../util/hash.ts';
import type { Rng } from '../util/rng.ts';
import { type ParsedTaskConfig, type TaskConfig, taskConfigSchema } from './config.ts';
import { findRepeats, type Row, type RowFile, refuseSharedTexts, summarise } from './duplicates.ts';
import { sampleStratified } from './split.ts';

export type SplitName = 'train' | 'validation' | 'test';
export const splitNames: readonly SplitName[] = ['train', 'validation', 'test'];

export type Splits<E> = Record<SplitName, readonly E[]>;

/** @throws ConfigError for a value that the schema refuses */
export function parseTaskConfig(config: TaskConfig): ParsedTaskConfig {
  const result = taskConfigSchema.safeParse(config);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new ConfigError(`${['task', ...path.map(String)].join('.')}: ${message}`);
}

/**
 * Reads a file per split that has one.
 * @throws ConfigError for one file under two names, DataError for a text in two files
 */
export async function readSplitFiles<F extends RowFile>(
  { data }: ParsedTaskConfig,
  baseFolder: string,
  read: (place: string, path: string) => Promise<F>,
): Promise<Map<SplitName, F>> {
  const paths: { readonly [name in SplitName]?: string | undefined } =
    typeof data === 'string' ? { train: data } : data;
  const files = new Map<SplitName, F>();
  const places = new Map<string, SplitName>();
  for (const name of splitNames) {
    const path = paths[name];
    if (path === undefined) continue;
    const place = resolve(baseFolder, path);
    const other = places.get(place);
    if (other !== undefined) {
      throw new ConfigError(
        `task.data: ${other} and ${name} are the same file ${path}; ` +
          'name it once as data: <path> to have it divided',
      );
    }
    places.set(place, name);
    files.set(name, await read(place, path));
  }
  refuseSharedTexts([...files.values()]);
  return files;
}

/** Examples of the files that there are, the splits that have none, and what their owner should know. */
export interface FileExamples<E> {
  readonly splits: { [name in SplitName]?: readonly E[] };
  readonly missing: readonly SplitName[];
  readonly warnings: string[];
}

/** At most `maxExamples` of each file; texts that stand twice are kept once where a file is divided. */
export function examplesOfFiles<R extends Row, E extends { readonly label?: number }>(
  files: ReadonlyMap<SplitName, RowFile<R>>,
  { maxExamples = Number.POSITIVE_INFINITY }: ParsedTaskConfig,
  { golds, toExample, rng }: { golds: string; toExample: (row: R) => E; rng: Rng },
): FileExamples<E> {
  const missing = splitNames.filter((name) => !files.has(name));
  const splits: { [name in SplitName]?: readonly E[] } = {};
  const warnings: string[] = [];
  for (const [name, file] of files) {
    const isDivided = name === 'train' && missing.length > 0;
    const { unique, repeats, conflicts } = findRepeats(file);
    const outcome = isDivided ? 'the first of each is kept' : 'all are kept';
    warnings.push(
      ...summarise('texts that stand twice', repeats, outcome),
      ...summarise(`texts with two different ${golds}`, conflicts, outcome),
    );
    const examples = (isDivided ? unique : file.rows).map(toExample);
    splits[name] = sampleStratified(examples, maxExamples, rng.fork(name));
  }
  return { splits, missing, warnings };
}

/** SHA-256 of each file by its path, and of each split's examples. */
export async function hashSplits(
  files: ReadonlyMap<SplitName, RowFile>,
  splits: Splits<{ readonly id: string }>,
  baseFolder: string,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const { path } of files.values()) {
    hashes[path] = await sha256File(resolve(baseFolder, path));
  }
  for (const name of splitNames) {
    hashes[`split:${name}`] = sha256(splits[name].map(({ id }) => id).join('\n'));
  }
  return hashes;
}

/** The configured name, or the train file's without its ending; the folder's where that is "train". */
export function taskName({ name, data }: ParsedTaskConfig, baseFolder: string): string {
  if (name !== undefined) return name;
  const path = resolve(baseFolder, typeof data === 'string' ? data : data.train);
  const own = basename(path, extname(path));
  return own === 'train' ? basename(dirname(path)) || own : own;
}
