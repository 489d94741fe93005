import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import {
  type GgufParts,
  ggufBytes,
  ggufKey,
  text,
  u32,
  u64,
} from '../../test/support/gguf-bytes.ts';
import { WeightsError } from '../errors.ts';
import { openGguf } from './gguf.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/weights/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'whetstone-gguf-'));
const path = join(folder, 'model.gguf');
afterAll(() => rmSync(folder, { recursive: true }));

test('every type reads bit for bit as the gguf package reads it', async () => {
  const expected = readFileSync(join(fixtures, 'types.f32'));
  const file = await openGguf(join(fixtures, 'types.gguf'));
  const names = 'F64 F32 F16 BF16 I8 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K'.split(' ');
  expect([...file.tensors.keys()]).toEqual(names);
  for (const [i, name] of names.entries()) {
    const { type, shape } = file.tensors.get(name)!;
    expect({ type, shape }).toEqual({ type: name, shape: [3, 256] });
    const bytes = Buffer.from((await file.read(name)).buffer);
    expect(bytes.equals(expected.subarray(i * 3072, (i + 1) * 3072)), name).toBe(true);
  }
  await file.close();
});

test('metadata of every kind, text with a byte-order mark and emoji included', async () => {
  const file = await openGguf(join(fixtures, 'metadata.gguf'));
  const expected = JSON.parse(readFileSync(join(fixtures, 'metadata.json'), 'utf8'));
  expect(Object.fromEntries(file.metadata)).toEqual(expected);
  await file.close();
});

test('version 2 is read, integers beyond 2^53 are bigint', async () => {
  const file = await open({ version: 2, keys: [ggufKey('big', 10, u64(2n ** 63n))] });
  expect(file.metadata.get('big')).toBe(2n ** 63n);
  await file.close();
});

test('a tensor longer than one piece is read whole', async () => {
  const data = new Uint8Array(18 * 250_000);
  for (let i = 0; i < data.length; i += 18) data.set([0x00, 0x3c, i & 255], i);
  const file = await open({
    tensors: [{ name: 'w', dims: [32, 250_000], type: 2, offset: 0 }],
    data,
  });
  const values = await file.read('w');
  await file.close();
  expect(values).toHaveLength(8_000_000);
  for (let b = 0; b < 250_000; b++) {
    if (values[b * 32] !== ((b * 18) & 15) - 8) expect.fail(`block ${b}`);
  }
});

test('an unknown tensor, a closed file and a shrunken file are WeightsErrors', async () => {
  const file = await open({ tensors: [one], data: new Uint8Array(16) });
  await expect(file.read('absent')).rejects.toThrow('holds no tensor "absent"');
  truncateSync(path, 70);
  await expect(file.read('w')).rejects.toThrow('became shorter');
  await file.close();
  await file.close();
  await expect(file.read('w')).rejects.toThrow(WeightsError);
});

test('a file cut off at any byte is refused', async () => {
  const whole = readFileSync(join(fixtures, 'types.gguf'));
  const ends = [
    ...Array(1200).keys(),
    ...Array.from({ length: 200 }, (_, i) => whole.length - 33 - i * 80),
  ];
  for (const end of ends) {
    writeFileSync(path, whole.subarray(0, end));
    await expect(openGguf(path), `cut at ${end}`).rejects.toThrow(WeightsError);
  }
});

const one = { name: 'w', dims: [4], offset: 0 };
const sixteen = new Uint8Array(16);
const deep = Array.from({ length: 5 }, () => [u32(9), u64(1)]).flat();

