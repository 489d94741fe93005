/**
 * Reads safetensors files, alone or sharded by an index. As the reference implementation it wants
 * every byte of the data to belong to exactly one tensor. Writing: write-safetensors.ts.
 * Source: github.com/huggingface/safetensors, README, "Format".
 */
import { isUtf8 } from 'node:buffer';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { WeightsError } from '../errors.ts';
import { blockLayouts } from './dequantize.ts';
import { FileReader } from './file-reader.ts';
import { checkExtents, quoted, storedSize, weightFile } from './opened-weights.ts';
import { type HeaderEntry, parseHeader } from './safetensors-header.ts';
import type { MetadataValue, StoredTensor, StoredType, WeightFile } from './weight-file.ts';

/** The format allows 100 MB; 16 MiB hold the names of 150,000 tensors. */
const MAX_HEADER = 2 ** 24;
const MAX_INDEX = 2 ** 25;
const MAX_SHARDS = 512;
/** Brackets of an index: parsed JSON takes about 60 bytes for each. */
const MAX_BRACKETS = 2 ** 20;

/** @throws WeightsError when the file is not sound */
export async function openSafetensors(path: string): Promise<WeightFile> {
  const metadata = new Map<string, MetadataValue>();
  const tensors = new Map<string, StoredTensor>();
  const file = await openShard(path, metadata, (tensor) => tensors.set(tensor.name, tensor));
  return weightFile('safetensors', [file], tensors, metadata);
}

/**
 * A sharded checkpoint by its model.safetensors.index.json: what its `weight_map` names, each from
 * the shard it names.
 * @throws WeightsError when a shard is missing, unsound or lies elsewhere, or lacks a tensor
 */
