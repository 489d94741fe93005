/** How a normalised text is cut into the words that the model then spells with its tokens. */
import { isPunctuation } from './bert-characters.ts';
import { toByteLevel } from './byte-level.ts';
import { isNumeric, isWhitespace } from './char-class.ts';
import {
  fail,
  flagField,
  integerField,
  type Json,
  listField,
  MAX_DEPTH,
  MAX_RULES,
  objectOf,
  own,
  textField,
  unsupported,
} from './fields.ts';
import { compilePattern } from './pattern.ts';
import { eachChar, eachLiteral, readPattern, SPLIT_BEHAVIOURS, splitBy } from './split.ts';

/** Words of a text; `isStart` says that nothing stands before it in what the caller gave. */
export type PreTokenizer = (text: string, isStart: boolean) => readonly string[];

/** GPT-2's own pattern, which ByteLevel applies unless told not to. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A joiner counts as a part of a word here. */
const WORD_OR_SYMBOLS = '[\\w\\u200c\\u200d]+|[^\\w\\u200c\\u200d\\s]+';

const KINDS: ReadonlyMap<string, (spec: Json, where: string, depth: number) => PreTokenizer> =
  new Map([
    ['ByteLevel', readByteLevel],
    ['Split', readSplit],
    ['Digits', readDigits],
    ['Metaspace', readMetaspace],
    ['BertPreTokenizer', readBert],
    ['Whitespace', () => words(compilePattern(WORD_OR_SYMBOLS))],
    ['WhitespaceSplit', () => (text: string) => splitBy(text, eachChar(isWhitespace), 'Removed')],
    ['Punctuation', readPunctuation],
    ['CharDelimiterSplit', readDelimiter],
    ['FixedLength', readFixedLength],
    ['Sequence', readSequence],
  ]);

/** @throws WeightsError when the rule is malformed or unknown */
export function readPreTokenizer(value: unknown, where: string, depth = 0): PreTokenizer {
  if (value === undefined || value === null) return (text) => (text === '' ? [] : [text]);
  const spec = objectOf(value, where);
  const type = textField(spec, 'type', where, { max: 64 });
  const read = KINDS.get(type);
  if (!read || depth > MAX_DEPTH) return unsupported(`${where}.type`, type, [...KINDS.keys()]);
  return read(spec, where, depth);
}

function readSequence(spec: Json, where: string, depth: number): PreTokenizer {
  const rules = listField(spec, 'pretokenizers', where, MAX_RULES).map((item, i) =>
    readPreTokenizer(item, `${where}.pretokenizers[${i}]`, depth + 1),
  );
  return (text, isStart) =>
    rules.reduce<readonly string[]>(
      (pieces, rule) => pieces.flatMap((piece, i) => rule(piece, isStart && i === 0)),
      text === '' ? [] : [text],
    );
}

function words(pattern: ReturnType<typeof compilePattern>): PreTokenizer {
  return (text) => splitBy(text, pattern, 'Removed', true);
}

function readByteLevel(spec: Json, where: string): PreTokenizer {
  const prefix = flagField(spec, 'add_prefix_space', where, true);
  const pattern = flagField(spec, 'use_regex', where, true) && compilePattern(GPT2_PATTERN);
  return (text) => {
    if (text === '') return [];
    const full = prefix && !text.startsWith(' ') ? ` ${text}` : text;
    const pieces = pattern ? splitBy(full, pattern, 'Isolated') : [full];
    return pieces.map(toByteLevel);
  };
}

function readSplit(spec: Json, where: string): PreTokenizer {
  const pattern = readPattern(spec, 'pattern', `${where}.pattern`);
  const behaviour = readBehaviour(spec, where);
  const invert = flagField(spec, 'invert', where, false);
  return (text) => splitBy(text, pattern, behaviour, invert);
}

function readBehaviour(spec: Json, where: string) {
  const name = textField(spec, 'behavior', where, { fallback: 'Isolated', max: 64 });
  const behaviour = SPLIT_BEHAVIOURS.find((known) => known === name);
  return behaviour ?? unsupported(`${where}.behavior`, name, SPLIT_BEHAVIOURS);
}

function readDigits(spec: Json, where: string): PreTokenizer {
  const one = flagField(spec, 'individual_digits', where, false);
  return (text) => splitBy(text, eachChar(isNumeric), one ? 'Isolated' : 'Contiguous');
}

function readBert(): PreTokenizer {
  return (text) =>
    splitBy(text, eachChar(isWhitespace), 'Removed').flatMap((piece) =>
      splitBy(piece, eachChar(isPunctuation), 'Isolated'),
    );
}

function readPunctuation(spec: Json, where: string): PreTokenizer {
  const behaviour = readBehaviour(spec, where);
  return (text) => splitBy(text, eachChar(isPunctuation), behaviour);
}

function readDelimiter(spec: Json, where: string): PreTokenizer {
  const delimiter = textField(spec, 'delimiter', where, { max: 2 });
  if (delimiter === '') fail(`${where}.delimiter`, 'one character', delimiter);
  return (text) => splitBy(text, eachLiteral(delimiter), 'Removed');
}

function readFixedLength(spec: Json, where: string): PreTokenizer {
  const length = Math.max(1, integerField(spec, 'length', where, { fallback: 5 }));
  return (text) => {
    const chars = [...text];
    const pieces: string[] = [];
    for (let i = 0; i < chars.length; i += length) pieces.push(chars.slice(i, i + length).join(''));
    return pieces;
  };
}

/** Which prefix a Metaspace rule puts before a text; old files say it with `add_prefix_space`. */
export function metaspaceScheme(spec: Json, where: string): 'first' | 'always' | 'never' {
  const legacy = flagField(spec, 'add_prefix_space', where, true) ? 'always' : 'never';
  const scheme = own(spec, 'prepend_scheme') ?? legacy;
  if (scheme === 'first' || scheme === 'always' || scheme === 'never') return scheme;
  return fail(`${where}.prepend_scheme`, 'first, always or never', scheme);
}

function readMetaspace(spec: Json, where: string): PreTokenizer {
  const mark = textField(spec, 'replacement', where, { fallback: '▁', max: 2 });
  const scheme = metaspaceScheme(spec, where);
  const split = flagField(spec, 'split', where, true);
  if (mark === '') fail(`${where}.replacement`, 'one character', mark);
  return (text, isStart) => {
    if (text === '') return [];
    const marked = text.replaceAll(' ', () => mark);
    const wanted = scheme === 'always' || (scheme === 'first' && isStart);
    const full = wanted && !marked.startsWith(mark) ? mark + marked : marked;
    return split ? splitBy(full, eachLiteral(mark), 'MergedWithNext') : [full];
  };
}
