/**
 * What may stand beside the input of a row: a question about it, and a conversation that went before.
 * A line of JSONL holds a list of messages; in CSV and TSV it is written as JSON.
 */
import { z } from 'zod';
import { DataError } from '../errors.ts';
import type { Message } from '../providers/text-model.ts';
import { findColumn } from './columns.ts';
import type { TableRow } from './data-file.ts';
import { excerpt } from './excerpt.ts';

export interface RowContext {
  readonly question?: string;
  readonly conversation?: readonly Message[];
}

/** Columns by name, those alone that the configuration names. */
export interface ContextColumns {
  readonly question?: string | undefined;
  readonly conversation?: string | undefined;
}

/** @throws ConfigError for a column that is not there, naming those that are */
export function contextColumns(
  path: string,
  existing: readonly string[],
  names: ContextColumns,
): ContextColumns {
  const found = (role: 'question' | 'conversation') =>
    names[role] === undefined ? {} : { [role]: findColumn(path, existing, role, names[role], []) };
  return { ...found('question'), ...found('conversation') };
}

/** @throws DataError that names a row whose conversation is malformed */
export function contextOf(path: string, row: TableRow, columns: ContextColumns): RowContext {
  const question = columns.question && row.values.get(columns.question)?.trim();
  const conversation = columns.conversation
    ? conversationOf(path, row, columns.conversation)
    : undefined;
  return { ...(question ? { question } : {}), ...(conversation ? { conversation } : {}) };
}

export const messagesSchema = z.array(
  z.strictObject({
    role: z.enum(['system', 'user', 'assistant']),
    content: z.string().min(1),
  }),
);

function conversationOf(
  path: string,
  row: TableRow,
  column: string,
): readonly Message[] | undefined {
  const text = row.values.get(column)?.trim();
  const given = row.structures?.get(column) ?? (text ? parseJson(path, row, column) : undefined);
  if (given === undefined) return undefined;
  const parsed = messagesSchema.safeParse(given);
  if (parsed.success) return parsed.data.length > 0 ? parsed.data : undefined;
  const { path: place, message } = parsed.error.issues[0]!;
  const where = place.length > 0 ? ` at ${place.join('.')}: ${message}` : '';
  throw at(path, row, `${malformed(column)}${where}`);
}

function parseJson(path: string, row: TableRow, column: string): unknown {
  try {
    return JSON.parse(row.values.get(column)!);
  } catch {
    throw at(path, row, `${malformed(column)}, got ${excerpt(row.values.get(column)!)}`);
  }
}

function malformed(column: string): string {
  return `has no conversation in column "${excerpt(column)}", expected a list of {"role": "user", "content": "…"} with the roles system, user, assistant`;
}

export function at(path: string, { row }: TableRow, problem: string): DataError {
  return new DataError(`data file ${path}: row ${row} ${problem}`);
}