export async function openSafetensorsIndex(path: string): Promise<WeightFile> {
  const shardOf = await readIndex(path);
  const metadata = new Map<string, MetadataValue>();
  const tensors = new Map<string, StoredTensor>();
  const files: FileReader[] = [];
  try {
    for (const shard of new Set(shardOf.values())) {
      const file = await openShard(await shardPath(path, shard), metadata, (tensor) => {
        if (shardOf.get(tensor.name) === shard) tensors.set(tensor.name, tensor);
      });
      files.push(file);
    }
    for (const [name, shard] of shardOf) {
      if (tensors.has(name)) continue;
      throw new WeightsError(
        `${path}: says that ${quoted(shard)} holds tensor ${quoted(name)}, it does not; fetch the model again`,
      );
    }
    return weightFile('safetensors', files, tensors, metadata);
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

/** Opens one file and hands out its tensors; adds its metadata. */
async function openShard(
  path: string,
  metadata: Map<string, MetadataValue>,
  found: (tensor: StoredTensor) => void,
): Promise<FileReader> {
  const file = await FileReader.open(path);
  try {
    const { text, dataStart } = await readHeaderText(file);
    const header = parseHeader(text, path);
    const tensors = header.entries.map((entry) => tensorOf(entry, path, dataStart));
    checkNoGaps(checkExtents(tensors, file.size), dataStart, file);
    for (const [key, value] of header.metadata) metadata.set(key, value);
    for (const tensor of tensors) found(tensor);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeaderText(file: FileReader): Promise<{ text: string; dataStart: number }> {
  const bad = (what: string) =>
    new WeightsError(`${file.path}: not a sound safetensors file, ${what}`);
  if (file.size < 10) throw bad(`it has ${file.size} bytes only`);
  const prefix = await file.read(0, 8);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  const most = Math.min(MAX_HEADER, file.size - 8);
  if (length > BigInt(most)) {
    throw bad(`it announces a header of ${length} bytes, at most ${most} fit`);
  }
  const bytes = await file.read(8, Number(length));
  if (bytes[0] !== 0x7b) throw bad('its header does not begin with {');
  if (!isUtf8(bytes)) throw bad('its header is not UTF-8');
  return { text: Buffer.from(bytes.buffer).toString('utf8'), dataStart: 8 + bytes.length };
}

function tensorOf(entry: HeaderEntry, path: string, dataStart: number): StoredTensor {
  const { name, dtype, shape, range } = entry;
  const label = `${path}: tensor ${quoted(name)}`;
  const type = typeOf(dtype, label);
  const sizeBytes = storedSize(type, shape, label);
  const [from, to] = range;
  if (to - from !== sizeBytes) {
    throw new WeightsError(
      `${label}: its offsets [${from}, ${to}] do not hold the ${sizeBytes} bytes of its shape`,
    );
  }
  return { name, type, shape, offset: dataStart + from, sizeBytes, path };
}

function typeOf(dtype: string, label: string): StoredType {
  // Quantised blocks are GGUF's alone.
  if (Object.hasOwn(blockLayouts, dtype) && blockLayouts[dtype as StoredType].elements === 1) {
    return dtype as StoredType;
  }
  throw new WeightsError(
    `${label} has the type ${quoted(dtype)}, which is not read; take the model as F32, F16 or BF16`,
  );
}

function checkNoGaps(sorted: readonly StoredTensor[], dataStart: number, file: FileReader): void {
  let end = dataStart;
  for (const { offset, sizeBytes, name } of sorted) {
    if (offset !== end) {
      throw new WeightsError(
        `${file.path}: damaged, bytes ${end} to ${offset} before tensor ${quoted(name)} belong to no tensor`,
      );
    }
    end = offset + sizeBytes;
  }
  if (end !== file.size) {
    throw new WeightsError(
      `${file.path}: damaged, its tensors end at byte ${end}, the file has ${file.size}`,
    );
  }
}

/** Tensor name → file name, as the index says. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const map = (parseIndex(await readIndexText(path), path) as { weight_map?: unknown } | null)
    ?.weight_map;
  if (map === null || typeof map !== 'object' || Array.isArray(map)) {
    throw new WeightsError(`${path}: expected a weight_map from tensor names to files`);
  }
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !/^[\w-][\w.-]*\.safetensors$/.test(shard)) {
      throw new WeightsError(
        `${path}: the shard of tensor ${quoted(name)} is ${typeof shard === 'string' ? quoted(shard) : `of type ${typeof shard}`}, expected the name of a .safetensors file beside the index`,
      );
    }
    shardOf.set(name, shard);
  }
  const shards = new Set(shardOf.values()).size;
  if (shards < 1 || shards > MAX_SHARDS) {
    throw new WeightsError(`${path}: names ${shards} shards, expected 1 to ${MAX_SHARDS}`);
  }
  return shardOf;
}

async function readIndexText(path: string): Promise<string> {
  const file = await FileReader.open(path);
  try {
    if (file.size > MAX_INDEX) {
      throw new WeightsError(`${path}: has ${file.size} bytes, expected at most ${MAX_INDEX}`);
    }
    return Buffer.from(await file.read(0, file.size)).toString('utf8');
  } finally {
    await file.close();
  }
}

function parseIndex(text: string, path: string): unknown {
  let brackets = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if ((c === 0x7b || c === 0x5b) && ++brackets > MAX_BRACKETS) {
      throw new WeightsError(`${path}: holds more than ${MAX_BRACKETS} brackets, it is damaged`);
    }
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WeightsError(`${path}: expected JSON, the index is damaged; fetch it again`, {
      cause,
    });
  }
}

/**
 * A shard beside its index. A link may lead on within that folder, or to `blobs` beside `snapshots`
 * as the Hugging Face cache lays it out; nowhere else.
 */
async function shardPath(index: string, shard: string): Promise<string> {
  const path = join(dirname(index), shard);
  const folder = await realpath(dirname(index));
  const target = await realpath(path).catch(() => undefined);
  if (target === undefined) {
    throw new WeightsError(`${path}: this shard of the model is missing; fetch the model again`);
  }
  const snapshots = dirname(folder);
  const roots = [folder];
  if (basename(snapshots) === 'snapshots') roots.push(join(dirname(snapshots), 'blobs'));
  if (roots.some((root) => target.startsWith(root + sep))) return path;
  throw new WeightsError(`${path}: leads out of its folder to ${quoted(target)}, which is refused`);
}
