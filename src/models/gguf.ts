/**
 * Reads GGUF versions 2 and 3, little endian. The header is read through a bounded window; every
 * count and size is checked against the file before anything is made for it.
 * Source: ggml/docs/gguf.md.
 */
import { WeightsError } from '../errors.ts';
import { dequantize, storedTypes } from './dequantize.ts';
import { FileReader } from './file-reader.ts';
import { checkOverlaps, weightFile } from './opened-weights.ts';
import type { MetadataValue, StoredTensor, StoredType, WeightFile } from './weight-file.ts';

const typeNames: Readonly<Record<number, StoredType>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  30: 'BF16',
};

const MAX_TENSORS = 1 << 20;
const MAX_KEYS = 1 << 16;
const MAX_TEXT = 1 << 24;
const MAX_HEADER = 1 << 28;
const MAX_DEPTH = 4;

/** @throws WeightsError when the file is not a sound GGUF file */
export async function openGguf(path: string): Promise<WeightFile> {
  const file = await FileReader.open(path);
  try {
    const cursor = new Cursor(file);
    const { metadata, tensors } = await readHeader(cursor, file);
    return weightFile('gguf', [file], tensors, metadata, dequantize);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(cursor: Cursor, file: FileReader) {
  const bad = (what: string) => new WeightsError(`${file.path}: not a sound GGUF file, ${what}`);
  if ((await cursor.u32()) !== 0x46554747) throw bad('it does not begin with "GGUF"');
  const version = await cursor.u32();
  if (version !== 2 && version !== 3) {
    throw bad(
      (version & 0xffff) === 0
        ? 'it is big endian, convert it to little endian'
        : `version ${version} is not known, expected 2 or 3`,
    );
  }
  const tensorCount = await cursor.count(MAX_TENSORS, 24, 'tensors');
  const keyCount = await cursor.count(MAX_KEYS, 13, 'metadata keys');
  const metadata = new Map<string, MetadataValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = await cursor.text();
    if (metadata.has(key)) throw bad(`metadata key "${key.slice(0, 80)}" stands twice`);
    metadata.set(key, await cursor.value(await cursor.u32(), 0));
  }
  const entries = [];
  for (let i = 0; i < tensorCount; i++) entries.push(await readEntry(cursor, file));
  const alignment = Number(metadata.get('general.alignment') ?? 32);
  if (!Number.isInteger(alignment) || alignment < 1 || alignment > 1 << 16) {
    throw bad(`alignment is ${alignment}, expected 1 to 65536`);
  }
  const start = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = new Map<string, StoredTensor>();
  for (const entry of entries) {
    if (tensors.has(entry.name)) throw bad(`tensor "${entry.name.slice(0, 80)}" stands twice`);
    const tensor = { ...entry, offset: start + entry.offset };
    if (!Number.isSafeInteger(tensor.offset) || tensor.offset + tensor.sizeBytes > file.size) {
      throw bad(
        `tensor "${tensor.name.slice(0, 80)}" lies at ${tensor.offset} with ${tensor.sizeBytes} bytes, the file has ${file.size}`,
      );
    }
    tensors.set(tensor.name, tensor);
  }
  checkOverlaps([...tensors.values()]);
  return { metadata, tensors };
}

async function readEntry(cursor: Cursor, file: FileReader): Promise<StoredTensor> {
  const name = await cursor.text();
  const label = `${file.path}: tensor "${name.slice(0, 80)}"`;
  const rank = await cursor.u32();
  if (rank > 4) throw new WeightsError(`${label} has ${rank} dimensions, expected at most 4`);
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < rank; i++) {
    const dim = Number(await cursor.u64());
    elements *= dim;
    if (!Number.isSafeInteger(elements) || dim === 0) {
      throw new WeightsError(`${label} has an impossible dimension ${dim}`);
    }
    shape.unshift(dim);
  }
  const code = await cursor.u32();
  const type = typeNames[code];
  if (!type) {
    const known = Object.values(typeNames).join(', ');
    throw new WeightsError(`${label} has the type number ${code}, known are ${known}`);
  }
  const block = storedTypes[type];
  if ((shape.at(-1) ?? 1) % block.elements !== 0) {
    throw new WeightsError(
      `${label}: rows of ${shape.at(-1)} do not divide into ${type} blocks of ${block.elements}`,
    );
  }
  const offset = Number(await cursor.u64());
  return {
    name,
    type,
    shape,
    offset,
    sizeBytes: (elements / block.elements) * block.bytes,
    path: file.path,
  };
}

