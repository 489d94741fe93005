import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StoreError, WeightsError } from '../errors.ts';
import type { WeightSpec } from './architecture.ts';
import { openPrepared, quantizeRows } from './prepared-weights.ts';

let folder: string;
let reads: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'whetstone-prepared-'));
  reads = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const specs: WeightSpec[] = ['a', 'b'].map((name, i) => ({
  name,
  shape: [2, 3],
  isLinear: name === 'b',
  load: (read) => read(`${name}${i}`),
}));
const read = async (name: string) => {
  reads.push(name);
  return Float32Array.of(1, 2, 3, 4, 5, 6);
};
const open = (precision: 'float32' | 'int8' = 'float32') =>
  openPrepared(folder, precision, specs, read);

test('prepares once and then only reads the index', async () => {
  const made = await open();
  expect(await open()).toEqual(made);
  expect(reads).toEqual(['a0', 'b1']);
  const { offset, sizeBytes } = made.get('b')!;
  const bytes = readFileSync(join(folder, 'float32.bin')).subarray(offset, offset + sizeBytes);
  expect([...new Float32Array(new Uint8Array(bytes).buffer)]).toEqual([1, 2, 3, 4, 5, 6]);
});

test('int8 holds linear layers alone, with their scales', async () => {
  expect([...(await open('int8')).keys()]).toEqual(['b', 'b.scale']);
});

test.each([
  ['cut off', () => truncateSync(join(folder, 'float32.bin'), 20)],
  ['gone', () => rmSync(join(folder, 'float32.bin'))],
  ['without a sound index', () => writeFileSync(join(folder, 'float32.json'), '[{"na')],
])('a prepared file that is %s is made anew', async (_, damage) => {
  const made = await open();
  damage();
  expect(await open()).toEqual(made);
  expect(reads).toHaveLength(4);
});

test('a tensor of another size is refused and nothing stays behind', async () => {
  const short = async () => new Float32Array(5);
  const opening = openPrepared(folder, 'float32', specs, short);
  await expect(opening).rejects.toThrow(WeightsError);
  await expect(opening).rejects.toThrow('weight a: expected 6 values for shape [2,3], got 5');
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that cannot be written is a StoreError that names it', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const opening = openPrepared(join(file, 'inside'), 'float32', specs, read);
  await expect(opening).rejects.toThrow(StoreError);
  await expect(opening).rejects.toThrow(`${join(file, 'inside')}: cannot be written`);
});

test('int8 rows are off by at most half a step, rows of zeros stay zero', () => {
  const data = Float32Array.of(1, -2, 0.5, 0, 0, 0, 1e-3, 2e-3, -3e-3);
  const { values, scales } = quantizeRows(data, 3, 3);
  for (let r = 0; r < 3; r++) {
    for (let c = 0; c < 3; c++) {
      const restored = values[c * 3 + r]! * scales[r]!; // stored transposed
      expect(Math.abs(restored - data[r * 3 + c]!)).toBeLessThanOrEqual(scales[r]! / 2 + 1e-9);
    }
  }
  expect([...values.filter((_, i) => i % 3 === 1)]).toEqual([0, 0, 0]);
});
