/**
 * What every reader of a weight file gives: named tensors, read one at a time, dequantised to
 * float32. The readers (gguf.ts, safetensors.ts) treat the file as hostile: every size is checked
 * against the file before anything is allocated. `openWeights` (open-weights.ts) picks the reader.
 */

/** Element types that `read` turns into float32. */
// biome-ignore format: one family a line
export type ReadableType =
  | 'F64' | 'F32' | 'F16' | 'BF16'
  | 'I8' | 'U8' | 'BOOL'
  | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1' | 'Q8_0'
  | 'Q4_K' | 'Q5_K' | 'Q6_K';

/** Element types that are listed, because real files hold them as by-products, but not read. */
// biome-ignore format: one family a line
export type ListedType =
  | 'I16' | 'U16' | 'I32' | 'U32' | 'I64' | 'U64'
  | 'F8_E4M3' | 'F8_E5M2' | 'F8_E8M0' | 'C64';

/** Element types as they are stored. */
export type StoredType = ReadableType | ListedType;

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
   * One tensor as float32, in the order of `shape`. Calls may overlap.
   * @throws WeightsError when the name is unknown, the type is not readable, the file has shrunk
   */
  read(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** Releases the files; may be called again. */
  close(): Promise<void>;
}

/** Integers beyond 2^53 are bigint. */
export type MetadataValue = string | number | bigint | boolean | readonly MetadataValue[];
