/** What the readers of weight files share: checks of where tensors lie, and reading them. */
import { WeightsError } from '../errors.ts';
import { visible } from '../util/text.ts';
import { blockLayouts, dequantizeInto, isReadable } from './dequantize.ts';
import type { FileReader } from './file-reader.ts';
import type {
  MetadataValue,
  ReadableType,
  StoredTensor,
  StoredType,
  WeightFile,
} from './weight-file.ts';

/** A tensor is decoded in pieces of about this many bytes, so that it never lies in memory twice. */
const PIECE = 2 ** 22;

/** A `WeightFile` over open files and the tensors found in them; it closes the files. */
export function weightFile(
  format: WeightFile['format'],
  files: readonly FileReader[],
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, MetadataValue>,
): WeightFile {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return {
    format,
    paths: files.map((file) => file.path),
    tensors,
    metadata,
    async read(name) {
      const tensor = tensors.get(name);
      if (!tensor) {
        throw new WeightsError(
          `${files[0]?.path}: holds no tensor ${quoted(name)}, the model needs it`,
        );
      }
      return readTensor(byPath.get(tensor.path)!, tensor);
    },
    async close() {
      for (const file of files) await file.close();
    },
  };
}

/** Bytes of a tensor. @throws WeightsError when its size is not exact in a double, or rows do not hold whole blocks */
export function storedSize(type: StoredType, shape: readonly number[], label: string): number {
  const { elements, bytes } = blockLayouts[type];
  // Zero dimensions are left out of the product, so that they cannot hide an overflow.
  const count = shape.reduce((product, dim) => product * (dim || 1), 1);
  if (!Number.isSafeInteger(count * bytes)) {
    throw new WeightsError(`${label}: its dimensions ${excerpt(shape)} overflow, it is damaged`);
  }
  const row = shape.at(-1) ?? 1;
  if (row % elements !== 0) {
    throw new WeightsError(
      `${label}: rows of ${row} do not divide into ${type} blocks of ${elements}`,
    );
  }
  return shape.includes(0) ? 0 : (count / elements) * bytes;
}

/** Tensors by place. @throws WeightsError when one ends beyond the file or two share bytes */
export function checkExtents(tensors: Iterable<StoredTensor>, fileSize: number): StoredTensor[] {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes);
  let end = 0;
  let before: StoredTensor | undefined;
  for (const tensor of sorted) {
    const { path, name, offset, sizeBytes } = tensor;
    if (offset < end) {
      throw new WeightsError(
        `${path}: tensors ${quoted(before!.name)} and ${quoted(name)} overlap, the file is damaged`,
      );
    }
    end = offset + sizeBytes;
    if (!Number.isSafeInteger(end) || end > fileSize) {
      throw new WeightsError(
        `${path}: truncated or damaged, tensor ${quoted(name)} ends at byte ${end}, the file has ${fileSize}; fetch it again`,
      );
    }
    before = tensor;
  }
  return sorted;
}

/** A name from a hostile file as it may stand in a message. */
export function quoted(name: string): string {
  return `"${visible(name.length > 80 ? `${name.slice(0, 80)}…` : name)}"`;
}

function excerpt(shape: readonly number[]): string {
  return `[${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`;
}

async function readTensor(
  file: FileReader,
  tensor: StoredTensor,
): Promise<Float32Array<ArrayBuffer>> {
  const { type, offset, sizeBytes } = tensor;
  if (!isReadable(type)) {
    throw new WeightsError(
      `${tensor.path}: tensor ${quoted(tensor.name)} is stored as ${type}, which cannot be read as float32`,
    );
  }
  const { elements, bytes } = blockLayouts[type];
  const out = allocate(tensor, (sizeBytes / bytes) * elements);
  if (type === 'F32') await file.readInto(new Uint8Array(out.buffer), offset);
  else await decodePieces(file, tensor, type, out);
  return out;
}

async function decodePieces(
  file: FileReader,
  { offset, sizeBytes }: StoredTensor,
  type: ReadableType,
  out: Float32Array,
): Promise<void> {
  const { elements, bytes } = blockLayouts[type];
  const blocks = Math.floor(PIECE / bytes);
  const piece = new Uint8Array(Math.min(blocks * bytes, sizeBytes));
  for (let done = 0; done < sizeBytes; done += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, sizeBytes - done));
    await file.readInto(part, offset + done);
    dequantizeInto(type, part, out, (done / bytes) * elements);
  }
}

function allocate(tensor: StoredTensor, elements: number): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(elements);
  } catch (cause) {
    throw new WeightsError(
      `${tensor.path}: tensor ${quoted(tensor.name)} needs ${elements * 4} bytes as float32, more than memory has`,
      { cause },
    );
  }
}
