/**
 * The tokenizer that a GGUF file carries in its metadata: `gpt2` (byte-level BPE, its splitting
 * rule given by name), `llama` (SentencePiece BPE by scores, with byte fallback; Gemma too) and
 * `bert` (WordPiece). The rules are those of the models' own tokenizer.json, so ids equal
 * transformers' where a GGUF file says enough; splitting rules that we do not know are refused.
 */
import { WeightsError } from '../errors.ts';
import { type AddedToken, MAX_ADDED_LENGTH } from './tokenizer/added-tokens.ts';
import { bpeModel, mergesFromList, mergesFromScores } from './tokenizer/bpe.ts';
import { readDecoder } from './tokenizer/decoders.ts';
import { fail, type Json, MAX_ID, MAX_TOKEN_LENGTH, unsupported } from './tokenizer/fields.ts';
import { SPLIT_RULES } from './tokenizer/gguf-splits.ts';
import { type TokenModel, vocabularyOf } from './tokenizer/model.ts';
import { readNormalizer } from './tokenizer/normalizers.ts';
import { createTokenizer } from './tokenizer/pipeline.ts';
import { readPreTokenizer } from './tokenizer/pre-tokenizers.ts';
import { wordPieceModel } from './tokenizer/wordpiece.ts';
import type { SpecialTokens, Tokenizer } from './tokenizer.ts';
import type { MetadataValue } from './weight-file.ts';

type Metadata = ReadonlyMap<string, MetadataValue>;

/** What the three kinds of vocabulary differ in. */
interface Kind {
  readonly model: TokenModel;
  readonly normalizer?: Json | undefined;
  readonly preTokenizer?: Json | undefined;
  readonly decoder: Json;
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** RoBERTa's `<mask>` stands for a word and the space before it. */
  readonly maskTakesSpace?: boolean;
}

interface Source {
  readonly metadata: Metadata;
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly special: SpecialTokens;
}

/** Kinds of token, as the format numbers them. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

const MAX_TEMPLATE = 2 ** 20;

const KINDS = new Map([
  ['gpt2', byteLevelKind],
  ['llama', sentencePieceKind],
  ['bert', wordPieceKind],
]);

/** @throws WeightsError when a key is missing, damaged or names a rule that we do not know */
export function tokenizerFromGguf(metadata: Metadata): Tokenizer {
  const name = text(metadata, 'tokenizer.ggml.model');
  const read = KINDS.get(name);
  if (!read) return unsupported('GGUF: tokenizer.ggml.model', name, [...KINDS.keys()]);
  const tokens = list(metadata, 'tokenizer.ggml.tokens', isText, 'texts');
  if (tokens.length === 0) fail('GGUF: tokenizer.ggml.tokens', 'at least one token', 'none');
  const types = perToken(metadata, 'tokenizer.ggml.token_type', tokens.length) ?? [];
  const source = { metadata, tokens, types, special: specialTokens(metadata, tokens.length) };
  const kind = read(source);
  const { special } = source;
  const chatTemplate = optionalText(metadata, 'tokenizer.chat_template', MAX_TEMPLATE);
  return createTokenizer({
    model: kind.model,
    added: addedTokens(source, kind),
    normalizer: readNormalizer(kind.normalizer, 'GGUF: normalizer'),
    preTokenizer: readPreTokenizer(kind.preTokenizer, 'GGUF: tokenizer.ggml.pre'),
    decoder: readDecoder(kind.decoder, 'GGUF: decoder'),
    special,
    frame: {
      before: frameSide(metadata, 'tokenizer.ggml.add_bos_token', kind.addBos, special.bos),
      after: frameSide(metadata, 'tokenizer.ggml.add_eos_token', kind.addEos, special.eos),
    },
    chatTemplate,
  });
}

const BYTE_LEVEL: Json = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };

function byteLevelKind({ metadata, tokens }: Source): Kind {
  const name = optionalText(metadata, 'tokenizer.ggml.pre', 64) ?? 'default';
  const rule = SPLIT_RULES.get(name);
  if (!rule) return unsupported('GGUF: tokenizer.ggml.pre', name, [...SPLIT_RULES.keys()]);
  const vocabulary = vocabularyOf(tokens.map((token, id) => [token, id]));
  const merges = list(metadata, 'tokenizer.ggml.merges', isText, 'texts');
  const pairs = merges.map((merge) => {
    const space = merge.indexOf(' ', 1);
    return [merge.slice(0, space), merge.slice(space + 1)] as const;
  });
  return {
    model: bpeModel(vocabulary, mergesFromList(vocabulary, pairs), {
      ...PLAIN_BPE,
      ignoreMerges: rule.ignoreMerges ?? false,
    }),
    normalizer: rule.normalizer && { type: rule.normalizer },
    preTokenizer: { type: 'Sequence', pretokenizers: [...rule.splits, BYTE_LEVEL] },
    decoder: BYTE_LEVEL,
    addBos: rule.addBos ?? false,
    addEos: rule.addEos ?? false,
    maskTakesSpace: true,
  };
}

const PLAIN_BPE = {
  unknown: undefined,
  fuseUnknown: false,
  byteFallback: false,
  ignoreMerges: false,
  prefix: '',
  suffix: '',
};

