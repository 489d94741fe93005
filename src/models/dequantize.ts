/**
 * Stored element types to float32. Block formats follow ggml-quants.c; results are bit-equal with
 * the gguf Python package.
 */
import type { StoredType } from './weight-file.ts';

interface BlockType {
  /** Elements and bytes of one block. */
  readonly elements: number;
  readonly bytes: number;
  /** Decodes `blocks` blocks of `from` into `to`. */
  decode(from: Uint8Array, to: Float32Array, blocks: number): void;
}

const halves = halfTable();

export const storedTypes: Readonly<Record<StoredType, BlockType>> = {
  F32: {
    elements: 1,
    bytes: 4,
    decode(from, to, blocks) {
      const view = viewOf(from);
      for (let i = 0; i < blocks; i++) to[i] = view.getFloat32(4 * i, true);
    },
  },
  F16: {
    elements: 1,
    bytes: 2,
    decode(from, to, blocks) {
      for (let i = 0; i < blocks; i++) to[i] = half(from, 2 * i);
    },
  },
  BF16: {
    elements: 1,
    bytes: 2,
    decode(from, to, blocks) {
      const words = new Uint32Array(to.buffer, to.byteOffset, blocks);
      for (let i = 0; i < blocks; i++)
        words[i] = ((from[2 * i]! | (from[2 * i + 1]! << 8)) << 16) >>> 0;
    },
  },
  Q4_0: {
    elements: 32,
    bytes: 18,
    decode: eachBlock(
      18,
      (from, at, to, y) => {
        const d = half(from, at);
        for (let i = 0; i < 16; i++) {
          const q = from[at + 2 + i]!;
          to[y + i] = d * ((q & 15) - 8);
          to[y + 16 + i] = d * ((q >> 4) - 8);
        }
      },
      32,
    ),
  },
  Q4_1: {
    elements: 32,
    bytes: 20,
    decode: eachBlock(
      20,
      (from, at, to, y) => {
        const d = half(from, at);
        const m = half(from, at + 2);
        for (let i = 0; i < 16; i++) {
          const q = from[at + 4 + i]!;
          to[y + i] = Math.fround(d * (q & 15)) + m;
          to[y + 16 + i] = Math.fround(d * (q >> 4)) + m;
        }
      },
      32,
    ),
  },
  Q5_0: {
    elements: 32,
    bytes: 22,
    decode: eachBlock(
      22,
      (from, at, to, y) => {
        const d = half(from, at);
        for (let i = 0; i < 16; i++) {
          const q = from[at + 6 + i]!;
          to[y + i] = d * (((q & 15) | (bit(from, at + 2, i) << 4)) - 16);
          to[y + 16 + i] = d * (((q >> 4) | (bit(from, at + 2, i + 16) << 4)) - 16);
        }
      },
      32,
    ),
  },
  Q5_1: {
    elements: 32,
    bytes: 24,
    decode: eachBlock(
      24,
      (from, at, to, y) => {
        const d = half(from, at);
        const m = half(from, at + 2);
        for (let i = 0; i < 16; i++) {
          const q = from[at + 8 + i]!;
          to[y + i] = Math.fround(d * ((q & 15) | (bit(from, at + 4, i) << 4))) + m;
          to[y + 16 + i] = Math.fround(d * ((q >> 4) | (bit(from, at + 4, i + 16) << 4))) + m;
        }
      },
      32,
    ),
  },
  Q8_0: {
    elements: 32,
    bytes: 34,
    decode: eachBlock(
      34,
      (from, at, to, y) => {
        const d = half(from, at);
        for (let i = 0; i < 32; i++) to[y + i] = d * signed(from[at + 2 + i]!);
      },
      32,
    ),
  },
  Q4_K: {
    elements: 256,
    bytes: 144,
    decode: eachBlock(
      144,
      (from, at, to, y) => {
        const d = half(from, at);
        const dmin = half(from, at + 2);
        for (let j = 0; j < 8; j++) {
          const scale = Math.fround(d * kScale(from, at + 4, j));
          const min = Math.fround(dmin * kMin(from, at + 4, j));
          const base = at + 16 + 32 * (j >> 1);
          for (let i = 0; i < 32; i++) {
            const q = (from[base + i]! >> (4 * (j & 1))) & 15;
            to[y + 32 * j + i] = Math.fround(scale * q) - min;
          }
        }
      },
      256,
    ),
  },
  Q5_K: {
    elements: 256,
    bytes: 176,
    decode: eachBlock(
      176,
      (from, at, to, y) => {
        const d = half(from, at);
        const dmin = half(from, at + 2);
        for (let j = 0; j < 8; j++) {
          const scale = Math.fround(d * kScale(from, at + 4, j));
          const min = Math.fround(dmin * kMin(from, at + 4, j));
          const base = at + 48 + 32 * (j >> 1);
          for (let i = 0; i < 32; i++) {
            const low = (from[base + i]! >> (4 * (j & 1))) & 15;
            const high = (from[at + 16 + i]! >> j) & 1;
            to[y + 32 * j + i] = Math.fround(scale * (low | (high << 4))) - min;
          }
        }
      },
      256,
    ),
  },
  Q6_K: {
    elements: 256,
    bytes: 210,
    decode: eachBlock(
      210,
      (from, at, to, y) => {
        const d = half(from, at + 208);
        for (let i = 0; i < 256; i++) {
          const [n, r] = [i >> 7, i & 127];
          const low = (from[at + 64 * n + (r & 63)]! >> (r < 64 ? 0 : 4)) & 15;
          const high = (from[at + 128 + 32 * n + (r & 31)]! >> (2 * (r >> 5))) & 3;
          const scale = Math.fround(d * signed(from[at + 192 + (i >> 4)]!));
          to[y + i] = scale * ((low | (high << 4)) - 32);
        }
      },
      256,
    ),
  },
};

