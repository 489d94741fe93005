/**
 * Weights in the form that programs use: per precision one file of tensors under our own names
 * (matrices joined where one product serves several) with an index beside it. Made once per model
 * from its checkpoint, then mapped into memory by offset.
 *
 * int8 holds the linear layers alone: [in, out], one symmetric scale a column.
 */
import { type FileHandle, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { WeightsError } from '../errors.ts';
import {
  abs,
  add,
  constant,
  type DType,
  div,
  int8Matmul,
  matmul,
  maximum,
  mul,
  reduceMax,
  type Tensor,
  type WeightAttributes,
  weight,
} from '../tensor/index.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { sha256Json } from '../util/hash.ts';
import type { OnProgress } from '../util/progress.ts';
import type { ModelConfig, WeightReader, WeightSpec, Weights } from './architecture.ts';
import type { WeightFile } from './weight-file.ts';

export type Precision = 'float32' | 'int8';

/** Raised when the layout of prepared files changes. */
const LAYOUT = 1;
/** Bytes of one write: systems refuse 2 GiB. */
const MOST_AT_ONCE = 2 ** 28;
/** Tensors start at multiples of this, as memory mapping wants. */
const ALIGNMENT = 4096;

/** A prepared file's tensors by name. */
export type PreparedFile = ReadonlyMap<string, WeightAttributes>;

interface PreparedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array;
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

/** Opens the file of one precision, making it first if need be. @throws WeightsError when a tensor is missing or misshaped, StoreError when the folder cannot be written */
export async function openPrepared(
  folder: string,
  precision: Precision,
  specs: readonly WeightSpec[],
  read: WeightReader,
  onProgress?: OnProgress,
): Promise<PreparedFile> {
  const known = await readIndex(folder, precision);
  if (known) return known;
  const wanted = precision === 'int8' ? specs.filter((spec) => spec.isLinear) : specs;
  return onDisk(folder, () => prepare(folder, precision, wanted, read, onProgress));
}

async function prepare(
  folder: string,
  precision: Precision,
  wanted: readonly WeightSpec[],
  read: WeightReader,
  onProgress?: OnProgress,
): Promise<PreparedFile> {
  const tensors: WeightAttributes[] = [];
  const file = `${precision}.bin`;
  await writeFileAtomic(join(folder, file), async (handle) => {
    let at = 0;
    for (const [i, spec] of wanted.entries()) {
      onProgress?.({
        phase: `preparing ${precision} weights`,
        done: i,
        total: wanted.length,
        unit: 'tensors',
      });
      for (const { data, ...tensor } of await makeTensors(spec, precision, read)) {
        at = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
        await writeWhole(handle, data, at);
        tensors.push({ ...tensor, file, offset: at, sizeBytes: data.byteLength });
        at += data.byteLength;
      }
    }
  });
  await writeFileAtomic(join(folder, `${precision}.json`), JSON.stringify(tensors));
  return byName(tensors);
}

/** A single write may take less than all, as on a disk that is about to be full. */
async function writeWhole(handle: FileHandle, data: ArrayBufferView, at: number): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MOST_AT_ONCE);
    done += (await handle.write(bytes, done, length, at + done)).bytesWritten;
  }
}

async function makeTensors(
  { name, shape, load }: WeightSpec,
  precision: Precision,
  read: WeightReader,
): Promise<PreparedTensor[]> {
  const data = await load(read);
  const size = shape.reduce((a, b) => a * b, 1);
  if (data.length !== size) {
    throw new WeightsError(
      `weight ${name}: expected ${size} values for shape [${shape}], got ${data.length}, the file does not fit its configuration`,
    );
  }
  if (precision === 'float32') return [{ name, dtype: 'float32', shape, data }];
  const [rows, columns] = [shape[0]!, shape[1]!];
  const { values, scales } = quantizeRows(data, rows, columns);
  return [
    { name, dtype: 'int8', shape: [columns, rows], data: values },
    { name: `${name}.scale`, dtype: 'float32', shape: [rows], data: scales },
  ];
}

/** Each row [in] of a matrix [out, in] to int8 with one scale, stored transposed as [in, out]. */
export function quantizeRows(
  data: Float32Array,
  rows: number,
  columns: number,
): { values: Int8Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer> } {
  const values = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let largest = 0;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, Math.abs(data[r * columns + c]!));
    const scale = largest / 127 || 1;
    scales[r] = scale;
    for (let c = 0; c < columns; c++) {
      values[c * rows + r] = Math.round(data[r * columns + c]! / scale);
    }
  }
  return { values, scales };
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

/** The graph's view of prepared weights; linear layers come in int8 where `int8` holds them. */
export function weightsOf(
  config: ModelConfig,
  float32: PreparedFile,
  int8?: PreparedFile,
  keepFloat: (name: string) => boolean = () => false,
): Weights {
  const made = new Map<string, Tensor>();
  const from = (file: PreparedFile, name: string) => {
    const key = `${file === int8 ? 'int8' : 'float32'}/${name}`;
    let tensor = made.get(key);
    if (!tensor) {
      const attributes = file.get(name);
      if (!attributes) throw new WeightsError(`weight "${name}" is not in the prepared file`);
      tensor = weight(attributes);
      made.set(key, tensor);
    }
    return tensor;
  };
  const get = (name: string) => from(float32, name);
  const isInt8 = (name: string) => int8?.has(name) === true && !keepFloat(name);
  const product = (x: Tensor, name: string) =>
    isInt8(name)
      ? int8Matmul(x, from(int8!, name), from(int8!, `${name}.scale`))
      : matmul(x, get(name), { transB: true });
  return {
    config,
    get,
    product,
    linear(x, name) {
      const y = isInt8(name) ? rowScaled(x, (rows) => product(rows, name)) : product(x, name);
      return float32.has(`${name}.bias`) ? add(y, get(`${name}.bias`)) : y;
    },
  };
}

/**
 * One 8-bit scale serves all rows of a product: rows are brought to one size before, and back after,
 * so that a row with large values takes no precision from the others.
 */
function rowScaled(x: Tensor, product: (rows: Tensor) => Tensor): Tensor {
  const size = maximum(reduceMax(abs(x), [-1], true), constant(1e-20)); // [R, 1]
  return mul(product(div(x, size)), size);
}
