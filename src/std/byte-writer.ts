/** A growing byte buffer with little-endian writers: for headers and hot column code alike. */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;
  /** Places where another kind of content begins: a compressor does better when it starts anew there. */
  readonly marks: number[] = [];

  constructor(capacity = 65_536) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `count` more bytes and returns where they begin; the caller fills them through `bytes`. */
  reserve(count: number): number {
    const start = this.length;
    const end = start + count;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, start));
      this.bytes = grown;
    }
    this.length = end;
    return start;
  }

  /** Empties the buffer, keeping its memory. */
  reset(): void {
    this.length = 0;
    this.marks.length = 0;
  }

  /** Notes a place in `marks`. */
  mark(at = this.length): void {
    this.marks.push(at);
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.bytes[at] = value;
  }

  u32(value: number): void {
    const at = this.reserve(4);
    this.patchU32(at, value);
  }

  /** Writes over four bytes that were reserved before. */
  patchU32(at: number, value: number): void {
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
    this.bytes[at + 2] = value >>> 16;
    this.bytes[at + 3] = value >>> 24;
  }

  write(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }
}