/** A forward reader with a window, so that small reads cost no system call each. */
class Cursor {
  at = 0;
  private readonly file: FileReader;
  private window = new Uint8Array(0);
  private windowAt = 0;

  constructor(file: FileReader) {
    this.file = file;
  }

  async u32(): Promise<number> {
    return (await this.view(4)).getUint32(0, true);
  }

  async u64(): Promise<bigint> {
    return (await this.view(8)).getBigUint64(0, true);
  }

  /** A count of things that take at least `bytesEach`: cannot exceed what the file still holds. */
  async count(limit: number, bytesEach: number, what: string): Promise<number> {
    const n = await this.u64();
    const room = Math.floor((this.file.size - this.at) / bytesEach);
    if (n > BigInt(Math.min(limit, room))) {
      throw new WeightsError(
        `${this.file.path}: not a sound GGUF file, it announces ${n} ${what}, at most ${Math.min(limit, room)} fit`,
      );
    }
    return Number(n);
  }

  async text(): Promise<string> {
    const length = await this.count(MAX_TEXT, 1, 'bytes of text');
    return Buffer.from((await this.bytes(length)).slice()).toString('utf8');
  }

  async value(type: number, depth: number): Promise<MetadataValue> {
    const scalar = scalars[type];
    if (scalar) return scalar.read(await this.view(scalar.bytes));
    if (type === 8) return this.text();
    if (type !== 9 || depth >= MAX_DEPTH) {
      throw new WeightsError(
        `${this.file.path}: not a sound GGUF file, metadata type ${type} at depth ${depth} is not known`,
      );
    }
    const inner = await this.u32();
    const length = await this.count(1 << 24, scalars[inner]?.bytes ?? 8, 'array elements');
    const out: MetadataValue[] = [];
    for (let i = 0; i < length; i++) out.push(await this.value(inner, depth + 1));
    return out;
  }

  private async view(length: number): Promise<DataView> {
    const bytes = await this.bytes(length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  private async bytes(length: number): Promise<Uint8Array> {
    if (this.at + length > MAX_HEADER) {
      throw new WeightsError(
        `${this.file.path}: the GGUF header is longer than ${MAX_HEADER} bytes`,
      );
    }
    const from = this.at - this.windowAt;
    if (from + length > this.window.length) {
      const size = Math.max(length, Math.min(1 << 20, this.file.size - this.at));
      this.window = await this.file.read(this.at, size);
      this.windowAt = this.at;
    }
    const start = this.at - this.windowAt;
    this.at += length;
    return this.window.subarray(start, start + length);
  }
}

const scalars: Readonly<Record<number, { bytes: number; read(view: DataView): MetadataValue }>> = {
  0: { bytes: 1, read: (v) => v.getUint8(0) },
  1: { bytes: 1, read: (v) => v.getInt8(0) },
  2: { bytes: 2, read: (v) => v.getUint16(0, true) },
  3: { bytes: 2, read: (v) => v.getInt16(0, true) },
  4: { bytes: 4, read: (v) => v.getUint32(0, true) },
  5: { bytes: 4, read: (v) => v.getInt32(0, true) },
  6: { bytes: 4, read: (v) => v.getFloat32(0, true) },
  7: { bytes: 1, read: (v) => v.getUint8(0) !== 0 },
  10: { bytes: 8, read: (v) => v.getBigUint64(0, true) },
  11: { bytes: 8, read: (v) => v.getBigInt64(0, true) },
  12: { bytes: 8, read: (v) => v.getFloat64(0, true) },
};
