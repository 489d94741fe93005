/**
 * One member of a zip file, streamed to disk with every size checked first. Reads stored and
 * deflated members; leaves out zip64, encryption, several disks, and writing.
 */
import { createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { DataError } from '../errors.ts';

const MAX_DIRECTORY_BYTES = 16 * 2 ** 20;

interface Member {
  readonly method: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  /** Of the first packed byte. */
  readonly offset: number;
}

/**
 * Writes the member `name` of the zip at `path` to `target`.
 * @throws DataError when the file is not a zip, lacks the member, or its sizes do not hold
 */
export async function extractZipMember(
  path: string,
  name: string,
  target: string,
  options: { maxBytes: number; signal?: AbortSignal | undefined; onBytes?: (done: number) => void },
): Promise<void> {
  const file = await open(path, 'r');
  try {
    const member = await findMember(file, path, name);
    if (member.sizeBytes > options.maxBytes) {
      throw new DataError(
        `${path}: ${name} is ${member.sizeBytes} bytes, expected at most ${options.maxBytes}`,
      );
    }
    let done = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        done += chunk.length;
        options.onBytes?.(done);
        if (done <= member.sizeBytes) next(null, chunk);
        else
          next(
            new DataError(`${path}: ${name} unpacks to more than its ${member.sizeBytes} bytes`),
          );
      },
    });
    const packed = file.createReadStream({
      start: member.offset,
      end: member.offset + member.packedBytes - 1,
      autoClose: false,
    });
    const sink = createWriteStream(target, { flush: true });
    const signal = options.signal ?? new AbortController().signal;
    if (member.method === 0) await pipeline(packed, count, sink, { signal });
    else await pipeline(packed, createInflateRaw(), count, sink, { signal });
    if (done !== member.sizeBytes) {
      throw new DataError(`${path}: ${name} ends at ${done} of ${member.sizeBytes} bytes`);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith('Z_')) {
      throw new DataError(`${path}: ${name} is damaged (${(error as Error).message})`);
    }
    throw error;
  } finally {
    await file.close();
  }
}

async function findMember(file: FileHandle, path: string, name: string): Promise<Member> {
  const { size: fileBytes } = await file.stat();
  const directory = await readDirectory(file, path, fileBytes);
  const wanted = Buffer.from(name);
  for (let at = 0; at + 46 <= directory.length; ) {
    if (directory.readUInt32LE(at) !== 0x02014b50) break;
    const nameBytes = directory.readUInt16LE(at + 28);
    const skip = directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    if (directory.subarray(at + 46, at + 46 + nameBytes).equals(wanted)) {
      return checkMember(file, path, name, directory.subarray(at), fileBytes);
    }
    at += 46 + nameBytes + skip;
  }
  throw new DataError(`${path}: has no member ${name}`);
}

/** The central directory, found from the record at the end of the file. */
async function readDirectory(file: FileHandle, path: string, fileBytes: number): Promise<Buffer> {
  const tailBytes = Math.min(fileBytes, 22 + 0xffff);
  const tail = await readExactly(file, path, fileBytes - tailBytes, tailBytes);
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || end + 22 > tail.length) throw new DataError(`${path}: not a zip file`);
  const sizeBytes = tail.readUInt32LE(end + 12);
  const offset = tail.readUInt32LE(end + 16);
  if (sizeBytes > MAX_DIRECTORY_BYTES || offset + sizeBytes > fileBytes) {
    throw new DataError(`${path}: the zip's directory does not lie inside the file`);
  }
  return readExactly(file, path, offset, sizeBytes);
}

async function checkMember(
  file: FileHandle,
  path: string,
  name: string,
  entry: Buffer,
  fileBytes: number,
): Promise<Member> {
  const flags = entry.readUInt16LE(8);
  const method = entry.readUInt16LE(10);
  const packedBytes = entry.readUInt32LE(20);
  const sizeBytes = entry.readUInt32LE(24);
  const localAt = entry.readUInt32LE(42);
  if ((flags & 1) !== 0 || (method !== 0 && method !== 8)) {
    throw new DataError(`${path}: ${name} is encrypted or packed by method ${method}`);
  }
  const local = await readExactly(file, path, localAt, 30);
  if (local.readUInt32LE(0) !== 0x04034b50) {
    throw new DataError(`${path}: ${name} has no local header at ${localAt}`);
  }
  const offset = localAt + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (offset + packedBytes > fileBytes || packedBytes === 0) {
    throw new DataError(`${path}: ${name} does not lie inside the file`);
  }
  return { method, packedBytes, sizeBytes, offset };
}

async function readExactly(
  file: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  if (bytesRead < length)
    throw new DataError(`${path}: the zip is cut off at ${offset + bytesRead}`);
  return buffer;
}
