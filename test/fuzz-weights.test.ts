/**
 * Ten thousand damaged GGUF and safetensors files each, the same ones every time: a reader answers
 * with what it read or with a WeightsError, never with another error, and within bounded memory.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { WeightsError } from '../src/errors.ts';
import { openWeights } from '../src/models/open-weights.ts';
import type { WeightFile } from '../src/models/weight-file.ts';
import { createRng, type Rng } from '../src/util/rng.ts';
import { ggufBytes, ggufKey, text, u32, u64 } from './support/gguf-bytes.ts';

const MUTANTS = 10_000;
/** About ten seconds on an idle machine. */
const TIMEOUT_MS = 240_000;
const MEGABYTE = 2 ** 20;
const fixtures = fileURLToPath(new URL('fixtures/weights/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'whetstone-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file to damage, and how many of its bytes are header. */
interface Seed {
  readonly bytes: Buffer;
  readonly header: number;
}

test(`GGUF: ${MUTANTS} mutants`, { timeout: TIMEOUT_MS }, async () => {
  const types = readFileSync(join(fixtures, 'types.gguf'));
  const metadata = readFileSync(join(fixtures, 'metadata.gguf'));
  const small = ggufBytes({
    keys: [
      ggufKey('general.alignment', 4, u32(32)),
      ggufKey('words', 9, u32(8), u64(2), text('a'), text('bc')),
      ggufKey('nested', 9, u32(9), u64(1), u32(0), u64(2), Buffer.from([1, 2])),
    ],
    tensors: [
      { name: 'a', dims: [4, 2], offset: 0 },
      { name: 'b', dims: [32], type: 2, offset: 32 },
    ],
    data: new Uint8Array(64),
  });
  const seeds = [
    { bytes: small, header: small.length - 64 },
    { bytes: metadata, header: metadata.length },
    { bytes: types, header: 700 },
  ];
  await fuzz('model.gguf', seeds, mutateBinary);
});

test(`safetensors: ${MUTANTS} mutants`, { timeout: TIMEOUT_MS }, async () => {
  const plain = readFileSync(join(fixtures, 'plain.safetensors'));
  const shard = readFileSync(join(fixtures, 'sharded', 'model-00001-of-00002.safetensors'));
  const seeds = [plain, shard].map((bytes) => {
    return { bytes, header: 8 + Number(bytes.readBigUInt64LE()) };
  });
  await fuzz('model.safetensors', seeds, (seed, rng) => {
    return rng.next() < 0.5 ? mutateBinary(seed, rng) : mutateJson(seed, rng);
  });
});

test('shard index: 2000 mutants', async () => {
  const shard = 'model-00001-of-00002.safetensors';
  writeFileSync(join(folder, shard), readFileSync(join(fixtures, 'sharded', shard)));
  const bytes = Buffer.from(JSON.stringify({ metadata: {}, weight_map: { a: shard, b: shard } }));
  const seeds = [{ bytes, header: bytes.length }];
  await fuzz('model.safetensors.index.json', seeds, mutateBinary, 2000);
});

/** Opens each mutant; what opens is read. */
async function fuzz(
  name: string,
  seeds: readonly Seed[],
  mutate: (seed: Seed, rng: Rng) => Buffer,
  mutants = MUTANTS,
): Promise<void> {
  const path = join(folder, name);
  const rng = createRng(name);
  const count = { opened: 0, refused: 0 };
  const before = process.memoryUsage.rss();
  for (let i = 0; i < mutants; i++) {
    const bytes = mutate(seeds[i % seeds.length]!, rng);
    writeFileSync(path, bytes);
    const outcome = await openWeights(path).catch((error: unknown) => error);
    try {
      if (outcome instanceof WeightsError) {
        expect(outcome.message.length, outcome.message.slice(0, 1000)).toBeLessThan(1000);
        count.refused++;
      } else if (outcome instanceof Error) {
        throw outcome;
      } else {
        await checkAll(outcome as WeightFile, bytes.length);
        count.opened++;
      }
    } catch (cause) {
      throw new Error(`mutant ${i}: ${cause}\n${bytes.toString('base64')}`, { cause });
    }
    const grown = (process.memoryUsage.rss() - before) / MEGABYTE;
    if (grown > 400) expect.fail(`mutant ${i}: memory grew by ${grown} MB`);
  }
  // Damage that no reader notices, or files that none opens, would test nothing.
  expect(count.opened).toBeGreaterThan(mutants / 100);
  expect(count.refused).toBeGreaterThan(mutants / 3);
}

/** What was opened must hold: tensors apart and within the file, each read whole. */
async function checkAll(file: WeightFile, fileSize: number): Promise<void> {
  try {
    let end = 0;
    const inOrder = [...file.tensors.values()].sort(
      (a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes,
    );
    for (const { name, shape, type, offset, sizeBytes } of inOrder) {
      if (offset < end) throw new Error(`${name} begins at ${offset}, before ${end}`);
      end = offset + sizeBytes;
      if (type === 'I64' || type === 'I32') continue;
      const expected = shape.reduce((a, b) => a * b, 1);
      const values = await file.read(name);
      if (values.length !== expected) throw new Error(`${name}: ${values.length}, not ${expected}`);
    }
    const isSharded = file.paths[0]?.includes('-of-');
    if (end > fileSize && !isSharded) throw new Error(`ends at ${end}, the file at ${fileSize}`);
  } finally {
    await file.close();
  }
}

/** What a hostile size looks like. */
// biome-ignore format: a list of numbers
const extremes = [
  0n, 1n, 2n, 3n, 255n, 2n ** 16n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 52n,
  2n ** 53n - 1n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n,
];

function mutateBinary({ bytes, header }: Seed, rng: Rng): Buffer {
  let out: Buffer = Buffer.from(bytes);
  for (let left = 1 + rng.integer(2) * rng.integer(3); left > 0; left--) {
    const at = Math.min(rng.integer(header), Math.max(0, out.length - 8));
    const kind = rng.integer(7);
    if (kind === 0) out = out.subarray(0, rng.integer(out.length + 1));
    else if (kind === 1) out = spliced(out, at, 0, randomBytes(rng, 1 + rng.integer(16)));
    else if (kind === 2) out = spliced(out, at, 1 + rng.integer(16), Buffer.alloc(0));
    else if (kind === 3) out = spliced(out, at, 0, out.subarray(at, at + 1 + rng.integer(64)));
    else if (out.length < 8) continue;
    else if (kind === 4) out[at] = out[at]! ^ (1 << rng.integer(8));
    else if (kind === 5) out.writeUInt32LE(Number(extreme(rng) & 0xffff_ffffn), at);
    else out.writeBigUInt64LE(extreme(rng), at);
  }
  return out;
}

/** Pieces that mean something in the header of a safetensors file. */
// biome-ignore format: a list of tokens
const pieces = [
  '{', '}', '[', ']', '[[[[', ',', ':', '"', '\\', '-', '.', '1e9', 'null', 'true', '"\\ud800"', ' ',
  '"__metadata__":', '"dtype":', '"shape":', '"data_offsets":', '"F32"', '"BOOL"', '[0,0]', '\u0000',
];

/** Damages the JSON and keeps its length prefix true, so that the damage is reached. */
function mutateJson({ bytes, header }: Seed, rng: Rng): Buffer {
  let json = bytes.toString('latin1', 8, header);
  for (let left = 1 + rng.integer(2) * rng.integer(3); left > 0; left--) {
    const at = rng.integer(json.length);
    const kind = rng.integer(3);
    const piece = kind === 0 ? extreme(rng).toString() : pieces[rng.integer(pieces.length)]!;
    if (kind === 0) {
      const digits = json.slice(at).search(/\d/);
      const from = at + Math.max(0, digits);
      json = json.slice(0, from) + json.slice(from).replace(/^\d*/, piece);
    } else json = json.slice(0, at) + piece + json.slice(at + (kind === 1 ? 0 : piece.length));
  }
  const prefix = u64(json.length);
  return Buffer.concat([prefix, Buffer.from(json, 'latin1'), bytes.subarray(header)]);
}

function spliced(bytes: Buffer, at: number, remove: number, insert: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

function randomBytes(rng: Rng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => rng.integer(256));
}

function extreme(rng: Rng): bigint {
  return extremes[rng.integer(extremes.length)]!;
}