function sentencePieceKind({ metadata, tokens, types, special }: Source): Kind {
  const vocabulary = vocabularyOf(tokens.map((token, id) => [token, id]));
  const scores = perToken(metadata, 'tokenizer.ggml.scores', tokens.length);
  if (!scores) return fail('GGUF: tokenizer.ggml.scores', 'one score a token', undefined);
  const isMergeable = (id: number) => ![UNKNOWN, CONTROL, BYTE].includes(types[id] ?? NORMAL);
  const prefixed = flag(metadata, 'tokenizer.ggml.add_space_prefix') ?? true;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const restore = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  return {
    model: bpeModel(vocabulary, mergesFromScores(vocabulary, scores, isMergeable), {
      ...PLAIN_BPE,
      unknown: special.unknown ?? 0,
      fuseUnknown: true,
      byteFallback: true,
    }),
    normalizer: {
      type: 'Sequence',
      normalizers: [...(prefixed ? [{ type: 'Prepend', prepend: '▁' }] : []), replace],
    },
    decoder: {
      type: 'Sequence',
      decoders: [restore, { type: 'ByteFallback' }, { type: 'Fuse' }, ...(prefixed ? [strip] : [])],
    },
    addBos: true,
    addEos: false,
  };
}

/** GGUF marks the words' beginnings with "▁" where BERT marks the continuations with "##". */
function wordPieceKind({ tokens, types, special }: Source): Kind {
  const stored = tokens.map((token, id) => {
    if (token.startsWith('▁')) return token.slice(1);
    return types[id] === CONTROL || /^\[.*\]$/s.test(token) ? token : `##${token}`;
  });
  const vocabulary = vocabularyOf(stored.map((token, id) => [token, id]));
  // The file does not say whether text is lower-cased; a vocabulary without capitals does.
  const lowercase = !stored.some((token) => !/^\[.*\]$/s.test(token) && /\p{Lu}/u.test(token));
  const unknown = special.unknown ?? vocabulary.ids.get('[UNK]');
  if (unknown === undefined) return fail('GGUF: tokenizer.ggml.unknown_token_id', 'an id', unknown);
  return {
    model: wordPieceModel(vocabulary, { unknown, prefix: '##', maxWordLength: 100 }),
    normalizer: { type: 'BertNormalizer', lowercase },
    preTokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece' },
    addBos: true,
    addEos: true,
  };
}

function addedTokens({ tokens, types, special }: Source, kind: Kind): AddedToken[] {
  const named = new Set(Object.values(special));
  const flags = { normalized: false, singleWord: false, lstrip: false, rstrip: false };
  return tokens.flatMap((content, id) => {
    const isControl = types[id] === CONTROL || types[id] === UNKNOWN || named.has(id);
    if (!isControl && types[id] !== USER_DEFINED) return [];
    if (content === '' || content.length > MAX_ADDED_LENGTH) return [];
    const lstrip = kind.maskTakesSpace === true && id === special.mask;
    return [{ id, content, special: isControl, ...flags, lstrip }];
  });
}

/** Masked models have [CLS] and [SEP] in place of begin and end; the format spells one key wrong. */
function specialTokens(metadata: Metadata, count: number): SpecialTokens {
  const id = (name: string) => tokenId(metadata, `tokenizer.ggml.${name}_token_id`, count);
  const ids: Record<keyof SpecialTokens, number | undefined> = {
    bos: id('cls') ?? id('bos'),
    eos: id('eos') ?? id('seperator') ?? id('separator'),
    pad: id('padding'),
    unknown: id('unknown'),
    mask: id('mask'),
  };
  return Object.fromEntries(Object.entries(ids).filter(([, value]) => value !== undefined));
}

function frameSide(metadata: Metadata, key: string, fallback: boolean, id: number | undefined) {
  return (flag(metadata, key) ?? fallback) && id !== undefined ? [id] : [];
}

function tokenId(metadata: Metadata, key: string, count: number): number | undefined {
  const value = metadata.get(key);
  if (value === undefined) return undefined;
  const id = typeof value === 'bigint' ? Number(value) : value;
  // Files write "none" as the largest 32-bit number.
  if (id === 0xffff_ffff || id === -1) return undefined;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= count) {
    fail(`GGUF: ${key}`, `an id below ${count}`, value);
  }
  return id;
}

function flag(metadata: Metadata, key: string): boolean | undefined {
  const value = metadata.get(key);
  if (value !== undefined && typeof value !== 'boolean') fail(`GGUF: ${key}`, 'a boolean', value);
  return value;
}

function optionalText(metadata: Metadata, key: string, max: number): string | undefined {
  return metadata.has(key) ? text(metadata, key, max) : undefined;
}

function text(metadata: Metadata, key: string, max = 64): string {
  const value = metadata.get(key);
  if (typeof value !== 'string') fail(`GGUF: ${key}`, 'a text', value);
  if (value.length > max) fail(`GGUF: ${key}`, `at most ${max} characters`, value.length);
  return value;
}

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= MAX_TOKEN_LENGTH;
const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

function list<T>(
  metadata: Metadata,
  key: string,
  is: (value: unknown) => value is T,
  what: string,
): readonly T[] {
  const value = metadata.get(key) ?? [];
  if (!Array.isArray(value)) return fail(`GGUF: ${key}`, `a list of ${what}`, value);
  if (value.length >= MAX_ID) fail(`GGUF: ${key}`, `below ${MAX_ID} elements`, value.length);
  const wrong = value.findIndex((item) => !is(item));
  if (wrong >= 0) fail(`GGUF: ${key}[${wrong}]`, `one of the ${what}`, value[wrong]);
  return value;
}

function perToken(metadata: Metadata, key: string, count: number): readonly number[] | undefined {
  if (!metadata.has(key)) return undefined;
  const values = list(metadata, key, isNumber, 'numbers');
  if (values.length !== count) {
    throw new WeightsError(`GGUF: ${key} has ${values.length} elements for ${count} tokens`);
  }
  return values;
}
