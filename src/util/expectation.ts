/** What a schema expected and got, in words that every mistake is told in. */
import type { z } from 'zod';
import { visible } from './text.ts';

/** "expected at least 1, got 0": what an issue says about its value in the data that was parsed. */
export function expectation(issue: z.core.$ZodIssue, data: unknown): string {
  const value = issue.path.reduce<unknown>((node, key) => (node as never)?.[key], data);
  const got = value === undefined ? 'nothing' : describe(value);
  if (issue.code === 'invalid_type') {
    const kind = issue.expected === 'object' ? 'a group of keys' : issue.expected;
    return `expected ${kind}, got ${got}`;
  }
  if (issue.code === 'invalid_union') return `expected ${alternatives(issue)}, got ${got}`;
  if (issue.code === 'invalid_value') {
    return `expected ${issue.values.map(String).join(' or ')}, got ${got}`;
  }
  if (issue.code === 'too_small') {
    return `expected ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}${lengthUnit(issue.origin)}, got ${got}`;
  }
  if (issue.code === 'too_big') {
    return `expected at most ${issue.maximum}${lengthUnit(issue.origin)}, got ${got}`;
  }
  // What may be a key is not said again, nor what a sentence of its own says already.
  if (/\bkey\b|, got /.test(issue.message)) return issue.message;
  return `${issue.message.replace(/^Invalid input: /, '')}, got ${got}`;
}

/** What a union takes: "string or a group of keys", "piecewise or gap or a group of keys". */
function alternatives(issue: z.core.$ZodIssueInvalidUnion): string {
  const kinds = issue.errors.flat().flatMap((inner) => {
    if (inner.code === 'invalid_value') return inner.values.map(String);
    if (inner.code !== 'invalid_type') return [];
    return inner.expected === 'object' ? ['a group of keys'] : [inner.expected];
  });
  return [...new Set(kinds)].join(' or ') || 'another value';
}

function lengthUnit(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' || origin === 'set' ? ' entries' : '';
}

/** A value as a sentence names it. */
export function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a group of keys';
  if (typeof value === 'number') return String(value);
  const text = visible(JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
