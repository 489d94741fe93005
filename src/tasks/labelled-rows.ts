/**
 * The two columns of a data file that a task needs: input and gold label, found by name or guessed,
 * with the row each came from.
 */
import { ConfigError, DataError } from '../errors.ts';
import { fieldOf, findColumn, listColumns } from './columns.ts';
import { readTable, type TableRow } from './data-file.ts';
import type { Row } from './duplicates.ts';
import { excerpt } from './excerpt.ts';
import { contextColumns, contextOf, type RowContext } from './row-context.ts';
import { maxClasses } from './verbalizer.ts';

/** Input and gold are trimmed and not empty. */
export interface LabelledRow extends Row, RowContext {}

export interface LabelledFile {
  /** As configured. */
  readonly path: string;
  readonly rows: readonly LabelledRow[];
  /** Each gold label and the place where it was first seen. */
  readonly golds: ReadonlyMap<string, string>;
}

export interface ColumnNames {
  readonly input?: string | undefined;
  readonly gold?: string | undefined;
  readonly question?: string | undefined;
  readonly conversation?: string | undefined;
}

export const inputGuesses = ['text', 'sentence', 'input', 'review', 'question', 'content', 'message', 'comment', 'body', 'utterance', 'title']; // biome-ignore format: one list
const goldGuesses = ['label', 'labels', 'gold', 'class', 'target', 'category', 'sentiment', 'answer', 'intent']; // biome-ignore format: one list

export const maxRows = 1_000_000;
/** All inputs of one file together, in UTF-16 code units. */
export const maxTextLength = 1 << 28;

/**
 * Reads the labelled rows of one file; `path` is where it lies, `shownPath` what messages call it.
 * @throws ConfigError for an unknown column; DataError as `readTable`, and for empty fields
 */
export async function readLabelledRows(
  path: string,
  shownPath: string,
  names: ColumnNames,
): Promise<LabelledFile> {
  const rows: LabelledRow[] = [];
  const golds = new Map<string, string>();
  let columns: ReturnType<typeof findColumns> | undefined;
  let textLength = 0;
  for await (const tableRow of readTable(path)) {
    columns ??= findColumns(shownPath, tableRow, names);
    const { row } = tableRow;
    const input = fieldOf(shownPath, tableRow, columns.input);
    const gold = fieldOf(shownPath, tableRow, columns.gold);
    const context = contextOf(shownPath, tableRow, columns.context);
    const isMore = context.question !== undefined || context.conversation !== undefined;
    const key = isMore ? { key: JSON.stringify([input, context]) } : {};
    rows.push({ row, input, gold, ...context, ...key });
    if (!golds.has(gold)) golds.set(gold, `${shownPath} row ${row}`);
    textLength += input.length;
    if (golds.size > maxClasses) throw tooManyLabels(shownPath, columns.gold);
    if (rows.length > maxRows || textLength > maxTextLength) throw tooLarge(shownPath, row);
  }
  return { path: shownPath, rows, golds };
}

/** Names of the two columns among those that exist. */
function findColumns(path: string, { values, structures }: TableRow, names: ColumnNames) {
  const existing = [...values.keys()];
  const input = findColumn(path, existing, 'input', names.input, inputGuesses);
  const gold = findColumn(path, existing, 'gold', names.gold, goldGuesses);
  if (input === gold) {
    throw new ConfigError(
      `data file ${path}: input and gold are the same column "${excerpt(input)}"; ` +
        `it has ${listColumns(existing)}`,
    );
  }
  const all = [...existing, ...(structures?.keys() ?? [])];
  return { input, gold, context: contextColumns(path, all, names) };
}

function tooManyLabels(path: string, column: string): ConfigError {
  return new ConfigError(
    `data file ${path}: column "${excerpt(column)}" holds more than ${maxClasses} different ` +
      'labels; is task.gold the right column?',
  );
}

export function tooLarge(path: string, row: number): DataError {
  return new DataError(
    `data file ${path} is too large at row ${row}: at most ${maxRows} rows and ` +
      `${maxTextLength} characters of input are read; take a part of it`,
  );
}
