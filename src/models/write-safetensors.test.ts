import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WeightsError } from '../errors.ts';
import { openSafetensors } from './safetensors.ts';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'whetstone-write-'));
  path = join(folder, 'new', 'model.safetensors');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('what is written is read back, from where the answer says', async () => {
  const floats = Float32Array.from({ length: 32 }, (_, i) => i / 7);
  const written = await writeSafetensors(
    path,
    [
      { name: 'odd', dtype: 'I8', shape: [3], data: new Int8Array([-1, 2, -3]) },
      { name: '7 "字"', dtype: 'F32', shape: [4, 8], data: floats },
      { name: 'empty', dtype: 'F32', shape: [0], data: new Float32Array() },
      { name: 'scalar', dtype: 'F64', shape: [], data: async () => new Float64Array([2.5]) },
    ],
    { format: 'pt' },
  );
  const file = await openSafetensors(path);
  expect(new Map([...file.tensors].sort())).toEqual(new Map([...written].sort()));
  expect(await file.read('7 "字"')).toEqual(floats);
  expect([...(await file.read('odd'))]).toEqual([-1, 2, -3]);
  expect([...(await file.read('scalar'))]).toEqual([2.5]);
  expect(file.metadata.get('format')).toBe('pt');
  await file.close();
});

test('tensors of whole 64 bytes begin at multiples of 64, others at their own alignment', async () => {
  const sizes = [3, 64, 4, 128, 2, 12, 640];
  const tensors: TensorToWrite[] = sizes.map((size, i) => ({
    name: `t${i}`,
    dtype: 'U8',
    shape: [size],
    data: new Uint8Array(size).fill(i),
  }));
  for (const { sizeBytes, offset } of (await writeSafetensors(path, tensors)).values()) {
    let alignment = 64;
    while (sizeBytes % alignment !== 0) alignment /= 2;
    expect(offset % alignment, `${sizeBytes} bytes at ${offset}`).toBe(0);
  }
});

test('data are made when their turn has come, one at a time', async () => {
  const order: string[] = [];
  const make = (name: string): TensorToWrite => ({
    name,
    dtype: 'U8',
    shape: [64],
    data: () => {
      order.push(name);
      return new Uint8Array(64);
    },
  });
  await writeSafetensors(path, [make('a'), make('b')]);
  expect(order).toEqual(['a', 'b']);
});

const byte = { dtype: 'U8', shape: [1], data: new Uint8Array(1) } as const;

test.each<[string, TensorToWrite[], string]>([
  [
    'a name twice',
    [
      { name: 'a', ...byte },
      { name: 'a', ...byte },
    ],
    'stands twice',
  ],
  ['the reserved name', [{ name: '__metadata__', ...byte }], 'is reserved'],
  ['data that do not fit', [{ name: 'a', ...byte, shape: [2] }], 'takes 2 bytes as U8, got 1'],
  ['dimensions that overflow', [{ name: 'a', ...byte, shape: [2 ** 52, 4] }], 'overflow'],
])('%s: an error and no file', async (_, tensors, message) => {
  const error = await writeSafetensors(path, tensors).catch((e) => e);
  expect(error).toBeInstanceOf(WeightsError);
  expect(error.message).toContain(message);
  expect(existsSync(join(folder, 'new')) ? readdirSync(join(folder, 'new')) : []).toEqual([]);
});

test('a failure while data are made leaves nothing behind', async () => {
  const data = () => Promise.reject(new WeightsError('no more'));
  await expect(writeSafetensors(path, [{ name: 'a', ...byte, data }])).rejects.toThrow('no more');
  expect(readdirSync(join(folder, 'new'))).toEqual([]);
});
