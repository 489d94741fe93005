/**
 * 10,000 mutants of the tiny models' configurations: each is a configuration whose sizes are bounded,
 * or is refused with a WeightsError; and files that do not fit their configuration are refused too.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { WeightsError } from '../src/errors.ts';
import { architectures } from '../src/models/architectures/index.ts';
import { configFromGguf, configFromJson } from '../src/models/config-reader.ts';
import { openGguf } from '../src/models/gguf.ts';
import { LanguageModel } from '../src/models/language-model.ts';
import type { MetadataValue } from '../src/models/weight-file.ts';
import { Engine } from '../src/tensor/index.ts';
import { createRng, type Rng } from '../src/util/rng.ts';
import { fixtures } from './tiny-models.ts';

const MUTANTS = 10_000;
const names = [
  'llama3-rope',
  'llama-linear-rope',
  'qwen2-window',
  'qwen3',
  'gemma3',
  'gpt2',
  'bert',
];
const configs = await Promise.all(
  names.map(async (name) => {
    const text = await readFile(join(fixtures, 'models', name, 'config.json'), 'utf8');
    return JSON.parse(text) as Json;
  }),
);

type Json = Record<string, unknown>;

const values: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1,
  3,
  7,
  255,
  2 ** 31,
  2 ** 53,
  1e308,
  -1e-308,
  '',
  'a',
  '64',
  'constructor',
  '__proto__',
  'default',
  'linear',
  'llama3',
  'yarn',
  'silu',
  [],
  ['sliding_attention'],
  [[[[]]]],
  {},
  { factor: 0 },
  { rope_type: 'llama3', factor: 2 },
];
/** Only JSON nests so deep: GGUF's reader has a bound. */
const deep: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);

describe('configurations', () => {
  it(`config.json: ${MUTANTS} mutants`, () => {
    const rng = createRng('config.json');
    let refused = 0;
    for (let i = 0; i < MUTANTS; i++) {
      const json = structuredClone(configs[i % configs.length]!);
      mutate(json, rng, [...values, deep]);
      refused += Number(!isBounded(() => configFromJson(json, 'config.json')));
    }
    expect(refused).toBeGreaterThan(MUTANTS / 10);
    expect(refused).toBeLessThan(MUTANTS);
  });

  it(`GGUF metadata: ${MUTANTS} mutants`, async () => {
    const rng = createRng('metadata');
    const files = await Promise.all(
      ['llama3-rope', 'gemma3', 'gpt2'].map((name) =>
        openGguf(join(fixtures, 'gguf', `${name}.gguf`)),
      ),
    );
    let refused = 0;
    for (let i = 0; i < MUTANTS; i++) {
      const file = files[i % files.length]!;
      const metadata = new Map(file.metadata);
      const keys = [...metadata.keys()];
      const value = pick(rng, [...values, 2n ** 62n]) as MetadataValue;
      metadata.set(pick(rng, keys), value);
      refused += Number(
        !isBounded(() => configFromGguf(metadata, 'x.gguf', () => rng.next() < 0.5)),
      );
    }
    for (const file of files) await file.close();
    expect(refused).toBeGreaterThan(MUTANTS / 10);
    expect(refused).toBeLessThan(MUTANTS);
  });
});

describe('weights under another configuration', async () => {
  const engine = new Engine({ threads: 1 });
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-config-'));
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(['llama3-rope', 'gemma3', 'gpt2', 'bert'])('of %s load or are refused', async (name) => {
    const rng = createRng(name);
    const path = join(folder, name);
    await cp(join(fixtures, 'models', name), path, { recursive: true });
    const original = await readFile(join(path, 'config.json'), 'utf8');
    for (let i = 0; i < 100; i++) {
      const json = JSON.parse(original) as Json;
      mutate(json, rng, values);
      await writeFile(join(path, 'config.json'), JSON.stringify(json));
      await opened(path, folder, engine);
    }
  });

  it.each(['', 'null', '[]', '7', '{"a":', '['.repeat(1000)])('refuse %j', async (text) => {
    const path = join(folder, 'broken');
    await cp(join(fixtures, 'models', 'llama-bfloat16'), path, { recursive: true });
    await writeFile(join(path, 'config.json'), text);
    const options = { engine, cacheFolder: folder };
    await expect(LanguageModel.open(path, options)).rejects.toThrow(/config\.json: expected/);
  });
});

async function opened(path: string, folder: string, engine: Engine): Promise<void> {
  try {
    const model = await LanguageModel.open(path, { engine, cacheFolder: join(folder, 'cache') });
    try {
      await model.weights();
    } finally {
      await model.close();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(WeightsError);
  }
}

/** One to three fields, also inner ones, replaced or deleted. */
function mutate(json: Json, rng: Rng, replacements: readonly unknown[]): void {
  for (let n = 1 + Math.floor(rng.next() * 3); n > 0; n--) {
    const inner = Object.values(json).filter(isObject);
    const target = inner.length > 0 && rng.next() < 0.3 ? pick(rng, inner) : json;
    const key = pick(rng, [...Object.keys(target), 'head_dim', 'rope_scaling', 'text_config']);
    const value = pick(rng, replacements);
    if (rng.next() < 0.1) delete target[key];
    else target[key] = isObject(value) ? { ...value } : value;
  }
}

/** True for a sound configuration, false for one that is refused. */
function isBounded(read: () => ReturnType<typeof configFromJson>): boolean {
  try {
    const config = read();
    for (const value of Object.values(config)) {
      if (typeof value === 'number' && !Number.isFinite(value)) expect.fail(JSON.stringify(config));
    }
    const { weights } = architectures[config.architecture as keyof typeof architectures];
    for (const { shape } of weights(config, () => true)) {
      if (!shape.every((dim) => Number.isInteger(dim) && dim > 0)) expect.fail(String(shape));
    }
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(WeightsError);
    return false;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pick<T>(rng: Rng, from: readonly T[]): T {
  return from[Math.floor(rng.next() * from.length)]!;
}
