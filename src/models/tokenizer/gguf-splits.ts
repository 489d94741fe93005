/**
 * GGUF's names for splitting rules (`tokenizer.ggml.pre`), each as the rule of the tokenizer.json
 * that it was converted from. "default", which very old files have, is taken for GPT-2's.
 */
import type { Json } from './fields.ts';
import { GPT2_PATTERN } from './pre-tokenizers.ts';

export interface SplitRule {
  readonly splits: readonly Json[];
  readonly normalizer?: 'NFC';
  readonly ignoreMerges?: boolean;
  readonly addBos?: boolean;
  readonly addEos?: boolean;
}

function isolate(pattern: string): Json {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

const ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
/** Words that take one symbol or space before them, `digits`, runs of symbols, spaces. */
function cl100k(digits: string): string {
  return `${ENDINGS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;
}

const UPPER = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const LOWER = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';
/** Words cut where small letters end and capitals begin, with `ending` at their end. */
function o200k(ending: string, digits: string): string {
  const lead = '[^\\r\\n\\p{L}\\p{N}]?';
  const word = `${lead}[${UPPER}]*[${LOWER}]+${ending}|${lead}[${UPPER}]+[${LOWER}]*${ending}`;
  return `${word}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
}

const GPT2: SplitRule = { splits: [isolate(GPT2_PATTERN)] };
const ROBERTA: SplitRule = { ...GPT2, addBos: true, addEos: true };
const DIGITS: SplitRule = {
  splits: [{ type: 'Digits', individual_digits: true }, isolate(GPT2_PATTERN)],
};
const LLAMA3: SplitRule = {
  splits: [isolate(cl100k('\\p{N}{1,3}'))],
  ignoreMerges: true,
  addBos: true,
};
const QWEN2: SplitRule = { splits: [isolate(cl100k('\\p{N}'))], normalizer: 'NFC' };
const QWEN35: SplitRule = {
  splits: [
    isolate(
      `${ENDINGS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    ),
  ],
  normalizer: 'NFC',
};
const GPT4O: SplitRule = { splits: [isolate(o200k(`${ENDINGS}?`, '\\p{N}{1,3}'))] };
const TEKKEN: SplitRule = {
  splits: [isolate(o200k('', '\\p{N}'))],
  ignoreMerges: true,
  addBos: true,
};
const CL100K: SplitRule = { splits: [isolate(cl100k('\\p{N}{1,3}'))] };
const DEEPSEEK3: SplitRule = {
  splits: [
    isolate('\\p{N}{1,3}'),
    isolate('[一-龥぀-ゟ゠-ヿ]+'),
    isolate(
      `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
    ),
  ],
};

export const SPLIT_RULES: ReadonlyMap<string, SplitRule> = new Map([
  ['default', GPT2],
  ['gpt-2', GPT2],
  ['phi-2', GPT2],
  ['olmo', GPT2],
  ['mpt', GPT2],
  ['jais', GPT2],
  ['modern-bert', GPT2],
  ['roberta-bpe', ROBERTA],
  ['smollm', DIGITS],
  ['starcoder', DIGITS],
  ['refact', DIGITS],
  ['command-r', DIGITS],
  ['codeshell', DIGITS],
  ['exaone', DIGITS],
  ['minerva-7b', DIGITS],
  ['llama3', LLAMA3],
  ['llama-v3', LLAMA3],
  ['llama-bpe', LLAMA3],
  ['falcon3', LLAMA3],
  ['lfm2', LLAMA3],
  ['dbrx', CL100K],
  ['smaug-bpe', CL100K],
  ['glm4', CL100K],
  ['chatglm-bpe', CL100K],
  ['qwen2', QWEN2],
  ['deepseek-r1-qwen', { splits: QWEN2.splits }],
  ['qwen35', QWEN35],
  ['stablelm2', { splits: QWEN2.splits }],
  ['gpt-4o', GPT4O],
  ['llama4', GPT4O],
  ['tekken', TEKKEN],
  ['deepseek-v3', DEEPSEEK3],
]);
