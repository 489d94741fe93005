/** Cutting a text at matches, with the five ways in which a delimiter joins its neighbours. */
import { WeightsError } from '../../errors.ts';
import { fail, type Json, MAX_RULE_TEXT, objectOf, own } from './fields.ts';
import { compilePattern, type Pattern } from './pattern.ts';

export const SPLIT_BEHAVIOURS = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const;
export type SplitBehaviour = (typeof SPLIT_BEHAVIOURS)[number];

/** A stretch of a text: a match of the delimiter, or what lies between two. */
interface Span {
  start: number;
  end: number;
  readonly isMatch: boolean;
}

/** Pieces of `text`, in order, empty ones left out. */
export function splitBy(
  text: string,
  pattern: Pattern,
  behaviour: SplitBehaviour,
  invert = false,
): string[] {
  const pieces: string[] = [];
  for (const { start, end, isMatch } of joined(spans(text, pattern, invert), behaviour)) {
    if (end > start && !(isMatch && behaviour === 'Removed')) pieces.push(text.slice(start, end));
  }
  return pieces;
}

function spans(text: string, pattern: Pattern, invert: boolean): Span[] {
  const out: Span[] = [];
  let last = 0;
  pattern(text, (start, end) => {
    if (start > last) out.push({ start: last, end: start, isMatch: invert });
    out.push({ start, end, isMatch: !invert });
    last = end;
  });
  if (last < text.length) out.push({ start: last, end: text.length, isMatch: invert });
  return out;
}

function joined(all: Span[], behaviour: SplitBehaviour): Span[] {
  if (behaviour === 'Removed' || behaviour === 'Isolated') return all;
  const backwards = behaviour === 'MergedWithNext';
  const out: Span[] = [];
  let previous = false;
  for (const span of backwards ? all.reverse() : all) {
    const joins =
      behaviour === 'Contiguous' ? span.isMatch === previous : span.isMatch && !previous;
    const last = out.at(-1);
    if (joins && last && backwards) last.start = span.start;
    else if (joins && last) last.end = span.end;
    else out.push({ ...span });
    previous = span.isMatch;
  }
  return backwards ? out.reverse() : out;
}

/** A pattern that finds characters one at a time. */
export function eachChar(test: (codePoint: number) => boolean): Pattern {
  return (text, found) => {
    for (let at = 0; at < text.length; ) {
      const point = text.codePointAt(at)!;
      const end = at + (point > 0xffff ? 2 : 1);
      if (test(point)) found(at, end);
      at = end;
    }
  };
}

/** A pattern that finds a fixed, non-empty text. */
export function eachLiteral(literal: string): Pattern {
  return (text, found) => {
    for (let at = text.indexOf(literal); at >= 0; ) {
      found(at, at + literal.length);
      at = text.indexOf(literal, at + literal.length);
    }
  };
}

/** `{ "String": "x" }` or `{ "Regex": "x+" }` as tokenizer files write patterns. */
export function readPattern(spec: Json, key: string, where: string): Pattern {
  const value = own(spec, key);
  const object: Json = typeof value === 'string' ? { String: value } : objectOf(value, where);
  const literal = own(object, 'String');
  const source = own(object, 'Regex');
  if (typeof literal === 'string' && literal !== '' && literal.length <= MAX_RULE_TEXT) {
    return eachLiteral(literal);
  }
  if (typeof source === 'string' && source !== '') return compilePattern(source);
  return fail(where, `a String of 1 to ${MAX_RULE_TEXT} characters or a Regex`, literal ?? source);
}

/** A text with every match replaced; the result may not outgrow `limit` characters. */
export function replaceAll(text: string, pattern: Pattern, content: string, limit: number): string {
  const out: string[] = [];
  let last = 0;
  let length = 0;
  pattern(text, (start, end) => {
    out.push(text.slice(last, start), content);
    length += start - last + content.length;
    last = end;
    if (length > limit) throw tooLong(limit);
  });
  return last === 0 && out.length === 0 ? text : out.join('') + text.slice(last);
}

export function tooLong(limit: number): WeightsError {
  return new WeightsError(`tokenizer: its rules blow this text up beyond ${limit} characters`);
}
