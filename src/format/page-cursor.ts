import { CairnError } from "../model/errors.ts";

/** Reads a page from front to back; whatever is out of bounds is `page-damaged`. */
export class PageCursor {
  readonly bytes: Uint8Array;
  readonly what: string;
  at = 0;

  constructor(bytes: Uint8Array, what: string) {
    // Not a Buffer: its slice() would be a view.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.what = what;
  }

  fail(reason: string): never {
    throw new CairnError(
      "page-damaged",
      `cannot decode ${this.what}: ${reason} (at byte ${this.at} of ${this.bytes.length})`,
      {
        exit: "repositoryDamaged",
      },
    );
  }

  /** Moves over `count` bytes and returns where they began. */
  skip(count: number): number {
    const start = this.at;
    if (count > this.bytes.length - start) this.fail("it ends too early");
    this.at = start + count;
    return start;
  }

  u8(): number {
    return this.bytes[this.skip(1)];
  }

  u32(): number {
    const at = this.skip(4);
    const { bytes } = this;
    return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  }

  /** A view of the next `count` bytes. */
  take(count: number): Uint8Array {
    const start = this.skip(count);
    return this.bytes.subarray(start, start + count);
  }

  /** A name: one length byte and ASCII. */
  name(): string {
    return String.fromCharCode(...this.take(this.u8()));
  }
}
