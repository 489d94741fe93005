/**
 * Reads a GGUF header value by value through a window: small reads cost no system call each, and a
 * count is checked against what the file still holds before anything is made for it.
 */
import { WeightsError } from '../errors.ts';
import type { FileReader } from './file-reader.ts';

const WINDOW = 2 ** 20;
/** Vocabularies of 260,000 tokens with merges take about 12 MiB. */
const MAX_HEADER = 2 ** 26;

export class GgufCursor {
  /** The next byte to read, from the start of the file. */
  at = 0;
  private readonly file: FileReader;
  private window: Buffer = Buffer.alloc(0);
  private windowAt = 0;

  constructor(file: FileReader) {
    this.file = file;
  }

  /** An error that names the file and the place. */
  bad(what: string): WeightsError {
    return new WeightsError(`${this.file.path}: not a sound GGUF file, ${what} (byte ${this.at})`);
  }

  u32(): number {
    const at = this.take(4);
    return this.window.readUInt32LE(at);
  }

  u64(): bigint {
    const at = this.take(8);
    return this.window.readBigUInt64LE(at);
  }

  /** A 64-bit number that must be exact in a double. */
  size(what: string): number {
    const value = this.u64();
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw this.bad(`${what} is ${value}`);
  }

  /** A count of things of which each takes at least `bytesEach`. */
  count(what: string, bytesEach: number, limit: number): number {
    const count = this.u64();
    const most = Math.min(limit, Math.floor((this.file.size - this.at) / bytesEach));
    if (count <= BigInt(most)) return Number(count);
    throw this.bad(`it announces ${count} ${what}, at most ${most} fit`);
  }

  /** The next `length` bytes; valid until the next call. */
  bytes(length: number): Buffer {
    const at = this.take(length);
    return this.window.subarray(at, at + length);
  }

  /** Moves on by `length` bytes and answers where they lie in the window. */
  private take(length: number): number {
    const end = this.at + length;
    if (end > this.file.size)
      throw this.bad(`it ends within its header, at ${this.file.size} bytes`);
    if (end > MAX_HEADER) throw this.bad(`its header is longer than ${MAX_HEADER} bytes`);
    if (end > this.windowAt + this.window.length) {
      const size = Math.max(length, Math.min(WINDOW, this.file.size - this.at));
      this.window = Buffer.allocUnsafeSlow(size);
      this.file.readIntoSync(this.window, this.at);
      this.windowAt = this.at;
    }
    const at = this.at - this.windowAt;
    this.at = end;
    return at;
  }
}
