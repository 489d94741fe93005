/**
 * Rows of a task that is answered in text: input, gold answers and, where there are such columns, a
 * question and a conversation. A line of JSONL may hold lists and objects; in CSV and TSV a
 * conversation is written as JSON and a gold answer is one text.
 */
import { fieldOf, findColumn } from './columns.ts';
import { readTable, type TableRow } from './data-file.ts';
import type { Row, RowFile } from './duplicates.ts';
import { excerpt } from './excerpt.ts';
import { inputGuesses, maxRows, maxTextLength, tooLarge } from './labelled-rows.ts';
import { at, contextColumns, contextOf, type RowContext } from './row-context.ts';

export interface TextRow extends Row, RowContext {
  readonly golds: readonly string[];
}

export type TextFile = RowFile<TextRow>;

export interface TextColumns {
  readonly input?: string | undefined;
  readonly gold?: string | undefined;
  readonly question?: string | undefined;
  readonly conversation?: string | undefined;
}

const goldGuesses = ['gold', 'golds', 'answer', 'answers', 'target', 'reference', 'references', 'output', 'summary', 'translation', 'label']; // biome-ignore format: one list

/**
 * Reads the rows of one file; `path` is where it lies, `shownPath` what messages call it.
 * @throws ConfigError for an unknown column; DataError as `readTable`, and naming the row whose field
 * is empty or malformed
 */
export async function readTextRows(
  path: string,
  shownPath: string,
  names: TextColumns,
): Promise<TextFile> {
  const rows: TextRow[] = [];
  let columns: TextColumns | undefined;
  let textLength = 0;
  for await (const tableRow of readTable(path)) {
    columns ??= findColumns(shownPath, tableRow, names);
    const row = textRow(shownPath, tableRow, columns);
    rows.push(row);
    textLength += row.key!.length;
    if (rows.length > maxRows || textLength > maxTextLength) throw tooLarge(shownPath, row.row);
  }
  return { path: shownPath, rows };
}

function findColumns(path: string, row: TableRow, names: TextColumns): TextColumns {
  const existing = [...row.values.keys(), ...(row.structures?.keys() ?? [])];
  const gold = findColumn(path, existing, 'gold', names.gold, goldGuesses);
  const taken = [gold, names.question, names.conversation].map((name) => name?.toLowerCase());
  const guesses = inputGuesses.filter((name) => !taken.includes(name));
  // A question or a conversation alone may be all that there is to read.
  const isGuessed = existing.some((column) => guesses.includes(column.toLowerCase()));
  const needsInput =
    names.input !== undefined || isGuessed || (!names.question && !names.conversation);
  return {
    gold,
    ...(needsInput ? { input: findColumn(path, existing, 'input', names.input, guesses) } : {}),
    ...contextColumns(path, existing, names),
  };
}

function textRow(path: string, tableRow: TableRow, columns: TextColumns): TextRow {
  const isWhole = !columns.question && !columns.conversation;
  const input = isWhole
    ? fieldOf(path, tableRow, columns.input!)
    : (tableRow.values.get(columns.input ?? '')?.trim() ?? '');
  const golds = goldsOf(path, tableRow, columns.gold!);
  const context = contextOf(path, tableRow, columns);
  const { question, conversation } = context;
  if (input === '' && !question && !conversation) {
    throw at(path, tableRow, 'has neither an input nor a question nor a conversation');
  }
  return {
    row: tableRow.row,
    input,
    gold: golds.join('\n'),
    golds,
    key: JSON.stringify([input, question ?? '', conversation ?? []]),
    ...context,
  };
}

/** One text, or each entry of a list; an object stands for itself as JSON. */
function goldsOf(path: string, row: TableRow, column: string): string[] {
  const structure = row.structures?.get(column);
  if (structure === undefined) return [fieldOf(path, row, column)];
  const entries: unknown[] = Array.isArray(structure) ? structure : [structure];
  const golds = entries.map((entry) => {
    if (typeof entry === 'string') return entry.trim();
    return entry === null || entry === undefined ? '' : JSON.stringify(entry);
  });
  if (golds.length > 0 && golds.every((gold) => gold !== '')) return golds;
  const problem = golds.length === 0 ? 'an empty list' : 'an empty answer';
  throw at(
    path,
    row,
    `has ${problem} in column "${excerpt(column)}"; fill it in or remove the row`,
  );
}
