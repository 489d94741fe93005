/**
 * Matrices in 8 bits, one symmetric scale for every 32 columns of a row, the output embeddings
 * included: a quarter of the bytes of float32, for writing one token after another, which waits for
 * memory. As NAME.blocks [out, ceil(in/32), 32] and NAME.scales [out, ceil(in/32)].
 *
 * Source: the layout is that of com.microsoft's MatMulNBits; the form that of GGUF's Q8_0.
 */
import { BLOCK, BLOCK_ZERO } from '../tensor/index.ts';
import type { WeightReader, WeightSpec } from './architecture.ts';
import type { PreparedTensor } from './prepared-weights.ts';

/** The matrices that are stored so: linear layers, and the table that hidden states are read out by. */
export function blockSpecs(specs: readonly WeightSpec[]): WeightSpec[] {
  const table = specs.some(({ name }) => name === 'head') ? 'head' : 'embedding';
  return specs.filter(({ name, isLinear }) => isLinear || name === table);
}

/** The tensors of an int8-blocks file, in order. */
export async function* blockTensors(
  specs: readonly WeightSpec[],
  read: WeightReader,
): AsyncGenerator<PreparedTensor> {
  for (const { name, shape, load } of blockSpecs(specs)) {
    const [rows, columns] = shape as [number, number];
    const { values, scales, blocks } = toBlocks(await load(read), rows, columns);
    yield { name: `${name}.blocks`, dtype: 'uint8', shape: [rows, blocks, BLOCK], data: values };
    yield { name: `${name}.scales`, dtype: 'float32', shape: [rows, blocks], data: scales };
  }
}

/** A matrix [rows, columns]; the last block of a row is filled up with zeros. */
export function toBlocks(
  data: Float32Array,
  rows: number,
  columns: number,
): { values: Uint8Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer>; blocks: number } {
  const blocks = Math.ceil(columns / BLOCK);
  const values = new Uint8Array(rows * blocks * BLOCK).fill(BLOCK_ZERO);
  const scales = new Float32Array(rows * blocks);
  for (let r = 0; r < rows; r++) {
    for (let b = 0; b < blocks; b++) {
      const from = r * columns + b * BLOCK;
      const width = Math.min(BLOCK, columns - b * BLOCK);
      let largest = 0;
      for (let i = 0; i < width; i++) largest = Math.max(largest, Math.abs(data[from + i]!));
      const scale = largest / 127 || 1;
      scales[r * blocks + b] = scale;
      const to = (r * blocks + b) * BLOCK;
      for (let i = 0; i < width; i++) {
        values[to + i] = BLOCK_ZERO + Math.round(data[from + i]! / scale);
      }
    }
  }
  return { values, scales, blocks };
}
