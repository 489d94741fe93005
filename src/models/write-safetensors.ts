/**
 * Writes a safetensors file whole or not at all, tensor after tensor, so that data made on demand
 * never lies in memory together.
 *
 * The header is padded so that the data begin at a multiple of 64. The format allows no gaps between
 * tensors; those of a multiple of 64 bytes therefore come first and all begin at a multiple of 64,
 * the rest follow in falling order of their own alignment and keep it.
 */
import type { FileHandle } from 'node:fs/promises';
import { WeightsError } from '../errors.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { quoted, storedSize } from './opened-weights.ts';
import type { StoredTensor } from './weight-file.ts';

/** Types that can be written; the bytes are taken as they are. */
export type WrittenType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I8' | 'U8' | 'BOOL';

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: WrittenType;
  readonly shape: readonly number[];
  /** Little endian, row-major; or what makes it, called when its turn has come. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

const ALIGNMENT = 64;
const LARGEST_WRITE = 2 ** 26;

/**
 * Answers where each tensor lies in the file, by name.
 * @throws WeightsError when a name stands twice or data do not fit their shape, and then leaves no
 * file behind; StoreError when the disk is full or refuses
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<ReadonlyMap<string, StoredTensor>> {
  const sorted = layOut(tensors, path);
  const header = encodeHeader(sorted, metadata);
  const written = new Map<string, StoredTensor>();
  await onDisk(path, () =>
    writeFileAtomic(path, async (handle) => {
      await writeAll(handle, header, 0);
      for (const { tensor, begin, sizeBytes } of sorted) {
        const { name, shape, dtype: type, data } = tensor;
        const view = typeof data === 'function' ? await data() : data;
        if (view.byteLength !== sizeBytes) {
          throw new WeightsError(
            `${path}: tensor ${quoted(name)} of shape [${shape}] takes ${sizeBytes} bytes as ${type}, got ${view.byteLength}`,
          );
        }
        const offset = header.length + begin;
        await writeAll(handle, new Uint8Array(view.buffer, view.byteOffset, sizeBytes), offset);
        written.set(name, { name, type, shape, offset, sizeBytes, path });
      }
    }),
  );
  return written;
}

interface Placed {
  readonly tensor: TensorToWrite;
  /** From the start of the data. */
  readonly begin: number;
  readonly sizeBytes: number;
}

function layOut(tensors: Iterable<TensorToWrite>, path: string): Placed[] {
  const names = new Set(['__metadata__']);
  const sized = [];
  for (const tensor of tensors) {
    const label = `${path}: tensor ${quoted(tensor.name)}`;
    if (names.has(tensor.name)) throw new WeightsError(`${label} stands twice, or is reserved`);
    names.add(tensor.name);
    sized.push({ tensor, sizeBytes: storedSize(tensor.dtype, tensor.shape, label) });
  }
  sized.sort((a, b) => alignmentOf(b.sizeBytes) - alignmentOf(a.sizeBytes));
  let end = 0;
  return sized.map(({ tensor, sizeBytes }) => {
    const begin = end;
    end += sizeBytes;
    return { tensor, begin, sizeBytes };
  });
}

/** The largest power of two up to 64 that divides a size. */
function alignmentOf(sizeBytes: number): number {
  let alignment = ALIGNMENT;
  while (sizeBytes % alignment !== 0) alignment /= 2;
  return alignment;
}

/** Length prefix and JSON, padded with spaces to a multiple of 64 bytes. */
function encodeHeader(
  placed: readonly Placed[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries = placed.map(({ tensor: { name, dtype, shape }, begin, sizeBytes }) => {
    return [name, { dtype, shape, data_offsets: [begin, begin + sizeBytes] }] as const;
  });
  const all: (readonly [string, unknown])[] =
    Object.keys(metadata).length > 0 ? [['__metadata__', metadata], ...entries] : entries;
  // Member by member, because an object would put names that look like integers first.
  const members = all.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = Buffer.from(`{${members.join(',')}}`);
  const length = Math.ceil((8 + json.length) / ALIGNMENT) * ALIGNMENT;
  const header = Buffer.alloc(length, ' ');
  header.writeBigUInt64LE(BigInt(length - 8));
  json.copy(header, 8);
  return header;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, LARGEST_WRITE);
    done += (await handle.write(bytes, done, length, at + done)).bytesWritten;
  }
}
