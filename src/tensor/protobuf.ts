/**
 * Writes protocol buffers: the few wire forms that ONNX needs, appended to one growing buffer.
 * Source: protobuf encoding specification; field numbers are in onnx.ts.
 */
export class ProtobufWriter {
  private bytes = new Uint8Array(1024);
  private length = 0;

  /** The bytes written so far. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }

  varint(field: number, value: number | bigint): this {
    this.tag(field, 0);
    this.raw(BigInt(value));
    return this;
  }

  float(field: number, value: number): this {
    this.tag(field, 5);
    this.reserve(4);
    new DataView(this.bytes.buffer).setFloat32(this.length, value, true);
    this.length += 4;
    return this;
  }

  text(field: number, value: string): this {
    return this.blob(field, new TextEncoder().encode(value));
  }

  blob(field: number, value: Uint8Array): this {
    this.tag(field, 2);
    this.raw(BigInt(value.length));
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
    return this;
  }

  /** A nested message. */
  message(field: number, write: (inner: ProtobufWriter) => void): this {
    const inner = new ProtobufWriter();
    write(inner);
    return this.blob(field, inner.bytes.subarray(0, inner.length));
  }

  private tag(field: number, wireType: number): void {
    this.raw(BigInt((field << 3) | wireType));
  }

  private raw(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    this.reserve(10);
    do {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      this.bytes[this.length++] = rest > 0n ? low | 0x80 : low;
    } while (rest > 0n);
  }

  private reserve(extra: number): void {
    if (this.length + extra <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + extra));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
