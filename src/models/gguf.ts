/**
 * Reads GGUF versions 2 and 3, little endian: key/value pairs, and where the tensors lie. The file
 * is hostile: memory is bounded by what it really holds. Leaves out models split over several GGUF
 * files, and the meaning of names and keys (gguf-names.ts, config-reader.ts).
 * Source: ggml/docs/gguf.md.
 */
import { isUtf8 } from 'node:buffer';
import { WeightsError } from '../errors.ts';
import { FileReader } from './file-reader.ts';
import { GgufCursor } from './gguf-cursor.ts';
import { checkExtents, quoted, storedSize, weightFile } from './opened-weights.ts';
import type { MetadataValue, StoredTensor, StoredType, WeightFile } from './weight-file.ts';

// biome-ignore format: a table of numbers
const typesByCode: Readonly<Record<number, StoredType>> = {
  0: 'F32', 1: 'F16', 2: 'Q4_0', 3: 'Q4_1', 6: 'Q5_0', 7: 'Q5_1', 8: 'Q8_0', 12: 'Q4_K', 13: 'Q5_K',
  14: 'Q6_K', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 30: 'BF16',
};

/** Types that exist but are not read, so that the message can name them. */
// biome-ignore format: a table of numbers
const otherTypes: Readonly<Record<number, string>> = {
  10: 'Q2_K', 11: 'Q3_K', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S',
  20: 'IQ4_NL', 21: 'IQ3_S', 22: 'IQ2_S', 23: 'IQ4_XS', 29: 'IQ1_M', 34: 'TQ1_0', 35: 'TQ2_0',
  39: 'MXFP4', 40: 'NVFP4',
};

const MAGIC = 0x46554747; // "GGUF"
const MAX_TENSORS = 100_000;
const MAX_KEYS = 65_536;
const MAX_NAME = 65_535;
const MAX_TEXT = 2 ** 24;
/** Elements of all metadata arrays together: a byte of the file takes eight in memory. */
const MAX_ELEMENTS = 2 ** 24;
const MAX_DEPTH = 4;
const MAX_RANK = 4;
const STRING = 8;
const ARRAY = 9;

