/**
 * Tables from CSV, TSV and JSON Lines files, streamed and strict: the ending of the name decides the
 * format, nothing is guessed. CSV has RFC 4180 quotes; TSV has none (a `"` is an ordinary
 * character, as in SST-2); a line of JSONL is one flat object.
 */
import { extname } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { ConfigError, DataError } from '../errors.ts';
import { excerpt } from './excerpt.ts';
import { maxRowLength, readLines, readText } from './text-stream.ts';

export interface TableRow {
  /** Line of the file where the row starts; a header is row 1. */
  readonly row: number;
  /** Field by column, in the file's order. JSONL: numbers and booleans as text, others left out. */
  readonly values: ReadonlyMap<string, string>;
  /** Lists and objects of a line of JSONL, by column. */
  readonly structures?: ReadonlyMap<string, object>;
}

/** Longest field, in UTF-16 code units. */
export const maxFieldLength = 1 << 18;
export const maxColumns = 1000;

type Records = AsyncGenerator<{ row: number; fields: string[] }>;

const readers: Readonly<Record<string, (path: string) => AsyncGenerator<TableRow>>> = {
  '.csv': (path) => withHeader(path, readCsv(path)),
  '.tsv': (path) => withHeader(path, readTsv(path)),
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
};

/**
 * The rows of a table; blank lines are passed over.
 * @throws ConfigError for an unknown ending; DataError for a file that is missing, empty, has a
 *   header alone, or breaks its format (with the row)
 */
export async function* readTable(path: string): AsyncGenerator<TableRow> {
  const ending = extname(path).toLowerCase();
  const reader = readers[ending];
  if (reader === undefined) {
    throw new ConfigError(
      `data file ${path}: unknown ending "${ending}", expected ${Object.keys(readers).join(', ')}`,
    );
  }
  let isEmpty = true;
  for await (const row of reader(path)) {
    isEmpty = false;
    yield row;
  }
  if (isEmpty) throw new DataError(`data file ${path} is empty, expected one row per example`);
}

/** Turns records into rows by the names in the first one. */
async function* withHeader(path: string, records: Records): AsyncGenerator<TableRow> {
  let columns: string[] | undefined;
  let isEmpty = true;
  for await (const { row, fields } of records) {
    if (fields.length === 1 && fields[0]!.trim() === '') continue;
    if (columns === undefined) {
      columns = checkHeader(path, fields);
      continue;
    }
    if (fields.length !== columns.length) {
      throw at(path, row, `has ${fields.length} fields, the header has ${columns.length}`);
    }
    isEmpty = false;
    const values = new Map<string, string>();
    for (let i = 0; i < columns.length; i++) {
      checkField(path, row, columns[i]!, fields[i]!);
      if (columns[i] !== '') values.set(columns[i]!, fields[i]!);
    }
    yield { row, values };
  }
  if (columns !== undefined && isEmpty) {
    throw new DataError(`data file ${path} has a header row only, expected rows below it`);
  }
}

/** Column names; a nameless column (an exported index) is allowed and left out of the rows. */
function checkHeader(path: string, fields: string[]): string[] {
  if (fields.length > maxColumns) {
    throw at(path, 1, `has ${fields.length} columns, at most ${maxColumns} are read`);
  }
  const columns = fields.map((field) => field.trim());
  const [only] = columns;
  if (columns.length === 1 && /[;\t]|,/.test(only!)) {
    const ending = extname(path).toLowerCase();
    const expected = ending === '.csv' ? 'commas' : 'tabs';
    throw at(path, 1, `is one column "${excerpt(only!)}", expected ${expected} between columns`);
  }
  const seen = new Set<string>();
  for (const column of columns) {
    if (column !== '' && seen.has(column)) {
      throw at(path, 1, `names the column "${excerpt(column)}" twice; rename one of them`);
    }
    seen.add(column);
  }
  return columns;
}

async function* readTsv(path: string): Records {
  for await (const { row, text } of readLines(path)) yield { row, fields: text.split('\t') };
}

async function* readCsv(path: string): Records {
  const parser = parse({
    relax_column_count: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: maxRowLength,
  });
  pipeline(Readable.from(readText(path)), parser, () => {});
  let row = 1;
  try {
    for await (const record of parser) {
      const fields = record as string[];
      yield { row, fields };
      row += 1 + fields.reduce((sum, field) => sum + countLineEnds(field), 0);
    }
  } catch (error) {
    throw error instanceof CsvError ? at(path, row, csvProblem(error)) : error;
  }
}

function countLineEnds(field: string): number {
  return /[\r\n]/.test(field) ? field.match(/\r\n|\r|\n/g)!.length : 0;
}

function csvProblem({ code }: CsvError): string {
  switch (code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'opens a quote that is never closed; double a quote that belongs to the text';
    case 'INVALID_OPENING_QUOTE':
    case 'CSV_INVALID_CLOSING_QUOTE':
      return 'has a quote inside a field; put the field in quotes and double the inner ones';
    case 'CSV_MAX_RECORD_SIZE':
      return `is longer than ${maxRowLength} characters; is a quote left open?`;
    default:
      return `is no valid CSV (${code})`;
  }
}

async function* readJsonLines(path: string): AsyncGenerator<TableRow> {
  for await (const { row, text } of readLines(path)) {
    if (text.trim() === '') continue;
    const entries = Object.entries(parseObject(path, row, text));
    if (entries.length > maxColumns) {
      throw at(path, row, `has ${entries.length} fields, at most ${maxColumns} are read`);
    }
    const values = new Map<string, string>();
    const structures = new Map<string, object>();
    for (const [column, value] of entries) {
      if (typeof value === 'object' && value !== null) {
        structures.set(column, value);
        continue;
      }
      const field = value === null ? '' : String(value);
      checkField(path, row, column, field);
      values.set(column, field);
    }
    yield structures.size > 0 ? { row, values, structures } : { row, values };
  }
}

function parseObject(path: string, row: number, text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw at(path, row, `is not JSON, expected one object a line, got ${excerpt(text)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw at(path, row, `is not a JSON object, got ${excerpt(text)}`);
  }
  return value;
}

function checkField(path: string, row: number, column: string, field: string): void {
  if (field.length <= maxFieldLength) return;
  const size = `${field.length} characters, at most ${maxFieldLength} are read`;
  throw at(path, row, `column "${excerpt(column)}" has ${size}`);
}

function at(path: string, row: number, problem: string): DataError {
  return new DataError(`data file ${path}: row ${row} ${problem}`);
}
