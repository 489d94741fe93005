/**
 * Stored elements to float32, bit for bit as the gguf Python package's `dequantize`.
 *
 * Why plain doubles give float32's exact bits: a float16 scale (11 bits) times a quantised integer
 * and its 6- or 8-bit sub-scale fits into 24 bits, so the product is exact and only the final sum is
 * rounded, once, by the store into the Float32Array. Leaves out: Q2_K, Q3_K, the IQ and TQ families.
 * Source: ggml-quants.c (block layouts), gguf-py/gguf/quants.py.
 */
import { assert } from '../errors.ts';
import type { ReadableType, StoredType } from './weight-file.ts';

/** How a type is laid out: `bytes` hold `elements`. */
export interface BlockLayout {
  readonly elements: number;
  readonly bytes: number;
}

export const blockLayouts: Readonly<Record<StoredType, BlockLayout>> = {
  F64: { elements: 1, bytes: 8 },
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  I8: { elements: 1, bytes: 1 },
  U8: { elements: 1, bytes: 1 },
  BOOL: { elements: 1, bytes: 1 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
  I16: { elements: 1, bytes: 2 },
  U16: { elements: 1, bytes: 2 },
  I32: { elements: 1, bytes: 4 },
  U32: { elements: 1, bytes: 4 },
  I64: { elements: 1, bytes: 8 },
  U64: { elements: 1, bytes: 8 },
  F8_E4M3: { elements: 1, bytes: 1 },
  F8_E5M2: { elements: 1, bytes: 1 },
  F8_E8M0: { elements: 1, bytes: 1 },
  C64: { elements: 1, bytes: 8 },
};

/** Reads whole blocks of `source` and writes float32 from `out[at]` on. */
type Decode = (source: Uint8Array, out: Float32Array, at: number) => void;

const decoders: Readonly<Record<ReadableType, Decode>> = {
  F64: decodeF64,
  F32: decodeF32,
  F16: decodeF16,
  BF16: decodeBF16,
  I8: (source, out, at) =>
    out.set(new Int8Array(source.buffer, source.byteOffset, source.length), at),
  U8: (source, out, at) => out.set(source, at),
  BOOL: decodeBool,
  Q4_0: decodeQ4_0,
  Q4_1: decodeQ4_1,
  Q5_0: decodeQ5_0,
  Q5_1: decodeQ5_1,
  Q8_0: decodeQ8_0,
  Q4_K: decodeQ4_K,
  Q5_K: decodeQ5_K,
  Q6_K: decodeQ6_K,
};

/** True for types that `dequantize` knows. */
export function isReadable(type: StoredType): type is ReadableType {
  return Object.hasOwn(decoders, type);
}

/** Whole blocks of `type` as float32. */
export function dequantize(type: ReadableType, source: Uint8Array): Float32Array<ArrayBuffer> {
  const { elements, bytes } = blockLayouts[type];
  const out = new Float32Array((source.length / bytes) * elements);
  dequantizeInto(type, source, out, 0);
  return out;
}

/** Whole blocks of `type` as float32, written from `out[at]` on: a tensor can come in pieces. */
export function dequantizeInto(
  type: ReadableType,
  source: Uint8Array,
  out: Float32Array,
  at: number,
): void {
  const { elements, bytes } = blockLayouts[type];
  assert(source.length % bytes === 0, `${type}: ${source.length} bytes are not whole blocks`);
  assert(at + (source.length / bytes) * elements <= out.length, `${type}: output too short`);
  decoders[type](source, out, at);
}

/**
 * Undoes llama.cpp's row order of query and key weights (architecture `llama` only): rows of a head
 * lie there as pairs (i, i + d/2) side by side, Hugging Face wants the two halves one after the
 * other. `data` is `[rows, cols]`, row-major; for a bias `cols` is 1; for keys `heads` is the number
 * of key heads. Returns a new array of the same shape.
 * Source: `_reverse_permute_weights` in transformers/modeling_gguf_pytorch_utils.py.
 */
export function unpermuteRope(
  data: Float32Array,
  heads: number,
  rows: number,
  cols: number,
): Float32Array<ArrayBuffer> {
  const half = rows / heads / 2;
  assert(Number.isInteger(half), `unpermuteRope: ${rows} rows do not split into ${heads} heads`);
  assert(data.length === rows * cols, `unpermuteRope: ${data.length} values, not ${rows}x${cols}`);
  const out = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / (2 * half));
    const within = row - head * 2 * half;
    const part = within < half ? 0 : 1;
    const from = head * 2 * half + (within - part * half) * 2 + part;
    out.set(data.subarray(from * cols, (from + 1) * cols), row * cols);
  }
  return out;
}

/** float16 bits → float32, as a table of 65,536 (256 KiB, made at first use). */
let halves: Float32Array<ArrayBuffer> | undefined;

function halfTable(): Float32Array<ArrayBuffer> {
  if (halves) return halves;
  halves = new Float32Array(65_536);
  const bits = new Uint32Array(halves.buffer);
  for (let h = 0; h < 65_536; h++) {
    const sign = (h & 0x8000) << 16;
    const exponent = (h >> 10) & 31;
    const fraction = h & 1023;
    if (exponent === 31) bits[h] = sign | 0x7f80_0000 | (fraction << 13);
    else if (exponent > 0) bits[h] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else halves[h] = (sign ? -1 : 1) * fraction * 2 ** -24;
  }
  return halves;
}

function decodeF64(source: Uint8Array, out: Float32Array, at: number): void {
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i += 8) out[at++] = view.getFloat64(i, true);
}

function decodeF32(source: Uint8Array, out: Float32Array, at: number): void {
  new Uint8Array(out.buffer, out.byteOffset + at * 4, source.length).set(source);
}

