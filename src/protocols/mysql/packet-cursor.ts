import { MysqlProtocolError } from "./server-error.ts";

/** Reads the values of a packet one after the other: the cold path. */
export class PacketCursor {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A fixed number of 1 to 6 bytes, little-endian. */
  fixed(size: number): number {
    if (this.#at + size > this.#bytes.length) throw truncated();
    const value = this.#bytes.readUIntLE(this.#at, size);
    this.#at += size;
    return value;
  }

  /** A length-encoded integer; lengths beyond 2^53 do not occur. */
  integer(): number {
    const first = this.fixed(1);
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.fixed(2);
    if (first === 0xfd) return this.fixed(3);
    if (first === 0xfe) return this.fixed(4) + this.fixed(4) * 4294967296;
    throw new MysqlProtocolError("a length has an unknown form");
  }

  /** Length-encoded bytes, a view. */
  bytes(): Buffer {
    return this.take(this.integer());
  }

  /** A value of a text result: bytes, or null. */
  value(): Buffer | null {
    if (this.#bytes[this.#at] === 0xfb) {
      this.#at += 1;
      return null;
    }
    return this.bytes();
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw truncated();
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function truncated(): MysqlProtocolError {
  return new MysqlProtocolError("a packet is shorter than it says");
}
