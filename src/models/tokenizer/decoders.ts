/**
 * From stored tokens back to text. A decoder gives the text of a whole list and, for showing a
 * token alone, of a single one (where a rule about the list's ends does not apply).
 */
import { byteOfToken, fromByteLevel, textOfBytes } from './byte-level.ts';
import {
  fail,
  flagField,
  integerField,
  type Json,
  listField,
  MAX_DEPTH,
  MAX_RULE_TEXT,
  MAX_RULES,
  objectOf,
  textField,
  unsupported,
} from './fields.ts';
import { metaspaceScheme } from './pre-tokenizers.ts';
import { readPattern, replaceAll } from './split.ts';

export interface Decoder {
  list(tokens: readonly string[]): readonly string[];
  one(token: string): string;
}

/** No rule at all: tokens are words, with spaces between them. */
const WORDS: Decoder = {
  list: (tokens) => tokens.map((token, i) => (i > 0 ? ` ${token}` : token)),
  one: (token) => token,
};

const KINDS: ReadonlyMap<string, (spec: Json, where: string, depth: number) => Decoder> = new Map([
  ['ByteLevel', readByteLevel],
  ['WordPiece', readWordPiece],
  ['Metaspace', readMetaspace],
  ['BPEDecoder', readSuffix],
  ['ByteFallback', readByteFallback],
  ['Fuse', readFuse],
  ['Strip', readStrip],
  ['Replace', readReplace],
  ['Sequence', readSequence],
]);

/** @throws WeightsError when the rule is malformed or unknown */
export function readDecoder(value: unknown, where: string, depth = 0): Decoder {
  if (value === undefined || value === null) return WORDS;
  const spec = objectOf(value, where);
  const type = textField(spec, 'type', where, { max: 64 });
  const read = KINDS.get(type);
  if (!read || depth > MAX_DEPTH) return unsupported(`${where}.type`, type, [...KINDS.keys()]);
  return read(spec, where, depth);
}

function eachToken(one: (token: string) => string): Decoder {
  return { list: (tokens) => tokens.map(one), one };
}

function readSequence(spec: Json, where: string, depth: number): Decoder {
  const rules = listField(spec, 'decoders', where, MAX_RULES).map((item, i) =>
    readDecoder(item, `${where}.decoders[${i}]`, depth + 1),
  );
  return {
    list: (tokens) => rules.reduce((result, rule) => rule.list(result), tokens),
    one: (token) => rules.reduce((result, rule) => rule.one(result), token),
  };
}

function readByteLevel(): Decoder {
  const list = (tokens: readonly string[]) => [textOfBytes(tokens.flatMap(fromByteLevel))];
  return { list, one: (token) => list([token])[0]! };
}

/** Runs of `<0xNN>` become characters; each byte of a run that is no UTF-8 becomes U+FFFD. */
function readByteFallback(): Decoder {
  const list = (tokens: readonly string[]) => {
    const out: string[] = [];
    let bytes: number[] = [];
    const flush = () => {
      if (bytes.length > 0) out.push(strictText(bytes));
      bytes = [];
    };
    for (const token of tokens) {
      const byte = byteOfToken(token);
      if (byte !== undefined) bytes.push(byte);
      else {
        flush();
        out.push(token);
      }
    }
    flush();
    return out;
  };
  return { list, one: (token) => list([token]).join('') };
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function strictText(bytes: readonly number[]): string {
  try {
    return strict.decode(Uint8Array.from(bytes));
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}

function readWordPiece(spec: Json, where: string): Decoder {
  const prefix = textField(spec, 'prefix', where, { fallback: '##', max: MAX_RULE_TEXT });
  const cleanup = flagField(spec, 'cleanup', where, true) ? tidy : (text: string) => text;
  const goesOn = (token: string) => prefix !== '' && token.startsWith(prefix);
  return {
    list: (tokens) =>
      tokens.map((token, i) => {
        if (i === 0) return cleanup(token);
        return cleanup(goesOn(token) ? token.slice(prefix.length) : ` ${token}`);
      }),
    one: (token) => (goesOn(token) ? token.slice(prefix.length) : token),
  };
}

/** The spaces that English punctuation does not want. */
function tidy(text: string): string {
  return text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

function readMetaspace(spec: Json, where: string): Decoder {
  const mark = textField(spec, 'replacement', where, { fallback: '▁', max: 2 });
  const prefixed = metaspaceScheme(spec, where) !== 'never';
  if (mark === '') fail(`${where}.replacement`, 'one character', mark);
  const one = (token: string) => token.replaceAll(mark, ' ');
  const first = (token: string) => (prefixed ? token.replaceAll(mark, '') : one(token));
  return { list: (tokens) => tokens.map((token, i) => (i === 0 ? first(token) : one(token))), one };
}

function readSuffix(spec: Json, where: string): Decoder {
  const suffix = textField(spec, 'suffix', where, { fallback: '</w>', max: MAX_RULE_TEXT });
  const without = (token: string, by: string) =>
    suffix === '' ? token : token.replaceAll(suffix, by);
  return {
    list: (tokens) => tokens.map((t, i) => without(t, i === tokens.length - 1 ? '' : ' ')),
    one: (token) => without(token, ' '),
  };
}

function readFuse(): Decoder {
  return { list: (tokens) => [tokens.join('')], one: (token) => token };
}

/** Cuts a character off both ends of each text; of a text that was fused, off its ends. */
function readStrip(spec: Json, where: string): Decoder {
  const content = textField(spec, 'content', where, { max: 2 });
  const start = integerField(spec, 'start', where, { fallback: 0, max: MAX_RULES });
  const stop = integerField(spec, 'stop', where, { fallback: 0, max: MAX_RULES });
  if (content === '') fail(`${where}.content`, 'one character', content);
  const strip = (token: string) => {
    let from = 0;
    let to = token.length;
    for (let i = 0; i < start && token.startsWith(content, from); i++) from += content.length;
    for (let i = 0; i < stop && to > from && token.endsWith(content, to); i++) to -= content.length;
    return token.slice(from, to);
  };
  return { list: (tokens) => tokens.map(strip), one: (token) => token };
}

function readReplace(spec: Json, where: string): Decoder {
  const pattern = readPattern(spec, 'pattern', `${where}.pattern`);
  const content = textField(spec, 'content', where, { max: MAX_RULE_TEXT });
  return eachToken((token) =>
    replaceAll(token, pattern, content, token.length * MAX_RULE_TEXT + MAX_RULE_TEXT),
  );
}
