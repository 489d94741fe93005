/**
 * What every reader of a weight file gives: named tensors, read one at a time, dequantised to
 * float32. The readers (gguf.ts, safetensors.ts) treat the file as hostile: every size is checked
 * against the file before anything is allocated.
 */

import { WeightsError } from '../errors.ts';
import type { FileReader } from './file-reader.ts';

/** Element types as they are stored. */
// biome-ignore format: one family a line
export type StoredType =
  | 'F32' | 'F16' | 'BF16'
  | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1' | 'Q8_0'
  | 'Q4_K' | 'Q5_K' | 'Q6_K';

export interface StoredTensor {
  readonly name: string;
  readonly type: StoredType;
  /** Row-major, outermost first (GGUF's order is turned round by its reader). */
  readonly shape: readonly number[];
  /** From the start of the file that holds it. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** The file that holds it. */
  readonly path: string;
}

export interface WeightFile {
  readonly format: 'gguf' | 'safetensors';
  /** Files that the weights come from, in order. */
  readonly paths: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** GGUF's key/value pairs, or safetensors' `__metadata__`. */
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /**
   * One tensor as float32, in the order of `shape`.
   * @throws WeightsError when the name is unknown or the bytes cannot be read
   */
  read(name: string): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export type MetadataValue = string | number | bigint | boolean | readonly MetadataValue[];

/** A `WeightFile` over open files and the tensors found in them. */
export function weightFile(
  format: WeightFile['format'],
  files: readonly FileReader[],
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, MetadataValue>,
  decode: (type: StoredType, bytes: Uint8Array, elements: number) => Float32Array<ArrayBuffer>,
): WeightFile {
  return {
    format,
    paths: files.map((file) => file.path),
    tensors,
    metadata,
    async read(name) {
      const tensor = tensors.get(name);
      const file = files.find(({ path }) => path === tensor?.path);
      if (!tensor || !file) {
        throw new WeightsError(`${files[0]?.path}: holds no tensor "${name}", the model needs it`);
      }
      const bytes = await file.read(tensor.offset, tensor.sizeBytes);
      return decode(
        tensor.type,
        bytes,
        tensor.shape.reduce((a, b) => a * b, 1),
      );
    },
    async close() {
      for (const file of files) await file.close();
    },
  };
}

/** @throws WeightsError when two tensors of one file share bytes */
export function checkOverlaps(tensors: readonly StoredTensor[]): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
  for (const [i, tensor] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before.offset + before.sizeBytes > tensor.offset && tensor.sizeBytes > 0) {
      throw new WeightsError(
        `${tensor.path}: tensors "${before.name.slice(0, 80)}" and "${tensor.name.slice(0, 80)}" overlap, the file is damaged`,
      );
    }
  }
}
