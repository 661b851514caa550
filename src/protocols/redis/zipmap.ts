import type { CompactEntries } from "./compact-entries.ts";
import { u32At } from "./compact-entries.ts";

/**
 * Redis' zipmap (hashes before 2.6): a count, then `length, name, length, free, value, free bytes` in turn, 0xff. Names and values come
 * alternately. A length is one byte, or 254 and a u32.
 */
export class ZipmapEntries implements CompactEntries {
  #at = 0;
  #last = 0;
  #isValue = false;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  problem: string | undefined = undefined;

  open(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.#at = start + 1;
    this.#last = end - 1;
    this.#isValue = false;
    this.problem = end - start < 2 || bytes[end - 1] !== 0xff ? "the frame of a zipmap is wrong" : undefined;
  }

  next(): boolean {
    if (this.problem !== undefined || this.#at >= this.#last) return false;
    const { bytes } = this;
    let at = this.#at;
    let length = bytes[at++];
    if (length === 254) {
      length = u32At(bytes, at);
      at += 4;
    } else if (length === 255) return this.#fail();
    const free = this.#isValue ? bytes[at++] : 0;
    this.start = at;
    this.end = at + length;
    this.#at = this.end + free;
    this.#isValue = !this.#isValue;
    return this.#at <= this.#last || this.#fail();
  }

  #fail(): false {
    this.problem = "an element of a zipmap reaches beyond its end";
    return false;
  }
}