/** Decodes a whole tensor. */
export function dequantize(
  type: StoredType,
  bytes: Uint8Array,
  elements: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(elements);
  storedTypes[type].decode(bytes, out, elements / storedTypes[type].elements);
  return out;
}

/**
 * Rows of q or k from llama.cpp's order (pairs side by side) back to the checkpoint's (halves).
 * `values` is [rows, columns] with `heads` heads in the rows.
 */
export function unpermuteRope(
  values: Float32Array,
  heads: number,
  rows: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  const width = rows / heads;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < width; i++) {
      const source = h * width + 2 * (i % (width / 2)) + Math.floor(i / (width / 2));
      const row = values.subarray(source * columns, (source + 1) * columns);
      out.set(row, (h * width + i) * columns);
    }
  }
  return out;
}

type DecodeBlock = (from: Uint8Array, at: number, to: Float32Array, y: number) => void;

function eachBlock(bytes: number, decode: DecodeBlock, elements: number) {
  return (from: Uint8Array, to: Float32Array, blocks: number) => {
    for (let b = 0; b < blocks; b++) decode(from, b * bytes, to, b * elements);
  };
}

const half = (from: Uint8Array, at: number): number => halves[from[at]! | (from[at + 1]! << 8)]!;
const signed = (byte: number): number => (byte << 24) >> 24;
const bit = (from: Uint8Array, at: number, i: number): number =>
  (from[at + (i >> 3)]! >> (i & 7)) & 1;

/** The 6-bit scale of sub-block j in K-quants' 12 packed bytes. */
function kScale(from: Uint8Array, at: number, j: number): number {
  return j < 4 ? from[at + j]! & 63 : (from[at + j + 4]! & 15) | ((from[at + j - 4]! >> 6) << 4);
}

/** The 6-bit minimum of sub-block j. */
function kMin(from: Uint8Array, at: number, j: number): number {
  return j < 4 ? from[at + j + 4]! & 63 : (from[at + j + 4]! >> 4) | ((from[at + j]! >> 6) << 4);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** All 65,536 half-precision values. */
function halfTable(): Float32Array {
  return Float32Array.from({ length: 65_536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
}
