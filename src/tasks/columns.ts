/** Columns of a data file by their configured names, or guessed; and a row's field in one of them. */
import { ConfigError, DataError } from '../errors.ts';
import { suggestion } from '../util/suggest.ts';
import type { TableRow } from './data-file.ts';
import { excerpt } from './excerpt.ts';

export function findColumn(
  path: string,
  existing: readonly string[],
  role: 'input' | 'gold' | 'question' | 'conversation',
  name: string | undefined,
  guesses: readonly string[],
): string {
  if (name !== undefined) {
    if (existing.includes(name)) return name;
    const near = existing.length > 12 ? suggestion(name, existing) : '';
    throw new ConfigError(
      `data file ${path} has no column "${excerpt(name)}" (task.${role})${near}; ` +
        `it has ${listColumns(existing)}`,
    );
  }
  for (const guess of guesses) {
    const column = existing.find((c) => c.toLowerCase() === guess);
    if (column !== undefined) return column;
  }
  throw new ConfigError(
    `data file ${path}: which column is the ${role}? set task.${role} to one of ` +
      listColumns(existing),
  );
}

export function fieldOf(path: string, { row, values }: TableRow, column: string): string {
  const value = values.get(column)?.trim();
  if (value !== undefined && value !== '') return value;
  const problem = value === undefined ? 'no text' : 'nothing';
  throw new DataError(
    `data file ${path}: row ${row} has ${problem} in column "${excerpt(column)}"; ` +
      'fill it in or remove the row',
  );
}

/** Names of columns for a message. */
export function listColumns(columns: readonly string[]): string {
  const shown = columns.slice(0, 20).map((column) => `"${excerpt(column)}"`);
  const rest = columns.length - shown.length;
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
