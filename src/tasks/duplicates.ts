/**
 * Repeated texts: across splits they would leak test examples into training and are refused; within
 * a file they are told, and kept once where the file is going to be divided. Texts that differ in
 * case and white space only count as the same.
 */
import { DataError } from '../errors.ts';
import { excerpt } from './excerpt.ts';

/** A row of a data file, as far as repeats go. */
export interface Row {
  readonly row: number;
  readonly input: string;
  readonly gold: string;
  /** All that tells it from another, where that is more than the input. */
  readonly key?: string;
}

export interface RowFile<R extends Row = Row> {
  readonly path: string;
  readonly rows: readonly R[];
}

/** Pairs of rows that a message names before it counts the rest. */
const shownPairs = 5;

/** What two texts must share to count as the same. */
export function textKey(text: string): string {
  return text.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim();
}

/**
 * Checks that no text stands in two files.
 * @throws DataError that names the rows
 */
export function refuseSharedTexts(files: readonly RowFile[]): void {
  const first = new Map<string, { path: string; row: number }>();
  const pairs: string[] = [];
  let count = 0;
  for (const { path, rows } of files) {
    for (const { row, input, key: whole } of rows) {
      const key = textKey(whole ?? input);
      const other = first.get(key);
      if (other === undefined) first.set(key, { path, row });
      else if (other.path !== path) {
        count++;
        if (pairs.length < shownPairs) {
          pairs.push(`${other.path} row ${other.row} = ${path} row ${row} "${excerpt(input)}"`);
        }
      }
    }
  }
  if (count === 0) return;
  const rest = count > pairs.length ? ` and ${count - pairs.length} more` : '';
  throw new DataError(
    `${count === 1 ? 'a text stands' : `${count} texts stand`} in two splits: ` +
      `${pairs.join('; ')}${rest}; remove them from one of the files`,
  );
}

/** Rows of one file with each text once (the first), and warnings about the others. */
export function findRepeats<R extends Row>({
  path,
  rows,
}: RowFile<R>): {
  readonly unique: readonly R[];
  readonly repeats: readonly string[];
  readonly conflicts: readonly string[];
} {
  const first = new Map<string, R>();
  const unique: R[] = [];
  const repeats: string[] = [];
  const conflicts: string[] = [];
  for (const row of rows) {
    const key = textKey(row.key ?? row.input);
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, row);
      unique.push(row);
    } else if (other.gold === row.gold) repeats.push(`${path} row ${other.row} = ${row.row}`);
    else {
      const labels = `"${excerpt(other.gold)}" and "${excerpt(row.gold)}"`;
      conflicts.push(
        `${path} rows ${other.row} and ${row.row}: ${labels} for "${excerpt(row.input)}"`,
      );
    }
  }
  return { unique, repeats, conflicts };
}

/** One sentence for many places. */
export function summarise(what: string, places: readonly string[], outcome: string): string[] {
  if (places.length === 0) return [];
  const rest = places.length - shownPairs;
  const shown = places.slice(0, shownPairs).join('; ') + (rest > 0 ? ` and ${rest} more` : '');
  return [`${what}: ${shown}; ${outcome}`];
}