function decodeF16(source: Uint8Array, out: Float32Array, at: number): void {
  const table = new Uint32Array(halfTable().buffer);
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < source.length; i += 2) bits[at++] = table[half(source, i)]!;
}

function decodeBF16(source: Uint8Array, out: Float32Array, at: number): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < source.length; i += 2) bits[at++] = half(source, i) << 16;
}

function decodeBool(source: Uint8Array, out: Float32Array, at: number): void {
  for (let i = 0; i < source.length; i++) out[at + i] = source[i] === 0 ? 0 : 1;
}

/** Block: d f16, 16 bytes with two 4-bit values each; low halves come first. x = d(q - 8). */
function decodeQ4_0(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 18, at += 32) {
    const d = table[half(source, i)]!;
    for (let j = 0; j < 16; j++) {
      const q = source[i + 2 + j]!;
      out[at + j] = d * ((q & 15) - 8);
      out[at + j + 16] = d * ((q >> 4) - 8);
    }
  }
}

/** Block: d f16, m f16, 16 bytes of 4-bit values. x = dq + m. */
function decodeQ4_1(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 20, at += 32) {
    const d = table[half(source, i)]!;
    const m = table[half(source, i + 2)]!;
    for (let j = 0; j < 16; j++) {
      const q = source[i + 4 + j]!;
      out[at + j] = d * (q & 15) + m;
      out[at + j + 16] = d * (q >> 4) + m;
    }
  }
}

/** Block: d f16, 32 fifth bits, 16 bytes of 4-bit values. x = d(q - 16). */
function decodeQ5_0(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 22, at += 32) {
    const d = table[half(source, i)]!;
    const high = half(source, i + 2) | (half(source, i + 4) << 16);
    for (let j = 0; j < 16; j++) {
      const q = source[i + 6 + j]!;
      out[at + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[at + j + 16] = d * (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** Block: d f16, m f16, 32 fifth bits, 16 bytes of 4-bit values. x = dq + m. */
function decodeQ5_1(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 24, at += 32) {
    const d = table[half(source, i)]!;
    const m = table[half(source, i + 2)]!;
    const high = half(source, i + 4) | (half(source, i + 6) << 16);
    for (let j = 0; j < 16; j++) {
      const q = source[i + 8 + j]!;
      out[at + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m;
      out[at + j + 16] = d * ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** Block: d f16, 32 signed bytes. x = dq. */
function decodeQ8_0(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 34, at += 32) {
    const d = table[half(source, i)]!;
    for (let j = 0; j < 32; j++) out[at + j] = d * signed(source[i + 2 + j]!);
  }
}

/**
 * Block of 256 in 8 groups of 32: d f16, dmin f16, 12 bytes with 8 scales and 8 minima of 6 bits,
 * 128 bytes of 4-bit values (two groups share 32 bytes). x = d·scale·q - dmin·min.
 */
function decodeQ4_K(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 144) {
    const d = table[half(source, i)]!;
    const least = table[half(source, i + 2)]!;
    for (let group = 0; group < 8; group++, at += 32) {
      const scale = d * scaleOf(source, i + 4, group);
      const minimum = least * minimumOf(source, i + 4, group);
      const low = i + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let j = 0; j < 32; j++) {
        out[at + j] = scale * ((source[low + j]! >> shift) & 15) - minimum;
      }
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits (bit g of byte j belongs to group g) before the low bits. */
function decodeQ5_K(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 176) {
    const d = table[half(source, i)]!;
    const least = table[half(source, i + 2)]!;
    for (let group = 0; group < 8; group++, at += 32) {
      const scale = d * scaleOf(source, i + 4, group);
      const minimum = least * minimumOf(source, i + 4, group);
      const low = i + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let j = 0; j < 32; j++) {
        const fifth = ((source[i + 16 + j]! >> group) & 1) << 4;
        out[at + j] = scale * (((source[low + j]! >> shift) & 15) | fifth) - minimum;
      }
    }
  }
}

/**
 * Block of 256: 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 signed scales (one for 16
 * values), d f16 at the end. Each half of 128 values is 4 runs of 32. x = d·scale·(q - 32).
 */
function decodeQ6_K(source: Uint8Array, out: Float32Array, at: number): void {
  const table = halfTable();
  for (let i = 0; i < source.length; i += 210) {
    const d = table[half(source, i + 208)]!;
    for (let run = 0; run < 8; run++, at += 32) {
      const low = i + (run >> 2) * 64 + (run & 1) * 32;
      const lowShift = run & 2 ? 4 : 0;
      const high = i + 128 + (run >> 2) * 32;
      const highShift = (run & 3) * 2;
      const first = d * signed(source[i + 192 + run * 2]!);
      const second = d * signed(source[i + 193 + run * 2]!);
      for (let j = 0; j < 32; j++) {
        const bits =
          ((source[low + j]! >> lowShift) & 15) | (((source[high + j]! >> highShift) & 3) << 4);
        out[at + j] = (j < 16 ? first : second) * (bits - 32);
      }
    }
  }
}

function scaleOf(source: Uint8Array, at: number, group: number): number {
  if (group < 4) return source[at + group]! & 63;
  return (source[at + group + 4]! & 15) | ((source[at + group - 4]! >> 2) & 48);
}

function minimumOf(source: Uint8Array, at: number, group: number): number {
  if (group < 4) return source[at + group + 4]! & 63;
  return (source[at + group + 4]! >> 4) | ((source[at + group]! >> 2) & 48);
}

function half(source: Uint8Array, at: number): number {
  return source[at]! | (source[at + 1]! << 8);
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}
