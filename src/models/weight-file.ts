/**
 * What every reader of a weight file gives: named tensors, read one at a time, dequantised to
 * float32. The readers (gguf.ts, safetensors.ts) treat the file as hostile: every size is checked
 * against the file before anything is allocated.
 */

/** Element types as they are stored. */
export type StoredType =
  | 'F32' | 'F16' | 'BF16'
  | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1' | 'Q8_0'
  | 'Q4_K' | 'Q5_K' | 'Q6_K'; // biome-ignore format: one family a line

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
