import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { WeightsError } from '../errors.ts';
import { configFromJson } from './config-reader.ts';

type Json = Record<string, unknown>;

const json = (name: string): Json => {
  const url = new URL(`../../test/fixtures/models/${name}/config.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Json;
};
const read = (config: Json) => configFromJson(config, 'config.json');

test('Llama 3 rope scaling reads alike in the form before transformers 5', () => {
  const { rope_parameters, ...rest } = json('llama3-rope');
  const { rope_theta, ...scaling } = rope_parameters as Json;
  const old = read({ ...rest, rope_theta, rope_scaling: scaling });
  expect(old).toEqual(read(json('llama3-rope')));
  expect(old.llama3Rope?.factor).toBe(8);
});

test('Gemma 3 reads alike in the form before transformers 5', () => {
  const { rope_parameters, layer_types, ...rest } = json('gemma3');
  const old = read({
    ...rest,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    rope_scaling: { rope_type: 'linear', factor: 2 },
    sliding_window_pattern: 6,
  });
  expect(old).toEqual(read(json('gemma3')));
  expect(old.windowed).toEqual([true, true, true, true, true, false]);
});

test('the text part of a model with images is read', () => {
  const nested = { model_type: 'gemma3', text_config: json('gemma3') };
  expect(read(nested)).toEqual(read(json('gemma3')));
});

test('Qwen 2 has its window from a layer on, and only when it is switched on', () => {
  const { layer_types, ...old } = json('qwen2-window');
  expect(read(old).windowed).toEqual([false, true]);
  expect(read({ ...old, use_sliding_window: false }).window).toBeUndefined();
});

test('Mistral has its window in every layer', () => {
  const mistral = { ...json('llama'), model_type: 'mistral', sliding_window: 8 };
  expect(read(mistral)).toMatchObject({ window: 8, windowed: [true, true] });
});

test('RoBERTa counts positions from behind its padding token', () => {
  expect(read(json('roberta'))).toMatchObject({ positionOffset: 2, contextLength: 62 });
});

const refused: [string, Json, string][] = [
  ['a model type that is not known', { model_type: 'mamba' }, 'model type "mamba"'],
  ['no model type', { model_type: undefined }, 'model type nothing'],
  ['a missing size', { hidden_size: undefined }, '"hidden_size" must be a positive number'],
  ['a size in words', { hidden_size: '32' }, '"hidden_size" must be a positive number, got "32"'],
  ['a size that no model has', { vocab_size: 2 ** 40 }, 'vocabulary is 1099511627776'],
  ['heads that do not fit', { num_key_value_heads: 3 }, '4 heads over 3'],
  ['heads of an odd width', { head_dim: 7 }, 'of width 7 do not fit'],
  ['an unknown activation', { hidden_act: 'mish' }, 'activation "mish"'],
  ['an unknown rope scaling', { rope_parameters: { rope_type: 'yarn' } }, 'rope scaling "yarn"'],
  ['a scaling without its factor', { rope_parameters: { rope_type: 'linear' } }, '"factor"'],
  ['partial rotation', { partial_rotary_factor: 0.5 }, '"partial_rotary_factor": 0.5'],
  ['soft-capped logits', { final_logit_softcapping: 30 }, '"final_logit_softcapping": 30'],
];

test.each(refused)('refuses %s', (_, change, message) => {
  const config = { ...json('llama'), ...change };
  expect(() => read(config)).toThrow(WeightsError);
  expect(() => read(config)).toThrow(message);
});

test('refuses a masked model or GPT-2 with a head of its own', () => {
  for (const name of ['gpt2', 'bert', 'roberta']) {
    expect(() => read({ ...json(name), tie_word_embeddings: false })).toThrow('head of its own');
  }
});
