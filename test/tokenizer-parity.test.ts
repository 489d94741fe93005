/**
 * Token ids, frames and decoded texts equal to transformers' on 1,000 texts in many scripts, for
 * every kind of tokenizer; and GGUF's way to store the same tokenizers gives the same ids.
 * Fixtures: test/fixtures/make_tokenizers.py.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { resolveModel } from '../src/models/model-store.ts';
import { openWeights } from '../src/models/open-weights.ts';
import { tokenizerFromGguf } from '../src/models/tokenizer-gguf.ts';
import { loadTokenizerFolder } from '../src/models/tokenizer-json.ts';
import {
  asGguf,
  differences,
  expected,
  FOLDER,
  idLists,
  kinds,
  REAL_MODEL,
  texts,
  tokenizerFile,
} from './tokenizer-fixtures.ts';

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);

describe.each(kinds)('tokenizer.json: %s', (kind) => {
  const want = expected[kind]!;
  const loaded = loadTokenizerFolder(`${FOLDER}${kind}`);

  it('gives the ids of transformers on 1,000 texts', async () => {
    expect(idLists(want).length).toBe(1000);
    expect(differences(await loaded, kind)).toEqual([]);
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
});

/** SentencePiece scores of the tiny tokenizers: the earlier a token was merged, the better. */
function scores(kind: string): number[] {
  const { vocab } = tokenizerFile(kind).model;
  return Object.values(vocab).map((_, id) => -id);
}

const phantom = (token: string, isAdded: boolean) => {
  if (isAdded) return token;
  return token.startsWith('##') ? token.slice(2) : `▁${token}`;
};

const stored = {
  gpt2: asGguf('gpt2', { model: 'gpt2', pre: 'gpt-2', bos_token_id: 0, eos_token_id: 0 }),
  smollm2: asGguf('smollm2', { model: 'gpt2', pre: 'smollm', bos_token_id: 1, eos_token_id: 2 }),
  qwen2: asGguf('qwen2', { model: 'gpt2', pre: 'qwen2', add_bos_token: false }),
  o200k: asGguf('o200k', { model: 'gpt2', pre: 'gpt-4o' }),
  roberta: asGguf('roberta', {
    model: 'gpt2',
    pre: 'roberta-bpe',
    bos_token_id: 0,
    eos_token_id: 2,
    mask_token_id: 600,
  }),
  llama2: asGguf('llama2', {
    model: 'llama',
    scores: scores('llama2'),
    unknown_token_id: 0,
    bos_token_id: 1,
    eos_token_id: 2,
  }),
  gemma: asGguf('gemma', {
    model: 'llama',
    scores: [...scores('gemma'), 0, 0],
    add_space_prefix: false,
    unknown_token_id: 3,
    bos_token_id: 2,
    eos_token_id: 1,
  }),
  bert: asGguf(
    'bert',
    { model: 'bert', cls_token_id: 2, seperator_token_id: 3, unknown_token_id: 1 },
    phantom,
  ),
  'bert-cased': asGguf(
    'bert-cased',
    { model: 'bert', bos_token_id: 2, eos_token_id: 3, unknown_token_id: 1 },
    phantom,
  ),
};

describe.each(Object.entries(stored))('GGUF: %s', (kind, metadata) => {
  it('gives the ids of transformers on 1,000 texts', () => {
    expect(differences(tokenizerFromGguf(metadata), kind)).toEqual([]);
  });

  it('puts the same special tokens around a text', () => {
    const tokenizer = tokenizerFromGguf(metadata);
    const { before, after } = expected[kind]!;
    const ids = [...before, ...tokenizer.encode('the'), ...after];
    expect(tokenizer.encode('the', { addSpecialTokens: true })).toEqual(ids);
  });
});

const real = await resolveModel(REAL_MODEL, { offline: true }).catch(() => undefined);

describe.skipIf(real === undefined)(
  `${REAL_MODEL} (needs it in the store: npx whetstone models pull ${REAL_MODEL})`,
  () => {
    it('gives the ids of transformers on 1,000 texts', async () => {
      const { kind, path } = real!;
      if (kind === 'folder') {
        expect(differences(await loadTokenizerFolder(path), REAL_MODEL)).toEqual([]);
        return;
      }
      const file = await openWeights(path);
      try {
        expect(differences(tokenizerFromGguf(file.metadata), REAL_MODEL)).toEqual([]);
      } finally {
        await file.close();
      }
    });
  },
);