/** @throws WeightsError when the file is not a sound GGUF file */
export async function openGguf(path: string): Promise<WeightFile> {
  const file = await FileReader.open(path);
  try {
    const { tensors, metadata } = readHeader(new GgufCursor(file), file);
    return weightFile('gguf', [file], tensors, metadata);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function readHeader(cursor: GgufCursor, file: FileReader) {
  if (cursor.u32() !== MAGIC) throw cursor.bad('it does not begin with "GGUF"');
  checkVersion(cursor);
  const tensorCount = cursor.count('tensors', 24, MAX_TENSORS);
  const metadata = readMetadata(cursor, cursor.count('metadata keys', 13, MAX_KEYS));
  const parts = metadata.get('split.count');
  if (typeof parts === 'number' && parts > 1) {
    throw new WeightsError(
      `${file.path}: is one of ${parts} parts of a model; join them with llama.cpp's gguf-split --merge`,
    );
  }
  const alignment = alignmentOf(cursor, metadata);
  const entries: StoredTensor[] = [];
  for (let i = 0; i < tensorCount; i++) entries.push(readEntry(cursor, file.path, alignment));
  const start = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = new Map<string, StoredTensor>();
  for (const entry of entries) {
    if (tensors.has(entry.name)) throw cursor.bad(`tensor ${quoted(entry.name)} stands twice`);
    tensors.set(entry.name, { ...entry, offset: start + entry.offset });
  }
  checkExtents(tensors.values(), file.size);
  return { tensors, metadata };
}

function checkVersion(cursor: GgufCursor): void {
  const version = cursor.u32();
  if (version === 2 || version === 3) return;
  if ((version & 0xffff) === 0 && version !== 0) {
    throw cursor.bad('it is big endian; convert it with gguf-convert-endian of the gguf package');
  }
  throw cursor.bad(`its version is ${version}, expected 2 or 3`);
}

function readMetadata(cursor: GgufCursor, count: number): Map<string, MetadataValue> {
  const metadata = new Map<string, MetadataValue>();
  const budget = { elements: MAX_ELEMENTS };
  for (let i = 0; i < count; i++) {
    const key = readName(cursor, 'a metadata key');
    if (metadata.has(key)) throw cursor.bad(`metadata key ${quoted(key)} stands twice`);
    metadata.set(key, readValue(cursor, cursor.u32(), 0, budget));
  }
  return metadata;
}

function alignmentOf(cursor: GgufCursor, metadata: ReadonlyMap<string, MetadataValue>): number {
  const value = metadata.get('general.alignment') ?? 32;
  if (
    typeof value === 'number' &&
    value >= 1 &&
    value <= 2 ** 20 &&
    Number.isInteger(Math.log2(value))
  ) {
    return value;
  }
  throw cursor.bad(
    `its alignment is ${typeof value === 'number' ? value : typeof value}, expected a power of two`,
  );
}

/** Name, rank, dimensions (innermost first), type, offset from the start of the data. */
function readEntry(cursor: GgufCursor, path: string, alignment: number): StoredTensor {
  const name = readName(cursor, 'a tensor name');
  const label = `${path}: tensor ${quoted(name)}`;
  const rank = cursor.u32();
  if (rank > MAX_RANK)
    throw cursor.bad(`tensor ${quoted(name)} has ${rank} dimensions, expected at most ${MAX_RANK}`);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const dim = cursor.size(`a dimension of tensor ${quoted(name)}`);
    if (dim === 0) throw cursor.bad(`tensor ${quoted(name)} has an empty dimension`);
    shape.unshift(dim);
  }
  const type = typeOf(cursor.u32(), label);
  const sizeBytes = storedSize(type, shape, label);
  const offset = cursor.size(`the offset of tensor ${quoted(name)}`);
  if (offset % alignment !== 0) {
    throw cursor.bad(`tensor ${quoted(name)} begins at ${offset}, not a multiple of ${alignment}`);
  }
  return { name, type, shape, offset, sizeBytes, path };
}

function typeOf(code: number, label: string): StoredType {
  const type = typesByCode[code];
  if (type) return type;
  throw new WeightsError(
    `${label} is stored as ${otherTypes[code] ?? `type ${code}`}, which is not read; take the model as Q4_0, Q4_K_M, Q5_K_M, Q6_K, Q8_0, F16 or BF16`,
  );
}

function readName(cursor: GgufCursor, what: string): string {
  const bytes = cursor.bytes(cursor.count(`bytes of ${what}`, 1, MAX_NAME));
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw cursor.bad(`${what} is not UTF-8`);
}

function readValue(
  cursor: GgufCursor,
  type: number,
  depth: number,
  budget: { elements: number },
): MetadataValue {
  const scalar = scalars[type];
  if (scalar) return scalar.read(cursor.bytes(scalar.bytes));
  if (type === STRING)
    return cursor.bytes(cursor.count('bytes of text', 1, MAX_TEXT)).toString('utf8');
  if (type !== ARRAY) throw cursor.bad(`metadata type ${type} is not known`);
  if (depth === MAX_DEPTH) throw cursor.bad(`metadata arrays are nested deeper than ${MAX_DEPTH}`);
  const inner = cursor.u32();
  const bytesEach = scalars[inner]?.bytes ?? (inner === ARRAY ? 12 : 8);
  const count = cursor.count('array elements', bytesEach, budget.elements);
  budget.elements -= count;
  const out: MetadataValue[] = [];
  for (let i = 0; i < count; i++) out.push(readValue(cursor, inner, depth + 1, budget));
  return out;
}

interface Scalar {
  readonly bytes: number;
  read(from: Buffer): MetadataValue;
}

const scalars: Readonly<Record<number, Scalar>> = {
  0: { bytes: 1, read: (from) => from.readUInt8() },
  1: { bytes: 1, read: (from) => from.readInt8() },
  2: { bytes: 2, read: (from) => from.readUInt16LE() },
  3: { bytes: 2, read: (from) => from.readInt16LE() },
  4: { bytes: 4, read: (from) => from.readUInt32LE() },
  5: { bytes: 4, read: (from) => from.readInt32LE() },
  6: { bytes: 4, read: (from) => from.readFloatLE() },
  7: { bytes: 1, read: (from) => from.readUInt8() !== 0 },
  10: { bytes: 8, read: (from) => integer(from.readBigUInt64LE()) },
  11: { bytes: 8, read: (from) => integer(from.readBigInt64LE()) },
  12: { bytes: 8, read: (from) => from.readDoubleLE() },
};

function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
