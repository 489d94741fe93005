import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dequantize, unpermuteRope } from './dequantize.ts';

test('float16 follows its definition for all 65,536 bit patterns', () => {
  const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const values = dequantize('F16', new Uint8Array(bits.buffer));
  for (const h of bits) {
    const sign = h & 0x8000 ? -1 : 1;
    const [exponent, fraction] = [(h >> 10) & 31, h & 1023];
    let expected = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    if (exponent === 0) expected = sign * fraction * 2 ** -24;
    if (exponent === 31) expected = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    if (!Object.is(values[h], expected)) expect.fail(`float16 ${h}: ${values[h]}, not ${expected}`);
  }
});

test('reads from the middle of a larger buffer', () => {
  const bytes = new Uint8Array([9, 9, 9, 0x00, 0x3c, 0x00, 0xc0]);
  expect([...dequantize('F16', bytes.subarray(3))]).toEqual([1, -2]);
});

test('refuses bytes that are not whole blocks', () => {
  expect(() => dequantize('Q4_0', new Uint8Array(19))).toThrow('19 bytes are not whole blocks');
});

test('undoes the row order of llama.cpp as transformers does', () => {
  const path = new URL('../../test/fixtures/weights/rope.json', import.meta.url);
  for (const { heads, rows, cols, expected } of JSON.parse(readFileSync(path, 'utf8'))) {
    const data = Float32Array.from({ length: rows * cols }, (_, i) => i);
    expect([...unpermuteRope(data, heads, rows, cols)]).toEqual(expected);
  }
});

test('refuses rows that do not split into heads', () => {
  expect(() => unpermuteRope(new Float32Array(9), 2, 9, 1)).toThrow('9 rows do not split');
});
