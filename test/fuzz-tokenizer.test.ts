/**
 * 10,000 mutants of tokenizer files: each loads and works, or is refused with a WeightsError.
 * Values are replaced by others of any type, deleted, doubled and nested; bytes are flipped. And
 * texts that are made to hang a tokenizer.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WeightsError } from '../src/errors.ts';
import type { Tokenizer } from '../src/models/tokenizer.ts';
import { tokenizerFromGguf } from '../src/models/tokenizer-gguf.ts';
import { loadTokenizerFolder, loadTokenizerJson } from '../src/models/tokenizer-json.ts';
import type { MetadataValue } from '../src/models/weight-file.ts';
import { createRng, type Rng } from '../src/util/rng.ts';
import { asGguf, FOLDER, kinds, texts } from './tokenizer-fixtures.ts';

const SAMPLES = [
  ...texts.filter((_, i) => i % 40 === 0),
  'a'.repeat(1500),
  ' '.repeat(1500),
  'the movie '.repeat(100),
];

/** What is put in a value's place. */
const VALUES: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => true,
  () => false,
  () => 0,
  () => -1,
  () => 1.5,
  () => 7,
  () => 2 ** 22 - 1,
  () => 2 ** 31,
  () => 2 ** 53,
  () => Number.MAX_VALUE,
  () => '',
  () => 'a',
  () => ' ',
  () => '__proto__',
  () => 'x'.repeat(100_000),
  () => [],
  () => {},
  () => JSON.parse('{"__proto__": {"a": 1}, "constructor": 3}'),
  () => [[[[[[]]]]]],
  () => Array(1000).fill('a b'),
  () => '(a+)+$',
  () => '(?:\\p{L}*)*\\d',
  () => '.*.*.*=',
  () => 'Sequence',
  () => 'WordPiece',
  () => 'WordLevel',
  () => 'ByteLevel',
  () => 'Metaspace',
  () => 'Replace',
  () => 'MergedWithNext',
];

type Container = Record<string, unknown> | unknown[];

/** Every value inside, with where it hangs; of long lists and vocabularies only a few. */
function places(value: unknown, out: [Container, string | number][] = []) {
  if (value === null || typeof value !== 'object') return out;
  const keys = Array.isArray(value) ? value.map((_, i) => i) : Object.keys(value);
  const step = Math.max(1, Math.floor(keys.length / 20));
  for (let i = 0; i < keys.length; i += step) {
    out.push([value as Container, keys[i]!]);
    places((value as Record<string | number, unknown>)[keys[i]!], out);
  }
  return out;
}

function mutate(root: unknown, rng: Rng): void {
  for (let n = rng.next() < 0.3 ? 3 : 1; n > 0; n--) {
    const all = places(root);
    if (all.length === 0) return;
    const [container, key] = all[rng.integer(all.length)]!;
    const at = container as Record<string | number, unknown>;
    const kind = rng.integer(4);
    if (kind === 0) delete at[key];
    else if (kind === 1) at[key] = VALUES[rng.integer(VALUES.length)]!();
    else if (kind === 2) at[key] = structuredClone(pick(all, rng));
    else at[key] = { type: 'Sequence', normalizers: [at[key]], pretokenizers: [at[key]] };
  }
}

function pick(all: [Container, string | number][], rng: Rng): unknown {
  const [container, key] = all[rng.integer(all.length)]!;
  return (container as Record<string | number, unknown>)[key];
}

/** Uses a tokenizer that loaded. */
function exercise(tokenizer: Tokenizer): void {
  for (const text of SAMPLES) {
    const ids = tokenizer.encode(text, { addSpecialTokens: true });
    tokenizer.decode(ids);
    if (ids.some((id) => !Number.isInteger(id) || id < 0 || id >= tokenizer.size)) {
      throw new Error(`an id out of bounds for ${JSON.stringify(text)}`);
    }
  }
  for (let id = 0; id < tokenizer.size; id += 1 + (tokenizer.size >> 5)) tokenizer.tokenText(id);
}

/** 1 if the mutant was refused; anything but a WeightsError is a failure. */
function refused(run: () => Tokenizer, name: string): number {
  try {
    exercise(run());
    return 0;
  } catch (error) {
    if (error instanceof WeightsError && error.message.length < 1000) return 1;
    throw new Error(`${name}: ${error}`, { cause: error });
  }
}

