/**
 * What the data files of a task hold, for looking at them: examples and gold values of each split, and
 * texts that stand more than once. Where a run would refuse the data (a text in two splits), this says
 * where they are. Of the sealed test split numbers come out, and no text but one that stands elsewhere,
 * too.
 */
import { resolve } from 'node:path';
import { DataError } from '../errors.ts';
import type { ParsedTaskConfig } from './config.ts';
import { type Row, textKey } from './duplicates.ts';
import { readLabelledRows } from './labelled-rows.ts';
import { loadTask } from './load-task.ts';
import { isTextTask, loadTextTask } from './load-text-task.ts';
import { parseTaskConfig, type SplitName, splitNames, taskName } from './split-files.ts';
import type { AnyExample, AnyTask, TextExample } from './task.ts';
import { readTextRows } from './text-rows.ts';

export interface DataReport {
  readonly task: string;
  readonly splits: readonly SplitReport[];
  readonly duplicates: readonly Duplicate[];
  readonly warnings: readonly string[];
}

export interface SplitReport {
  readonly name: SplitName;
  readonly examples: number;
  /** The most frequent gold values. */
  readonly gold: readonly { readonly value: string; readonly count: number }[];
  /** The first examples; none of the test split. */
  readonly rows: readonly ShownRow[];
}

export interface ShownRow {
  readonly input: string;
  readonly gold: string;
}

/** A text, but for case and white space, and where it stands. */
export interface Duplicate {
  readonly input: string;
  readonly places: readonly { readonly split: string; readonly row: number }[];
  /** It stands in two splits. */
  readonly isLeak: boolean;
}

export interface DataReportOptions {
  /** Relative paths start here. */
  readonly baseFolder: string;
  readonly seed: number | string;
  /** Examples of a split that are shown. @default 50 */
  readonly rows?: number;
  /** Most duplicates. @default 200 */
  readonly most?: number;
}

interface SplitRow extends Row {
  readonly split: SplitName;
}

const MAX_GOLD = 100;
const MAX_PLACES = 20;

/** @throws ConfigError and DataError where the files cannot be read at all */
export async function reportData(
  config: ParsedTaskConfig,
  { baseFolder, seed, rows: shown = 50, most = 200 }: DataReportOptions,
): Promise<DataReport> {
  const parsed = parseTaskConfig(config);
  const rows = await readRows(parsed, baseFolder);
  const duplicates = duplicatesOf(rows, most);
  const name = taskName(parsed, baseFolder);
  try {
    const load = isTextTask(parsed) ? loadTextTask : loadTask;
    const task: AnyTask = await load(parsed, { baseFolder, seed });
    return { task: name, splits: splitsOf(task, shown), duplicates, warnings: task.warnings };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const splits = splitNames.flatMap((split) => {
      const own = rows.filter((row) => row.split === split);
      return own.length === 0 ? [] : [reportOf(split, own, shown)];
    });
    return { task: name, splits, duplicates, warnings: [error.message] };
  }
}

async function readRows(config: ParsedTaskConfig, baseFolder: string): Promise<SplitRow[]> {
  const { data } = config;
  const files = typeof data === 'string' ? { train: data } : data;
  const read = isTextTask(config) ? readTextRows : readLabelledRows;
  const out: SplitRow[] = [];
  for (const split of splitNames) {
    const path = (files as { [name in SplitName]?: string | undefined })[split];
    if (path === undefined) continue;
    const { rows } = await read(resolve(baseFolder, path), path, config);
    for (const row of rows as readonly Row[]) out.push({ ...row, split });
  }
  return out;
}

function duplicatesOf(rows: readonly SplitRow[], most: number): Duplicate[] {
  const groups = new Map<string, SplitRow[]>();
  for (const row of rows) {
    const key = textKey(row.key ?? row.input);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  const repeated = [...groups.values()].filter((group) => group.length > 1);
  const found = repeated.map((group): Duplicate => {
    const open = group.find(({ split }) => split !== 'test');
    return {
      input: open?.input ?? '(a text of the sealed test split)',
      places: group.slice(0, MAX_PLACES).map(({ split, row }) => ({ split, row })),
      isLeak: new Set(group.map(({ split }) => split)).size > 1,
    };
  });
  // Leaks make a result worthless, so that they come first.
  return found.sort((a, b) => Number(b.isLeak) - Number(a.isLeak)).slice(0, most);
}

function splitsOf(task: AnyTask, shown: number): SplitReport[] {
  const toRow = (example: AnyExample): ShownRow => ({
    input: readable(example),
    gold:
      task.kind === 'classification'
        ? task.classes[example.label!]!.gold
        : (example as TextExample).golds[0]!,
  });
  const sealed: ShownRow[] = [];
  // Counts as no opening: what is seen of it are gold values.
  task.test.check((example: AnyExample) => sealed.push({ input: '', gold: toRow(example).gold }));
  const train: readonly AnyExample[] = task.train;
  const validation: readonly AnyExample[] = task.validation;
  return [
    reportOf('train', train.map(toRow), shown),
    reportOf('validation', validation.map(toRow), shown),
    reportOf('test', sealed, shown),
  ];
}

function readable(example: AnyExample): string {
  return [example.input, example.question].filter(Boolean).join('\n');
}

function reportOf(name: SplitName, rows: readonly ShownRow[], shown: number): SplitReport {
  const counts = new Map<string, number>();
  for (const { gold } of rows) counts.set(gold, (counts.get(gold) ?? 0) + 1);
  const gold = [...counts].map(([value, count]) => ({ value, count }));
  gold.sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
  const first = name === 'test' ? [] : rows.slice(0, shown);
  return {
    name,
    examples: rows.length,
    gold: gold.slice(0, MAX_GOLD),
    rows: first.map(({ input, gold: value }) => ({ input, gold: value })),
  };
}
