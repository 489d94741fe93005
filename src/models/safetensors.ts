/** Reads safetensors files, alone or sharded by an index. Source: huggingface/safetensors, README. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WeightsError } from '../errors.ts';
import { blockLayouts, dequantize } from './dequantize.ts';
import { FileReader } from './file-reader.ts';
import { checkOverlaps, weightFile } from './opened-weights.ts';
import type { MetadataValue, StoredTensor, StoredType, WeightFile } from './weight-file.ts';

/** The format's own bound on its header. */
const MAX_HEADER = 100_000_000;
const MAX_SHARDS = 1000;

/** @throws WeightsError when the file is not sound */
export async function openSafetensors(path: string): Promise<WeightFile> {
  return openShards([path]);
}

/** A sharded checkpoint by its index. @throws WeightsError when a shard is missing or lies elsewhere */
export async function openSafetensorsIndex(path: string): Promise<WeightFile> {
  const { size } = await stat(path);
  if (size > MAX_HEADER) throw new WeightsError(`${path}: the index has ${size} bytes, too many`);
  const index = parseObject(await readFile(path, 'utf8'), path);
  const names = [...new Set(Object.values((index.weight_map ?? {}) as object))];
  if (names.length === 0 || names.length > MAX_SHARDS) {
    throw new WeightsError(`${path}: expected 1 to ${MAX_SHARDS} shards, got ${names.length}`);
  }
  const folder = dirname(path);
  for (const name of names) {
    if (typeof name !== 'string' || !/^[\w.-]+\.safetensors$/.test(name)) {
      throw new WeightsError(
        `${path}: shard ${JSON.stringify(name).slice(0, 100)} is not a plain file name beside the index`,
      );
    }
  }
  return openShards(names.map((name) => join(folder, name as string)));
}

async function openShards(paths: readonly string[]): Promise<WeightFile> {
  const files: FileReader[] = [];
  try {
    const tensors = new Map<string, StoredTensor>();
    const metadata = new Map<string, MetadataValue>();
    for (const path of paths) {
      const file = await FileReader.open(path);
      files.push(file);
      for (const tensor of await readHeader(file, metadata)) {
        if (tensors.has(tensor.name)) {
          throw new WeightsError(`${path}: tensor "${tensor.name.slice(0, 80)}" stands twice`);
        }
        tensors.set(tensor.name, tensor);
      }
    }
    return weightFile('safetensors', files, tensors, metadata, dequantize);
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

async function readHeader(
  file: FileReader,
  metadata: Map<string, MetadataValue>,
): Promise<StoredTensor[]> {
  const start = await file.read(0, 8);
  const length = new DataView(start.buffer).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER, file.size - 8))) {
    throw new WeightsError(
      `${file.path}: not a sound safetensors file, it announces a header of ${length} bytes, the file has ${file.size}`,
    );
  }
  const text = Buffer.from(await file.read(8, Number(length))).toString('utf8');
  const header = parseObject(text, file.path);
  const tensors: StoredTensor[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries((entry ?? {}) as object))
        metadata.set(key, String(value));
    } else {
      tensors.push(readEntry(file, name, entry, 8 + Number(length)));
    }
  }
  checkOverlaps(tensors);
  return tensors;
}

function readEntry(file: FileReader, name: string, entry: unknown, start: number): StoredTensor {
  const label = `${file.path}: tensor "${name.slice(0, 80)}"`;
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (!Array.isArray(shape) || shape.length > 8 || !shape.every(isCount)) {
    throw new WeightsError(`${label} has no sound shape`);
  }
  const type = dtype as StoredType;
  // By-products in other types (tables of positions, masks) are listed and never read.
  if (typeof type !== 'string' || !Object.hasOwn(blockLayouts, type) || type.startsWith('Q')) {
    throw new WeightsError(
      `${label} has type ${String(dtype).slice(0, 20)}, expected F32, F16 or BF16`,
    );
  }
  const elements = (shape as number[]).reduce((a, b) => a * b, 1);
  const sizeBytes = elements * blockLayouts[type].bytes;
  const [from, to] = Array.isArray(offsets) ? (offsets as unknown[]) : [];
  if (
    !isCount(from) ||
    !isCount(to) ||
    !Number.isSafeInteger(sizeBytes) ||
    to - from !== sizeBytes
  ) {
    throw new WeightsError(`${label}: its offsets do not hold the ${sizeBytes} bytes of its shape`);
  }
  if (start + to > file.size) {
    throw new WeightsError(`${label} ends at ${start + to}, the file has ${file.size} bytes`);
  }
  return { name, type, shape: shape as number[], offset: start + from, sizeBytes, path: file.path };
}

function isCount(x: unknown): x is number {
  return typeof x === 'number' && Number.isSafeInteger(x) && x >= 0;
}

function parseObject(text: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Reported below, in our own words.
  }
  throw new WeightsError(`${where}: expected a JSON object, the file is damaged`);
}