const read = (kind: string, name: string) => readFileSync(`${FOLDER}${kind}/${name}`, 'utf8');

/** A file with a small vocabulary, so that a mutant takes little time. */
function base(kind: string): [Record<string, unknown>, unknown] {
  const spec = JSON.parse(read(kind, 'tokenizer.json'));
  if (Array.isArray(spec.model.merges)) spec.model.merges.length = 30;
  return [spec, JSON.parse(read(kind, 'tokenizer_config.json'))];
}

describe('mutants of tokenizer.json', () => {
  it.each(kinds)('%s: refused or working', (kind) => {
    const rng = createRng(`fuzz ${kind}`);
    const [spec, config] = base(kind);
    const text = JSON.stringify(spec);
    let count = 0;
    for (let i = 0; i < 850; i++) {
      const both = { spec: JSON.parse(text), config: structuredClone(config) };
      // The vocabulary is most of the file: half of the mutants are made elsewhere.
      const { model, ...rest } = both.spec;
      mutate(rng.next() < 0.5 ? both : { rest, config: both.config, model: [model] }, rng);
      const mutant = rng.next() < 0.5 ? both.spec : { ...rest, model };
      count += refused(() => loadTokenizerJson(mutant, both.config), `${kind} ${i}`);
    }
    expect(count).toBeGreaterThan(50);
    expect(count).toBeLessThan(850);
  });

  it('with flipped bytes: refused or working', () => {
    const rng = createRng('fuzz bytes');
    const bytes = Buffer.from(JSON.stringify(base('smollm2')[0]));
    let count = 0;
    for (let i = 0; i < 1000; i++) {
      const mutant = Buffer.from(bytes);
      for (let n = 1 + rng.integer(4); n > 0; n--)
        mutant[rng.integer(mutant.length)] = rng.integer(256);
      let spec: unknown;
      try {
        spec = JSON.parse(mutant.toString('utf8'));
      } catch {
        continue; // No JSON: loadTokenizerFolder refuses it before anything else.
      }
      count += refused(() => loadTokenizerJson(spec), `bytes ${i}`);
    }
    expect(count).toBeGreaterThan(20);
  });
});

describe('mutants of GGUF metadata', () => {
  const bases = [
    asGguf('smollm2', { model: 'gpt2', pre: 'smollm', bos_token_id: 1, add_bos_token: true }),
    asGguf('llama2', { model: 'llama', scores: Array.from({ length: 800 }, (_, i) => -i) }),
    asGguf('bert', { model: 'bert', cls_token_id: 2, unknown_token_id: 1 }),
  ];

  it.each(bases)('refused or working', (metadata) => {
    const rng = createRng('fuzz gguf');
    const text = JSON.stringify(Object.fromEntries(metadata));
    let count = 0;
    for (let i = 0; i < 300; i++) {
      const root: Record<string, MetadataValue> = JSON.parse(text);
      mutate(root, rng);
      const mutant = new Map(Object.entries(root).filter(([, value]) => value !== undefined));
      count += refused(() => tokenizerFromGguf(mutant), `gguf ${i}`);
    }
    expect(count).toBeGreaterThan(50);
  });
});

describe.each(['smollm2', 'llama3', 'gemma', 'bert'])('long texts for %s', (kind) => {
  it.each([
    ['one letter', 'a'],
    ['spaces', ' '],
    ['a letter and spaces', 'a   '],
    ['line ends', '\n'],
    ['marks', '\u0301'],
    ['emoji', '👩🏽‍🚀'],
    ['apostrophes', "'"],
    ['beginnings of special tokens', '<|im_<s<0x[MAS'],
  ])('made of %s come to an end', async (_, unit) => {
    const tokenizer = await loadTokenizerFolder(`${FOLDER}${kind}`);
    const text = unit.repeat(2 ** 19 / unit.length);
    const back = tokenizer.decode(tokenizer.encode(text));
    // WordPiece forgets white space and gives up on long words; the others forget nothing.
    expect(kind === 'bert' || back === text).toBe(true);
  });
});
