/**
 * Weights in the form that programs use: per precision one file of tensors under our own names with
 * an index beside it. Made once per model from its checkpoint, then mapped into memory by offset.
 */
import { type FileHandle, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { WeightsError } from '../errors.ts';
import {
  abs,
  add,
  blockMatmul,
  constant,
  type DType,
  div,
  int8Matmul,
  matmul,
  maximum,
  mul,
  type Quantized,
  quantize,
  reduceMax,
  split,
  type Tensor,
  type WeightAttributes,
  weight,
} from '../tensor/index.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { sha256Json } from '../util/hash.ts';
import type { OnProgress } from '../util/progress.ts';
import type { ModelConfig, WeightReader, WeightSpec, Weights } from './architecture.ts';
import { JOINT, joinedNames } from './block-weights.ts';
import type { WeightFile } from './weight-file.ts';

/**
 * `int8`: linear layers in 8 bits, one scale a column, activations with one scale for all rows.
 * `int8-blocks`: matrices in 8 bits by blocks of 32, activations row by row: for writing texts.
 */
export type Precision = 'float32' | 'int8' | 'int8-blocks';

/** Raised when the layout of prepared files changes. */
const LAYOUT = 3;
/** Bytes of one write: systems refuse 2 GiB. */
const MOST_AT_ONCE = 2 ** 28;
/** Tensors start at multiples of this, as memory mapping wants. */
const ALIGNMENT = 4096;

/** A prepared file's tensors by name. */
export type PreparedFile = ReadonlyMap<string, WeightAttributes>;

export interface PreparedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array | Uint8Array;
}

/** Folder name of a model's prepared files: changes with the checkpoint and with the layout. */
export async function preparedKey(source: WeightFile, config: ModelConfig): Promise<string> {
  const files = [];
  for (const path of source.paths) {
    const { size, mtimeMs } = await stat(path);
    files.push({ path, size, mtimeMs });
  }
  const stem = basename(source.paths[0]!).replace(/[^\w.-]/g, '_');
  return `${stem.slice(0, 40)}-${sha256Json({ files, config, LAYOUT }).slice(0, 16)}`;
}

/** What goes into a prepared file, in order; `total` is for progress. */
export interface Preparation {
  readonly total: number;
  tensors(): AsyncIterable<PreparedTensor>;
}

/** Opens the file of one precision, making it first if need be. @throws WeightsError when a tensor is missing or misshaped, StoreError when the folder cannot be written */
export async function openPrepared(
  folder: string,
  precision: Precision,
  {
    prepare,
    onProgress,
  }: { prepare: () => Promise<Preparation>; onProgress?: OnProgress | undefined },
): Promise<PreparedFile> {
  const known = await readIndex(folder, precision);
  if (known) return known;
  const preparation = await prepare();
  return onDisk(folder, () => write(folder, precision, { ...preparation, onProgress }));
}

async function write(
  folder: string,
  precision: Precision,
  { total, tensors, onProgress }: Preparation & { onProgress: OnProgress | undefined },
): Promise<PreparedFile> {
  const index: WeightAttributes[] = [];
  const file = `${precision}.bin`;
  const own = { isPrivate: true };
  const fill = async (handle: FileHandle) => {
    let at = 0;
    for await (const { data, ...tensor } of tensors()) {
      const phase = `preparing ${precision} weights`;
      onProgress?.({ phase, done: index.length, total, unit: 'tensors' });
      at = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
      await writeWhole(handle, data, at);
      index.push({ ...tensor, file, offset: at, sizeBytes: data.byteLength });
      at += data.byteLength;
    }
  };
  await writeFileAtomic(join(folder, file), fill, own);
  await writeFileAtomic(join(folder, `${precision}.json`), JSON.stringify(index), own);
  return byName(index);
}

