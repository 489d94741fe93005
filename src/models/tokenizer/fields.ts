/**
 * Reading a tokenizer file that may be damaged or hostile: every field is checked for its type and
 * its bounds, only own properties count, and what is wrong becomes one WeightsError that names the
 * place. A JSON null counts as absent, as in the files themselves.
 */
import { WeightsError } from '../../errors.ts';

export type Json = Readonly<Record<string, unknown>>;

/** Ids stay below this, so that a pair of ids and a merge rank fit into exact numbers. */
export const MAX_ID = 2 ** 22;
/** Longest text of one token, and of pieces that a rule of the file puts into a text. */
export const MAX_TOKEN_LENGTH = 16_384;
export const MAX_RULE_TEXT = 64;
/** Deepest nesting of rules (a Sequence in a Sequence …). */
export const MAX_DEPTH = 8;
/** Most rules in one list. */
export const MAX_RULES = 64;

export function fail(where: string, expected: string, got: unknown): never {
  throw new WeightsError(
    `${where}: expected ${expected}, got ${describe(got)}; the file is damaged or not a tokenizer`,
  );
}

/** @throws WeightsError for what the file may well mean but we cannot do */
export function unsupported(where: string, what: string, known: readonly string[]): never {
  throw new WeightsError(
    `${where}: ${describe(what)} is not supported, known are ${known.join(', ')}`,
  );
}

export function objectOf(value: unknown, where: string): Json {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    fail(where, 'an object', value);
  }
  return value as Json;
}

/** An own property, with null read as absent. */
export function own(object: Json, key: string): unknown {
  return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined;
}

export function textField(
  object: Json,
  key: string,
  where: string,
  options: { fallback?: string; max?: number } = {},
): string {
  const value = own(object, key) ?? options.fallback;
  const max = options.max ?? MAX_TOKEN_LENGTH;
  if (typeof value !== 'string') fail(`${where}.${key}`, 'a string', value);
  if (value.length > max) fail(`${where}.${key}`, `at most ${max} characters`, value.length);
  return value;
}

export function flagField(object: Json, key: string, where: string, fallback: boolean): boolean {
  const value = own(object, key) ?? fallback;
  if (typeof value !== 'boolean') fail(`${where}.${key}`, 'true or false', value);
  return value;
}

export function integerField(
  object: Json,
  key: string,
  where: string,
  options: { fallback?: number; max?: number } = {},
): number {
  return integerOf(own(object, key) ?? options.fallback, `${where}.${key}`, options.max ?? MAX_ID);
}

export function integerOf(value: unknown, where: string, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    fail(where, `an integer from 0 to ${max}`, value);
  }
  return value;
}

export function listField(object: Json, key: string, where: string, max: number): unknown[] {
  const value = own(object, key) ?? [];
  if (!Array.isArray(value)) fail(`${where}.${key}`, 'a list', value);
  if (value.length > max) fail(`${where}.${key}`, `at most ${max} elements`, value.length);
  return value;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'bigint') return `${value}`;
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
