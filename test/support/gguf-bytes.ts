/** Builds GGUF files byte by byte, so that a test can make one that lies. */

export interface GgufTensor {
  readonly name: string;
  /** Innermost first, as GGUF stores them. */
  readonly dims: readonly (number | bigint)[];
  /** ggml's type number: 0 is F32. */
  readonly type?: number;
  /** From the start of the data. */
  readonly offset: number | bigint;
}

export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  /** What the file says; by default the truth. */
  readonly tensorCount?: bigint;
  readonly keyCount?: bigint;
  readonly keys?: readonly Buffer[];
  readonly tensors?: readonly GgufTensor[];
  /** Bytes after the padded header. */
  readonly data?: Uint8Array;
}

export function ggufBytes(parts: GgufParts): Buffer {
  const { keys = [], tensors = [], data = new Uint8Array(0) } = parts;
  const header = Buffer.concat([
    Buffer.from(parts.magic ?? 'GGUF'),
    u32(parts.version ?? 3),
    u64(parts.tensorCount ?? tensors.length),
    u64(parts.keyCount ?? keys.length),
    ...keys,
    ...tensors.flatMap(({ name, dims, type = 0, offset }) => [
      text(name),
      u32(dims.length),
      ...dims.map(u64),
      u32(type),
      u64(offset),
    ]),
  ]);
  const padding = Buffer.alloc(Math.ceil(header.length / 32) * 32 - header.length);
  return Buffer.concat([header, padding, data]);
}

/** A key with the bytes of its value. */
export function ggufKey(name: string, type: number, ...value: readonly Buffer[]): Buffer {
  return Buffer.concat([text(name), u32(type), ...value]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

export function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

export function u64(value: number | bigint): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
}
