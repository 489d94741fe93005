/**
 * The regular expressions of tokenizer files, read into a small tree. It covers what such files
 * use (classes, groups, alternatives, quantifiers, look-ahead, `(?i:…)`, anchors, word boundaries);
 * back-references, look-behind and nested classes are refused.
 */
import { WeightsError } from '../../errors.ts';
import { type CharTest, charTest, WORD_CLASS } from './char-class.ts';

export type PatternNode =
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'either'; readonly options: readonly PatternNode[] }
  | { readonly kind: 'look'; readonly item: PatternNode; readonly negated: boolean }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'boundary'; readonly negated: boolean }
  | RepeatNode;

export interface RepeatNode {
  readonly kind: 'repeat';
  readonly item: PatternNode;
  readonly min: number;
  readonly max: number;
  readonly mode: 'greedy' | 'lazy' | 'possessive';
}

const MAX_LENGTH = 8192;
const MAX_GROUPS = 32;
const MAX_CLASSES = 256;
const MAX_COUNT = 1000;

interface Cursor {
  readonly source: string;
  at: number;
  depth: number;
  ignoreCase: boolean;
  readonly tests: Map<string, CharTest>;
}

/** @throws WeightsError when the pattern is malformed or uses what we do not cover */
export function parsePattern(source: string): PatternNode {
  if (source.length > MAX_LENGTH) refuse(source, `is longer than ${MAX_LENGTH} characters`);
  const cursor: Cursor = { source, at: 0, depth: 0, ignoreCase: false, tests: new Map() };
  const node = parseEither(cursor);
  if (cursor.at < source.length) refuse(source, `has a stray ")" at ${cursor.at}`);
  return node;
}

function parseEither(cursor: Cursor): PatternNode {
  const options = [parseSequence(cursor)];
  while (cursor.source[cursor.at] === '|') {
    cursor.at++;
    options.push(parseSequence(cursor));
  }
  return options.length === 1 ? options[0]! : { kind: 'either', options };
}

function parseSequence(cursor: Cursor): PatternNode {
  const items: PatternNode[] = [];
  while (cursor.at < cursor.source.length && !'|)'.includes(cursor.source[cursor.at]!)) {
    items.push(parseQuantifier(cursor, parseAtom(cursor)));
  }
  return items.length === 1 ? items[0]! : { kind: 'sequence', items };
}

function parseAtom(cursor: Cursor): PatternNode {
  const boundary = /^\\[bB]/.exec(cursor.source.slice(cursor.at, cursor.at + 2));
  if (boundary) {
    cursor.at += 2;
    return { kind: 'boundary', negated: boundary[0] === '\\B' };
  }
  const char = String.fromCodePoint(cursor.source.codePointAt(cursor.at)!);
  if (char === '(') return parseGroup(cursor);
  if (char === '[') return parseClass(cursor);
  if ('*+?'.includes(char)) refuse(cursor.source, `has nothing to repeat at ${cursor.at}`);
  cursor.at += char.length;
  if (char === '^') return { kind: 'start' };
  if (char === '$') return { kind: 'end' };
  if (char === '.') return charNode(cursor, '\\n', true);
  if (char === '\\') {
    cursor.at--;
    return charNode(cursor, parseEscape(cursor), false);
  }
  return charNode(cursor, literal(char), false);
}

function parseGroup(cursor: Cursor): PatternNode {
  if (++cursor.depth > MAX_GROUPS) refuse(cursor.source, `nests more than ${MAX_GROUPS} groups`);
  const opening = /^\((?:\?(?:i:|:|=|!|>))?/.exec(
    cursor.source.slice(cursor.at, cursor.at + 4),
  )![0];
  cursor.at += opening.length;
  if (cursor.source[cursor.at] === '?') {
    refuse(cursor.source, `has an unsupported group at ${cursor.at}`);
  }
  const outer = cursor.ignoreCase;
  cursor.ignoreCase ||= opening === '(?i:';
  const item = parseEither(cursor);
  cursor.ignoreCase = outer;
  if (cursor.source[cursor.at] !== ')') refuse(cursor.source, 'has an unclosed group');
  cursor.at++;
  cursor.depth--;
  if (opening === '(?=' || opening === '(?!') {
    return { kind: 'look', item, negated: opening === '(?!' };
  }
  if (opening === '(?>') return { kind: 'repeat', item, min: 1, max: 1, mode: 'possessive' };
  return item;
}

function parseQuantifier(cursor: Cursor, item: PatternNode): PatternNode {
  const rest = cursor.source.slice(cursor.at, cursor.at + 24);
  const found = /^(?:([*+?])|\{(\d{1,6})(,?)(\d{0,6})\})([?+]?)/.exec(rest);
  if (!found) return item;
  if (['look', 'start', 'end', 'boundary'].includes(item.kind)) {
    refuse(cursor.source, `repeats an assertion at ${cursor.at}`);
  }
  cursor.at += found[0].length;
  const [, sign, low, comma, high, suffix] = found;
  const min = sign ? (sign === '+' ? 1 : 0) : Number(low);
  const bounded = comma === '' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high);
  const max = sign ? (sign === '?' ? 1 : Number.POSITIVE_INFINITY) : bounded;
  if (min > max || min > MAX_COUNT || (Number.isFinite(max) && max > MAX_COUNT)) {
    refuse(cursor.source, `counts to ${max} at ${cursor.at}`);
  }
  const mode = suffix === '?' ? 'lazy' : suffix === '+' ? 'possessive' : 'greedy';
  return { kind: 'repeat', item, min, max, mode };
}

