/** Bounded reads of a file whose sizes must not be believed. */
import { type FileHandle, open } from 'node:fs/promises';
import { WeightsError } from '../errors.ts';

export class FileReader {
  readonly path: string;
  readonly size: number;
  private readonly handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.handle = handle;
  }

  /** @throws WeightsError when there is no such file */
  static async open(path: string): Promise<FileReader> {
    try {
      const handle = await open(path, 'r');
      const stats = await handle.stat();
      if (!stats.isFile()) {
        await handle.close();
        throw new WeightsError(`${path}: expected a model file, it is not a regular file`);
      }
      return new FileReader(path, stats.size, handle);
    } catch (error) {
      if (error instanceof WeightsError) throw error;
      const reason = (error as NodeJS.ErrnoException).code;
      throw new WeightsError(
        reason === 'ENOENT'
          ? `${path}: no such model file, check the path`
          : `${path}: cannot be read (${reason})`,
        { cause: error },
      );
    }
  }

  /** Exactly `length` bytes. @throws WeightsError when the file ends before */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw new WeightsError(
        `${this.path}: truncated or damaged, bytes ${offset} to ${offset + length} are needed, the file has ${this.size}`,
      );
    }
    const out = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.handle.read(out, done, length - done, offset + done);
      if (bytesRead === 0) {
        throw new WeightsError(`${this.path}: became shorter while it was read, try again`);
      }
      done += bytesRead;
    }
    return out;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}