const hostile: Record<string, [GgufParts, string]> = {
  'another magic': [{ magic: 'GGML' }, 'does not begin with "GGUF"'],
  'big endian': [{ version: 0x03000000 }, 'big endian'],
  'version 1': [{ version: 1 }, 'its version is 1, expected 2 or 3'],
  'version 0': [{ version: 0 }, 'its version is 0'],
  '2^62 tensors': [{ tensorCount: 2n ** 62n }, `announces ${2n ** 62n} tensors`],
  '2^64 - 1 keys': [{ keyCount: 2n ** 64n - 1n }, 'metadata keys, at most'],
  'a key longer than the file': [{ keys: [u64(2n ** 62n)] }, 'bytes of a metadata key'],
  'a key that is not UTF-8': [
    { keys: [Buffer.concat([u64(2), Buffer.from([0xc3, 0x28]), u32(0), Buffer.alloc(9)])] },
    'not UTF-8',
  ],
  'a text longer than the file': [{ keys: [ggufKey('k', 8, u64(2n ** 40n))] }, 'bytes of text'],
  'an array of 2^62': [{ keys: [ggufKey('k', 9, u32(0), u64(2n ** 62n))] }, 'array elements'],
  'arrays within arrays without end': [
    { keys: [ggufKey('k', 9, ...deep, u32(0), u64(0))] },
    'nested',
  ],
  'an unknown value type': [{ keys: [ggufKey('k', 13, u64(0))] }, 'metadata type 13'],
  'a key twice': [
    { keys: [ggufKey('k', 4, u32(1)), ggufKey('k', 4, u32(2))] },
    'metadata key "k" stands twice',
  ],
  'alignment 0': [{ keys: [ggufKey('general.alignment', 4, u32(0))] }, 'alignment is 0'],
  'alignment 48': [{ keys: [ggufKey('general.alignment', 4, u32(48))] }, 'alignment is 48'],
  'alignment as text': [
    { keys: [ggufKey('general.alignment', 8, text('32'))] },
    'alignment is string',
  ],
  'one of several parts': [{ keys: [ggufKey('split.count', 4, u32(3))] }, 'one of 3 parts'],
  'five dimensions': [{ tensors: [{ ...one, dims: [1, 1, 1, 1, 4] }] }, '5 dimensions'],
  'an empty dimension': [{ tensors: [{ ...one, dims: [4, 0] }] }, 'empty dimension'],
  'a dimension of 2^63': [
    { tensors: [{ ...one, dims: [2n ** 63n] }] },
    'a dimension of tensor "w" is',
  ],
  'dimensions that overflow': [
    { tensors: [{ ...one, dims: [2 ** 30, 2 ** 30, 2 ** 30] }] },
    'dimensions [1073741824, 1073741824, 1073741824] overflow',
  ],
  'dimensions beyond the file': [{ tensors: [{ ...one, dims: [2 ** 40] }] }, 'ends at byte'],
  'rows that are not whole blocks': [
    { tensors: [{ ...one, dims: [33], type: 2 }] },
    'rows of 33 do not divide into Q4_0 blocks of 32',
  ],
  'a type that is not read': [
    { tensors: [{ ...one, type: 11 }] },
    'stored as Q3_K, which is not read',
  ],
  'a type that does not exist': [{ tensors: [{ ...one, type: 999 }] }, 'stored as type 999'],
  'an offset off the alignment': [{ tensors: [{ ...one, offset: 4 }] }, 'not a multiple of 32'],
  'an offset beyond the file': [{ tensors: [{ ...one, offset: 64 }] }, 'ends at byte'],
  'an offset of 2^62': [{ tensors: [{ ...one, offset: 2n ** 62n }] }, 'the offset of tensor "w"'],
  'a tensor twice': [{ tensors: [one, { ...one, offset: 32 }] }, 'tensor "w" stands twice'],
  'tensors that overlap': [{ tensors: [one, { ...one, name: 'v' }] }, 'overlap'],
  'a name with control characters': [
    { tensors: [{ ...one, name: '\x1b[2J\n', type: 11 }] },
    '"␛[2J⏎" is stored as',
  ],
};

test.each(Object.entries(hostile))('refuses %s', async (_, [parts, message]) => {
  const error = await open({ data: sixteen, ...parts }).catch((e) => e);
  expect(error).toBeInstanceOf(WeightsError);
  expect(error.message).toContain(message);
  expect(error.message).toContain(path);
});

function open(parts: GgufParts) {
  writeFileSync(path, ggufBytes(parts));
  return openGguf(path);
}
