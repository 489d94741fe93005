/** What test/fixtures/make_tokenizers.py wrote: texts, tiny tokenizers, and transformers' ids. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { Tokenizer } from '../src/models/tokenizer.ts';
import type { MetadataValue } from '../src/models/weight-file.ts';

export const FOLDER = fileURLToPath(new URL('./fixtures/tokenizers/', import.meta.url));
/** The kind whose tokenizer is not committed. */
export const REAL_MODEL = 'smollm2-135m-instruct';

export interface Expected {
  readonly ids: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly decoded: readonly string[];
}

export const texts: string[] = JSON.parse(readFileSync(`${FOLDER}texts.json`, 'utf8'));
export const expected: Record<string, Expected> = JSON.parse(
  gunzipSync(readFileSync(`${FOLDER}expected.json.gz`)).toString('utf8'),
);
export const kinds = Object.keys(expected).filter((kind) => kind !== REAL_MODEL);

export interface TokenizerFile {
  added_tokens: { id: number; content: string; special: boolean }[];
  model: { vocab: Record<string, number>; merges?: (string | [string, string])[] };
  [section: string]: unknown;
}

export function tokenizerFile(kind: string): TokenizerFile {
  return JSON.parse(readFileSync(`${FOLDER}${kind}/tokenizer.json`, 'utf8'));
}

/** The lists in `ids`: each its length, then its ids, as varints in base64. */
export function idLists({ ids }: Expected): number[][] {
  const bytes = Buffer.from(ids, 'base64');
  let at = 0;
  const next = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const lists: number[][] = [];
  while (at < bytes.length) lists.push(Array.from({ length: next() }, next));
  return lists;
}

/** The texts whose ids differ from transformers', with both. */
export function differences(tokenizer: Tokenizer, kind: string) {
  return idLists(expected[kind]!).flatMap((want, i) => {
    const got = tokenizer.encode(texts[i]!);
    return got.join() === want.join() ? [] : [{ text: texts[i], got, want }];
  });
}

/** The same tokenizer as a converter to GGUF stores it. */
export function asGguf(
  kind: string,
  settings: Record<string, MetadataValue>,
  form: (token: string, isAdded: boolean) => string = (token) => token,
): Map<string, MetadataValue> {
  const file = tokenizerFile(kind);
  const added = new Map(file.added_tokens.map((token) => [token.id, token]));
  const entries = [
    ...Object.entries(file.model.vocab),
    ...file.added_tokens.map(({ content, id }) => [content, id] as const),
  ];
  const tokens: string[] = [];
  for (const [token, id] of entries) tokens[id] = form(token, added.has(id));
  const types = tokens.map((token, id) => {
    if (added.has(id)) return added.get(id)!.special ? 3 : 4;
    return /^<0x[0-9A-F]{2}>$/.test(token) ? 6 : 1;
  });
  const merges = file.model.merges?.map((merge) =>
    typeof merge === 'string' ? merge : merge.join(' '),
  );
  return new Map<string, MetadataValue>([
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', types],
    ...(merges ? [['tokenizer.ggml.merges', merges] as const] : []),
    ...Object.entries(settings).map(
      ([key, value]) => [key.includes('.') ? key : `tokenizer.ggml.${key}`, value] as const,
    ),
  ]);
}