/** The tensors of a float32 file: as the checkpoint has them. */
export async function* float32Tensors(
  specs: readonly WeightSpec[],
  read: WeightReader,
): AsyncGenerator<PreparedTensor> {
  for (const { name, shape, load } of specs) {
    const data = await load(read);
    const size = shape.reduce((a, b) => a * b, 1);
    if (data.length !== size) {
      throw new WeightsError(
        `weight ${name}: expected ${size} values for shape [${shape}], got ${data.length}, the file does not fit its configuration`,
      );
    }
    yield { name, dtype: 'float32', shape, data };
  }
}

/** A single write may take less than all, as on a disk that is about to be full. */
async function writeWhole(handle: FileHandle, data: ArrayBufferView, at: number): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MOST_AT_ONCE);
    done += (await handle.write(bytes, done, length, at + done)).bytesWritten;
  }
}

/** What was prepared before. Not made yet, or not whole: nothing, it is made anew. */
async function readIndex(folder: string, precision: Precision): Promise<PreparedFile | undefined> {
  try {
    const text = await readFile(join(folder, `${precision}.json`), 'utf8');
    const tensors = JSON.parse(text) as WeightAttributes[];
    const { size } = await stat(join(folder, `${precision}.bin`));
    const end = Math.max(...tensors.map(({ offset, sizeBytes }) => offset + sizeBytes));
    return end === size ? byName(tensors) : undefined;
  } catch {
    return undefined;
  }
}

function byName(tensors: readonly WeightAttributes[]): PreparedFile {
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

/** The graph's view of prepared weights; matrices come as `int8` or `blocks` have them, if given. */
export function weightsOf(
  config: ModelConfig,
  float32: PreparedFile,
  { int8, blocks }: { int8?: PreparedFile; blocks?: PreparedFile } = {},
): Weights {
  const made = new Map<string, Tensor>();
  const get = (name: string) => {
    let tensor = made.get(name);
    if (!tensor) {
      // Norms before int8 layers stand in both files, smoothed in the one of int8.
      const attributes = blocks?.get(name) ?? int8?.get(name) ?? float32.get(name);
      if (!attributes) throw new WeightsError(`weight "${name}" is not in the prepared file`);
      tensor = weight(attributes);
      made.set(name, tensor);
    }
    return tensor;
  };
  const known = new Map<Tensor, Quantized>();
  const quantized = (x: Tensor) => {
    const values = known.get(x) ?? quantize(x);
    known.set(x, values);
    return values;
  };
  const joined = joinedNames(blocks?.keys() ?? []);
  const products = new Map<Tensor, Map<string, Tensor>>();
  /** What the layers that are one matrix make of x, by their names. */
  const joinedProducts = (x: Tensor, names: readonly string[]) => {
    const made = products.get(x) ?? new Map<string, Tensor>();
    products.set(x, made);
    if (made.has(names[0]!)) return made;
    const all = names.join(JOINT);
    const y = blockMatmul(x, get(`${all}.blocks`), get(`${all}.scales`));
    const rows = names.map((name) => float32.get(name)!.shape[0]!);
    split(y, rows, -1).forEach((part, i) => {
      made.set(names[i]!, part);
    });
    return made;
  };
  const product = (x: Tensor, name: string) => {
    const names = joined.get(name);
    if (names) return joinedProducts(x, names).get(name)!;
    return int8?.has(name)
      ? int8Matmul(quantized(x), get(name), get(`${name}.scale`))
      : matmul(x, get(name), { transB: true });
  };
  const linear = (x: Tensor, name: string) => {
    if (!int8?.has(`${name}.smooth`)) return product(x, name);
    // One 8-bit scale serves all rows: they are brought to one size before, and back after.
    const smoothed = mul(x, get(`${name}.smooth`));
    const size = maximum(reduceMax(abs(smoothed), [-1], true), constant(TINY)); // [R, 1]
    return mul(product(div(smoothed, size), name), size);
  };
  return {
    config,
    get,
    product,
    linear: (x, name) =>
      float32.has(`${name}.bias`) ? add(linear(x, name), get(`${name}.bias`)) : linear(x, name),
  };
}

/** Keeps a row of zeros from being divided by zero, and changes no other. */
const TINY = 1e-20;
