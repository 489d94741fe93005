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
import { blockTensorCount, blockTensors, joinedNames, toBlocks } from './block-weights.ts';
import { int8TensorCount, int8Tensors, quantizeRows } from './int8-weights.ts';
import { float32Tensors, openPrepared, type PreparedTensor } from './prepared-weights.ts';

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
const open = (reader = read, at = folder) =>
  openPrepared(at, 'float32', {
    prepare: async () => ({ total: 2, tensors: () => float32Tensors(specs, reader) }),
  });

test('prepares once and then only reads the index', async () => {
  const made = await open();
  expect(await open()).toEqual(made);
  expect(reads).toEqual(['a0', 'b1']);
  const { offset, sizeBytes } = made.get('b')!;
  const bytes = readFileSync(join(folder, 'float32.bin')).subarray(offset, offset + sizeBytes);
  expect([...new Float32Array(new Uint8Array(bytes).buffer)]).toEqual([1, 2, 3, 4, 5, 6]);
});

test('int8 smooths what is large in every row, behind a norm or by itself', async () => {
  const largest = Float32Array.of(4, 1, 0.25);
  const matrix = async (name: string) =>
    name === 'norm' ? Float32Array.of(1, 2, 3) : Float32Array.of(1, 1, -1, 1, -1, 1);
  const plain: WeightSpec = { name: 'w', shape: [2, 3], isLinear: true, load: (r) => r('w') };
  const norm: WeightSpec = { name: 'norm', shape: [3], load: (r) => r('norm') };
  const made = async (specs: WeightSpec[]) => {
    const out = new Map<string, { data: Float32Array | Int8Array }>();
    for await (const { name, data } of int8Tensors(specs, matrix, new Map([['w', largest]]))) {
      out.set(name, { data: data as Float32Array | Int8Array });
    }
    return out;
  };
  const alone = await made([plain]); // s = [4, 1, 0.25] ** 0.6
  expect([...alone.keys()]).toEqual(['w', 'w.scale', 'w.smooth']);
  const s = [4 ** 0.6, 1, 0.25 ** 0.6];
  alone.get('w.smooth')!.data.forEach((x, j) => {
    expect(x).toBeCloseTo(1 / s[j]!, 6);
  });
  const step = s[0]! / 127;
  const [up, down] = [Math.round(s[1]! / step), Math.round(s[2]! / step)];
  expect([...alone.get('w')!.data]).toEqual([127, 127, up, -up, -down, down]); // [in, out]
  const behind = await made([{ ...plain, after: ['norm'] }, norm]);
  expect([...behind.keys()]).toEqual(['w', 'w.scale', 'norm']);
  behind.get('norm')!.data.forEach((x, j) => {
    expect(x).toBeCloseTo((j + 1) / s[j]!, 6);
  });
});

test('int8-blocks stores layers that read the same rows as one matrix, row for row', async () => {
  const values = (name: string) => Float32Array.from({ length: 64 }, (_, i) => i * name.length);
  const layer = (name: string, after?: readonly string[]): WeightSpec => ({
    ...{ name, shape: [2, 32], isLinear: true, load: async () => values(name) },
    ...(after ? { after } : {}),
  });
  const table = { name: 'embedding', shape: [2, 32], load: async () => values('embedding') };
  const specs = [layer('q', ['norm']), layer('out'), layer('key', ['norm']), table];
  const made = new Map<string, PreparedTensor>();
  for await (const tensor of blockTensors(specs, read)) made.set(tensor.name, tensor);
  const names = ['q+key', 'out', 'embedding'].flatMap((name) => [
    `${name}.blocks`,
    `${name}.scales`,
  ]);
  expect([...made.keys()]).toEqual(names);
  expect(blockTensorCount(specs)).toBe(names.length);
  const [q, key] = ['q', 'key'].map((name) => toBlocks(values(name), 2, 32));
  expect(made.get('q+key.blocks')).toMatchObject({ shape: [4, 1, 32] });
  expect([...made.get('q+key.blocks')!.data]).toEqual([...q!.values, ...key!.values]);
  expect([...made.get('q+key.scales')!.data]).toEqual([...q!.scales, ...key!.scales]);
  expect(joinedNames(made.keys()).get('key')).toEqual(['q', 'key']);
  expect(joinedNames(made.keys()).get('out')).toEqual(['out']);
});

test('knows before how many tensors an int8 file has, so that its progress ends at the end', async () => {
  const norm: WeightSpec = { name: 'norm', shape: [3], load: async () => Float32Array.of(1, 1, 1) };
  const linear = (name: string, after?: readonly string[]): WeightSpec => ({
    ...{ name, shape: [2, 3], isLinear: true },
    load: async () => Float32Array.of(1, 2, 3, 4, 5, 6),
    ...(after ? { after } : {}),
  });
  const specs = [norm, linear('q', ['norm']), linear('k', ['norm']), linear('o'), linear('down')];
  const made = [];
  for await (const { name } of int8Tensors(specs, read, new Map())) made.push(name);
  expect(int8TensorCount(specs)).toBe(made.length);
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
  const opening = open(short);
  await expect(opening).rejects.toThrow(WeightsError);
  await expect(opening).rejects.toThrow('weight a: expected 6 values for shape [2,3], got 5');
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that cannot be written is a StoreError that names it', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const opening = open(read, join(file, 'inside'));
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
