/**
 * Bounded reads of a file whose sizes must not be believed. What lies beyond the end, or a file
 * that shrinks while it is read, is a WeightsError; anything but a regular file is refused.
 */
import { constants, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { WeightsError } from '../errors.ts';

/** One system call reads at most this: Node's own limit is 2^31 - 1. */
const LARGEST_READ = 2 ** 30;

export class FileReader {
  readonly path: string;
  readonly size: number;
  private handle: FileHandle | undefined;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.handle = handle;
  }

  /** @throws WeightsError when there is no such file */
  static async open(path: string): Promise<FileReader> {
    let handle: FileHandle | undefined;
    try {
      // Non-blocking, because opening a named pipe would wait for its writer for ever.
      handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const stats = await handle.stat();
      if (!stats.isFile()) {
        throw new WeightsError(`${path}: expected a model file, it is not a regular file`);
      }
      return new FileReader(path, stats.size, handle);
    } catch (error) {
      await handle?.close();
      throw error instanceof WeightsError ? error : unreadable(path, error);
    }
  }

  /** Exactly `length` bytes. @throws WeightsError when the file ends before */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.checkRange(offset, length);
    const out = new Uint8Array(length);
    await this.readInto(out, offset);
    return out;
  }

  /** Fills `target` with the bytes from `offset` on. */
  async readInto(target: Uint8Array, offset: number): Promise<void> {
    this.checkRange(offset, target.length);
    const handle = this.opened();
    for (let done = 0; done < target.length; ) {
      const length = Math.min(target.length - done, LARGEST_READ);
      const { bytesRead } = await handle
        .read(target, done, length, offset + done)
        .catch((error) => {
          throw unreadable(this.path, error);
        });
      if (bytesRead === 0) throw this.shrunk();
      done += bytesRead;
    }
  }

  /** As `readInto`, at once: for headers, which are parsed value by value. */
  readIntoSync(target: Uint8Array, offset: number): void {
    this.checkRange(offset, target.length);
    const { fd } = this.opened();
    for (let done = 0; done < target.length; ) {
      let bytesRead: number;
      try {
        bytesRead = readSync(fd, target, done, target.length - done, offset + done);
      } catch (error) {
        throw unreadable(this.path, error);
      }
      if (bytesRead === 0) throw this.shrunk();
      done += bytesRead;
    }
  }

  /** May be called again. */
  async close(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.close();
  }

  private opened(): FileHandle {
    if (this.handle) return this.handle;
    throw new WeightsError(`${this.path}: was closed before it was read, open it again`);
  }

  private checkRange(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return;
    throw new WeightsError(
      `${this.path}: truncated or damaged, bytes ${offset} to ${offset + length} are needed, the file has ${this.size}; fetch it again`,
    );
  }

  private shrunk(): WeightsError {
    return new WeightsError(`${this.path}: became shorter while it was read, try again`);
  }
}

function unreadable(path: string, cause: unknown): WeightsError {
  const code = (cause as NodeJS.ErrnoException).code;
  const reason =
    code === 'ENOENT' ? 'no such model file, check the path' : `cannot be read (${code})`;
  return new WeightsError(`${path}: ${reason}`, { cause });
}
