import { describe, expect, it } from 'vitest';
import { tokenizerFromGguf } from './tokenizer-gguf.ts';
import type { MetadataValue } from './weight-file.ts';

/** A SentencePiece vocabulary: three special tokens, all bytes, a few words. */
function sentencePiece(changes: Record<string, MetadataValue> = {}): Map<string, MetadataValue> {
  const bytes = Array.from(
    { length: 256 },
    (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const words = ['▁', 'a', 'b', '▁a', 'ab', '▁ab'];
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...words];
  return new Map<string, MetadataValue>(
    Object.entries({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': tokens.map((_, id) => -id),
      'tokenizer.ggml.token_type': [2, 3, 3, ...bytes.map(() => 6), ...words.map(() => 1)],
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2n,
      'tokenizer.ggml.unknown_token_id': 0,
      'tokenizer.ggml.padding_token_id': 0xffff_ffff,
      ...changes,
    }),
  );
}

const problem = (changes: Record<string, MetadataValue>) => () =>
  tokenizerFromGguf(sentencePiece(changes));

describe('a SentencePiece tokenizer in GGUF', () => {
  const tokenizer = tokenizerFromGguf(sentencePiece());

  it('merges by score, spells the rest in bytes, begins with <s>', () => {
    expect(tokenizer.encode('ab é', { addSpecialTokens: true })).toEqual([1, 264, 259, 198, 172]);
    expect(tokenizer.decode([1, 264, 259, 198, 172])).toBe('ab é');
  });

  it('takes the largest number for no token', () => {
    expect(tokenizer.special).toEqual({ bos: 1, eos: 2, unknown: 0 });
  });

  it('shows single tokens with their space, bytes as characters', () => {
    expect(tokenizer.tokenText(264)).toBe(' ab');
    expect(tokenizer.tokenText(3 + 0x41)).toBe('A');
    expect(tokenizer.tokenText(198)).toBe('\ufffd');
  });

  it('does not put a space before the text when the file says so', () => {
    const plain = tokenizerFromGguf(sentencePiece({ 'tokenizer.ggml.add_space_prefix': false }));
    expect(plain.encode('ab')).toEqual([263]);
    expect(plain.decode(plain.encode(' ab'))).toBe(' ab');
  });
});

describe('damaged GGUF metadata', () => {
  it('is refused with the key and what was expected', () => {
    expect(() => tokenizerFromGguf(new Map())).toThrow(
      'GGUF: tokenizer.ggml.model: expected a text',
    );
    expect(problem({ 'tokenizer.ggml.model': 't5' })).toThrow('"t5" is not supported');
    expect(problem({ 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.pre': 'odd' })).toThrow(
      'GGUF: tokenizer.ggml.pre: "odd" is not supported',
    );
    expect(problem({ 'tokenizer.ggml.tokens': [] })).toThrow('at least one token');
    expect(problem({ 'tokenizer.ggml.tokens': ['a', 7] })).toThrow('tokens[1]');
    expect(problem({ 'tokenizer.ggml.scores': [1] })).toThrow('has 1 elements for 265 tokens');
    expect(problem({ 'tokenizer.ggml.bos_token_id': 265 })).toThrow('expected an id below 265');
    expect(problem({ 'tokenizer.ggml.add_bos_token': 'yes' })).toThrow('expected a boolean');
  });
});
