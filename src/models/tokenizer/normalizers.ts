/**
 * What happens to a text before it is split: Unicode normal forms, lower case, replacement.
 * Missing on purpose: Precompiled and Nmt (Unigram models, which no architecture here uses).
 */

import { cleaned, spacedIdeographs, withoutAccents } from './bert-characters.ts';
import { toByteLevel } from './byte-level.ts';
import { isWhitespace } from './char-class.ts';
import {
  flagField,
  type Json,
  listField,
  MAX_DEPTH,
  MAX_RULE_TEXT,
  MAX_RULES,
  objectOf,
  own,
  textField,
  unsupported,
} from './fields.ts';
import { readPattern, replaceAll, tooLong } from './split.ts';

export type Normalizer = (text: string) => string;

/** NFKC's longest expansion is 18; a rule that goes far beyond it is an attack. */
const MAX_GROWTH = 32;
const FREE_GROWTH = 1024;

/** @throws WeightsError when the rule is malformed or unknown */
export function readNormalizer(value: unknown, where: string): Normalizer {
  if (value === undefined || value === null) return (text) => text;
  const run = readRule(value, where, 0);
  return (text) => (text === '' ? text : run(text, growthLimit(text)));
}

type Rule = (text: string, limit: number) => string;

function growthLimit(text: string): number {
  return text.length * MAX_GROWTH + FREE_GROWTH;
}

function bounded(text: string, limit: number): string {
  if (text.length > limit) throw tooLong(limit);
  return text;
}

const KINDS: ReadonlyMap<string, (spec: Json, where: string, depth: number) => Rule> = new Map([
  ['NFC', () => (text: string) => text.normalize('NFC')],
  ['NFD', () => (text: string) => text.normalize('NFD')],
  ['NFKC', () => (text: string) => text.normalize('NFKC')],
  ['NFKD', () => (text: string) => text.normalize('NFKD')],
  ['Lowercase', () => (text: string) => lowerCase(text)],
  ['StripAccents', () => (text: string) => withoutMarks(text)],
  ['ByteLevel', () => (text: string) => toByteLevel(text)],
  ['Sequence', readSequence],
  ['BertNormalizer', readBert],
  ['Replace', readReplace],
  ['Prepend', readPrepend],
  ['Strip', readStrip],
]);

function readRule(value: unknown, where: string, depth: number): Rule {
  const spec = objectOf(value, where);
  const type = textField(spec, 'type', where, { max: 64 });
  const read = KINDS.get(type);
  if (!read || depth > MAX_DEPTH) return unsupported(`${where}.type`, type, [...KINDS.keys()]);
  const rule = read(spec, where, depth);
  return (text, limit) => bounded(rule(text, limit), limit);
}

function readSequence(spec: Json, where: string, depth: number): Rule {
  const rules = listField(spec, 'normalizers', where, MAX_RULES).map((item, i) =>
    readRule(item, `${where}.normalizers[${i}]`, depth + 1),
  );
  return (text, limit) => rules.reduce((result, rule) => rule(result, limit), text);
}

function readReplace(spec: Json, where: string): Rule {
  const pattern = readPattern(spec, 'pattern', `${where}.pattern`);
  const content = textField(spec, 'content', where, { max: MAX_RULE_TEXT });
  return (text, limit) => replaceAll(text, pattern, content, limit);
}

function readPrepend(spec: Json, where: string): Rule {
  const content = textField(spec, 'prepend', where, { max: MAX_RULE_TEXT });
  return (text) => (text === '' ? text : content + text);
}

function readStrip(spec: Json, where: string): Rule {
  const left = flagField(spec, 'strip_left', where, true);
  const right = flagField(spec, 'strip_right', where, true);
  return (text) => {
    let start = 0;
    let end = text.length;
    while (left && start < end && isWhitespace(text.charCodeAt(start))) start++;
    while (right && end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
    return text.slice(start, end);
  };
}

function readBert(spec: Json, where: string): Rule {
  const clean = flagField(spec, 'clean_text', where, true);
  const spaced = flagField(spec, 'handle_chinese_chars', where, true);
  const lower = flagField(spec, 'lowercase', where, true);
  const strip =
    own(spec, 'strip_accents') === undefined
      ? lower
      : flagField(spec, 'strip_accents', where, lower);
  return (text) => {
    let result = text;
    if (clean) result = cleaned(result);
    if (spaced) result = spacedIdeographs(result);
    if (strip) result = withoutAccents(result);
    return lower ? lowerCase(result) : result;
  };
}

function withoutMarks(text: string): string {
  return text.replace(/\p{M}/gu, '');
}

/** Lower case of each character alone: no final sigma, unlike `toLowerCase` on a whole word. */
function lowerCase(text: string): string {
  const lower = text.toLowerCase();
  if (!lower.includes('ς')) return lower;
  let out = '';
  for (const char of text) out += char.toLowerCase();
  return out;
}
