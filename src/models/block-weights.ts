/**
 * Matrices in 8 bits, one symmetric scale for every 32 columns of a row, the output embeddings
 * included: a quarter of the bytes of float32, for writing one token after another, which waits for
 * memory. As NAME.blocks [out, ceil(in/32), 32] and NAME.scales [out, ceil(in/32)]. Layers that read
 * the same rows are one matrix, one above the other, since a few rows are multiplied with one large
 * matrix in less time than with several small ones: its NAME is theirs with "+" between.
 *
 * Source: the layout is that of com.microsoft's MatMulNBits; the form that of GGUF's Q8_0.
 */
import { BLOCK, BLOCK_ZERO } from '../tensor/index.ts';
import type { WeightReader, WeightSpec } from './architecture.ts';
import { linearGroups } from './linear-groups.ts';
import type { PreparedTensor } from './prepared-weights.ts';

/** Between the names of layers that are stored as one matrix. */
export const JOINT = '+';

/** Linear layers in groups that are one matrix each, and the table that hidden states are read out by. */
function blockGroups(specs: readonly WeightSpec[]): (readonly WeightSpec[])[] {
  const table = specs.some(({ name }) => name === 'head') ? 'head' : 'embedding';
  return [
    ...linearGroups(specs).map(({ layers }) => layers),
    specs.filter(({ name }) => name === table),
  ];
}

/** Number of an int8-blocks file's tensors. */
export function blockTensorCount(specs: readonly WeightSpec[]): number {
  return 2 * blockGroups(specs).length;
}

/** The tensors of an int8-blocks file, in order. */
export async function* blockTensors(
  specs: readonly WeightSpec[],
  read: WeightReader,
): AsyncGenerator<PreparedTensor> {
  for (const group of blockGroups(specs)) {
    const name = group.map((spec) => spec.name).join(JOINT);
    const rows = group.reduce((sum, { shape }) => sum + shape[0]!, 0);
    const columns = group[0]!.shape[1]!;
    const data = new Float32Array(rows * columns);
    let at = 0;
    for (const { load } of group) {
      const matrix = await load(read);
      data.set(matrix, at);
      at += matrix.length;
    }
    const { values, scales, blocks } = toBlocks(data, rows, columns);
    yield { name: `${name}.blocks`, dtype: 'uint8', shape: [rows, blocks, BLOCK], data: values };
    yield { name: `${name}.scales`, dtype: 'float32', shape: [rows, blocks], data: scales };
  }
}

/** Names of layers that are one matrix, by the name of each. */
export function joinedNames(tensors: Iterable<string>): ReadonlyMap<string, readonly string[]> {
  const out = new Map<string, readonly string[]>();
  for (const tensor of tensors) {
    if (!tensor.endsWith('.blocks')) continue;
    const names = tensor.slice(0, -'.blocks'.length).split(JOINT);
    for (const name of names) out.set(name, names);
  }
  return out;
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
