/** The part of a tokenizer that spells words with tokens, read from a file's `model` section. */
import { WeightsError } from '../../errors.ts';
import { bpeModel, mergesFromList } from './bpe.ts';
import {
  fail,
  flagField,
  integerField,
  integerOf,
  type Json,
  MAX_ID,
  MAX_TOKEN_LENGTH,
  objectOf,
  own,
  textField,
  unsupported,
} from './fields.ts';
import { wordLevelModel, wordPieceModel } from './wordpiece.ts';

export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  /** Stored form of each id; ids may have gaps. */
  readonly texts: readonly (string | undefined)[];
}

export interface TokenModel {
  readonly vocabulary: Vocabulary;
  encodeWord(word: string): readonly number[];
  /** Cuts a text where that changes no token; absent when no such place is known. */
  cut?: ((text: string) => string[]) | undefined;
}

/** @throws WeightsError when two tokens claim one id or an id is out of bounds */
export function vocabularyOf(entries: Iterable<readonly [string, number]>): Vocabulary {
  const ids = new Map<string, number>();
  const texts: (string | undefined)[] = [];
  for (const [token, id] of entries) {
    if (texts[id] !== undefined) {
      throw new WeightsError(`tokenizer: two tokens of the vocabulary have the id ${id}`);
    }
    texts[id] = token;
    ids.set(token, id);
  }
  return { ids, texts };
}

const KINDS = new Map([
  ['BPE', readBpe],
  ['WordPiece', readWordPiece],
  ['WordLevel', readWordLevel],
]);

/** @throws WeightsError when the section is malformed or of an unknown kind */
export function readModel(value: unknown, where: string): TokenModel {
  const spec = objectOf(value, where);
  const type = textField(spec, 'type', where, { fallback: kindOf(spec), max: 64 });
  const read = KINDS.get(type);
  return read ? read(spec, where) : unsupported(`${where}.type`, type, [...KINDS.keys()]);
}

/** Older files leave the type out. */
function kindOf(spec: Json): string {
  if (own(spec, 'merges') !== undefined) return 'BPE';
  return own(spec, 'max_input_chars_per_word') !== undefined ? 'WordPiece' : 'WordLevel';
}

function readVocabulary(spec: Json, where: string): Vocabulary {
  const vocab = objectOf(own(spec, 'vocab'), `${where}.vocab`);
  const tokens = Object.keys(vocab);
  if (tokens.length === 0) fail(`${where}.vocab`, 'at least one token', 'none');
  return vocabularyOf(
    tokens.map((token) => {
      const at = `${where}.vocab[${JSON.stringify(token.slice(0, 40))}]`;
      if (token.length > MAX_TOKEN_LENGTH)
        fail(at, `a token of at most ${MAX_TOKEN_LENGTH}`, token.length);
      return [token, integerOf(vocab[token], at, MAX_ID - 1)];
    }),
  );
}

function readBpe(spec: Json, where: string): TokenModel {
  const vocabulary = readVocabulary(spec, where);
  const prefix = textField(spec, 'continuing_subword_prefix', where, { fallback: '', max: 16 });
  return bpeModel(vocabulary, mergesFromList(vocabulary, readMerges(spec, where), prefix), {
    prefix,
    suffix: textField(spec, 'end_of_word_suffix', where, { fallback: '', max: 16 }),
    unknown: unknownId(spec, vocabulary, where),
    fuseUnknown: flagField(spec, 'fuse_unk', where, false),
    byteFallback: flagField(spec, 'byte_fallback', where, false),
    ignoreMerges: flagField(spec, 'ignore_merges', where, false),
  });
}

/** Merges are pairs, or "left right" in older files. */
function* readMerges(spec: Json, where: string): Generator<readonly [string, string]> {
  const merges = own(spec, 'merges') ?? [];
  if (!Array.isArray(merges)) fail(`${where}.merges`, 'a list', merges);
  if (merges.length >= MAX_ID) fail(`${where}.merges`, `below ${MAX_ID} merges`, merges.length);
  for (let i = 0; i < merges.length; i++) {
    const merge: unknown = merges[i];
    const parts: unknown = typeof merge === 'string' ? merge.split(' ', 3) : merge;
    if (!isPair(parts)) fail(`${where}.merges[${i}]`, 'two tokens', merge);
    yield parts;
  }
}

function isPair(value: unknown): value is [string, string] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  return typeof value[0] === 'string' && typeof value[1] === 'string';
}

function unknownId(spec: Json, { ids }: Vocabulary, where: string): number | undefined {
  if (own(spec, 'unk_token') === undefined) return undefined;
  const token = textField(spec, 'unk_token', where);
  return ids.get(token) ?? fail(`${where}.unk_token`, 'a token of the vocabulary', token);
}

function readWordPiece(spec: Json, where: string): TokenModel {
  const vocabulary = readVocabulary(spec, where);
  const unknown = unknownId(spec, vocabulary, where) ?? vocabulary.ids.get('[UNK]');
  if (unknown === undefined)
    return fail(`${where}.unk_token`, 'a token of the vocabulary', '[UNK]');
  return wordPieceModel(vocabulary, {
    unknown,
    prefix: textField(spec, 'continuing_subword_prefix', where, { fallback: '##', max: 16 }),
    maxWordLength: integerField(spec, 'max_input_chars_per_word', where, { fallback: 100 }),
  });
}

function readWordLevel(spec: Json, where: string): TokenModel {
  const vocabulary = readVocabulary(spec, where);
  return wordLevelModel(vocabulary, unknownId(spec, vocabulary, where));
}