function parseClass(cursor: Cursor): PatternNode {
  const { source } = cursor;
  const negated = source[cursor.at + 1] === '^';
  cursor.at += negated ? 2 : 1;
  const first = cursor.at;
  let body = '';
  while (source[cursor.at] !== ']' || cursor.at === first) {
    if (cursor.at >= source.length) refuse(source, 'has an unclosed class');
    const char = String.fromCodePoint(source.codePointAt(cursor.at)!);
    if (char === '[' || source.startsWith('&&', cursor.at)) {
      refuse(source, `nests classes at ${cursor.at}`);
    }
    if (char === '\\') {
      body += parseEscape(cursor);
      continue;
    }
    cursor.at += char.length;
    const isRange = char === '-' && body !== '' && source[cursor.at] !== ']';
    body += isRange ? '-' : literal(char);
  }
  cursor.at++;
  return charNode(cursor, body, negated);
}

const SHORTHANDS = new Map([
  ['s', '\\p{White_Space}'],
  ['S', '\\P{White_Space}'],
  ['d', '\\p{Nd}'],
  ['D', '\\P{Nd}'],
  ['w', WORD_CLASS],
  ['n', '\\n'],
  ['r', '\\r'],
  ['t', '\\t'],
  ['f', '\\f'],
  ['v', '\\v'],
]);

/** One escape at the cursor, as the body of a JavaScript class. */
function parseEscape(cursor: Cursor): string {
  const rest = cursor.source.slice(cursor.at, cursor.at + 48);
  const property = /^\\([pP])\{(\^?)(\w{1,32})\}/.exec(rest);
  if (property) {
    cursor.at += property[0].length;
    const negated = (property[1] === 'P') !== (property[2] === '^');
    return `\\${negated ? 'P' : 'p'}{${propertyName(cursor.source, property[3]!)}}`;
  }
  const code = /^\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|x\{([0-9a-fA-F]{1,6})\})/.exec(rest);
  if (code) {
    cursor.at += code[0].length;
    const value = Number.parseInt(code[1] ?? code[2] ?? code[3]!, 16);
    if (value > 0x10ffff) refuse(cursor.source, `names no character with ${code[0]}`);
    return literal(String.fromCodePoint(value));
  }
  const point = cursor.source.codePointAt(cursor.at + 1);
  if (point === undefined) refuse(cursor.source, 'ends in a backslash');
  const char = String.fromCodePoint(point);
  cursor.at += 1 + char.length;
  const shorthand = SHORTHANDS.get(char);
  if (shorthand !== undefined) return shorthand;
  if (/[A-Za-z0-9]/.test(char)) refuse(cursor.source, `uses the unsupported escape \\${char}`);
  return literal(char);
}

function propertyName(source: string, name: string): string {
  for (const candidate of [name, `Script=${name}`]) {
    try {
      new RegExp(`\\p{${candidate}}`, 'u');
      return candidate;
    } catch {}
  }
  return refuse(source, `names the unknown property ${name}`);
}

function charNode(cursor: Cursor, body: string, negated: boolean): PatternNode {
  const key = `${negated}${cursor.ignoreCase}${body}`;
  let test = cursor.tests.get(key);
  if (!test) {
    if (cursor.tests.size >= MAX_CLASSES) refuse(cursor.source, `has over ${MAX_CLASSES} classes`);
    try {
      test = charTest(body, { negated, ignoreCase: cursor.ignoreCase });
    } catch {
      return refuse(cursor.source, `has a malformed class [${body.slice(0, 40)}]`);
    }
    cursor.tests.set(key, test);
  }
  return { kind: 'char', test };
}

function literal(char: string): string {
  return `\\u{${char.codePointAt(0)!.toString(16)}}`;
}

function refuse(source: string, what: string): never {
  const shown = source.length > 80 ? `${source.slice(0, 77)}…` : source;
  throw new WeightsError(`tokenizer: the pattern ${JSON.stringify(shown)} ${what}`);
}
