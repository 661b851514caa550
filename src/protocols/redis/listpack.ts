import type { CompactEntries } from "./compact-entries.ts";
import { i24At, i32At, numberPlaceBytes, u16At, u32At } from "./compact-entries.ts";
import { writeDecimal, writeDecimal64 } from "./decimal.ts";

const headerBytes = 6;
const endMark = 0xff;
/** Stands for "count them": more elements than the header can say. */
const uncounted = 0xffff;

/** Redis' listpack (`listpack.c`): `bytes u32, count u16`, elements with their length behind each, 0xff. */
export class ListpackEntries implements CompactEntries {
  readonly #numbers = new Uint8Array(2 * numberPlaceBytes);
  #place = 0;
  #from: Uint8Array = this.#numbers;
  #at = 0;
  #last = 0;
  #left = 0;
  #isCounted = true;
  bytes: Uint8Array = this.#numbers;
  start = 0;
  end = 0;
  problem: string | undefined = undefined;

  open(bytes: Uint8Array, start: number, end: number): void {
    this.problem = undefined;
    this.#from = bytes;
    this.#at = start + headerBytes;
    this.#last = end - 1;
    if (end - start <= headerBytes || u32At(bytes, start) !== end - start || bytes[end - 1] !== endMark) {
      this.problem = "the frame of a listpack is wrong";
      return;
    }
    this.#left = u16At(bytes, start + 4);
    this.#isCounted = this.#left !== uncounted;
  }

  next(): boolean {
    if (this.problem !== undefined) return false;
    const at = this.#at;
    const last = this.#last;
    if (at >= last) {
      if (this.#isCounted && this.#left !== 0) this.problem = "a listpack holds fewer elements than it says";
      return false;
    }
    if (this.#isCounted && this.#left-- === 0) {
      this.problem = "a listpack holds more elements than it says";
      return false;
    }
    const bytes = this.#from;
    const lead = bytes[at];
    let behind: number;
    if ((lead & 0xc0) === 0x80) {
      this.start = at + 1;
      this.end = behind = at + 1 + (lead & 63);
      this.bytes = bytes;
    } else if (lead < 0x80) {
      behind = at + 1;
      this.#number(lead);
    } else if ((lead & 0xf0) === 0xe0) {
      this.start = at + 2;
      this.end = behind = at + 2 + (((lead & 15) << 8) | bytes[at + 1]);
      this.bytes = bytes;
    } else behind = this.#rare(lead, bytes, at);
    if (behind < 0 || behind >= last) return this.#fail("an element of a listpack reaches beyond its end");
    this.#at = lengthEnd(bytes, behind, behind - at, last);
    return this.#at >= 0 || this.#fail("an element of a listpack has a wrong length behind it");
  }

  #rare(lead: number, bytes: Uint8Array, at: number): number {
    if ((lead & 0xe0) === 0xc0) {
      const value = ((lead & 31) << 8) | bytes[at + 1];
      this.#number(value < 4096 ? value : value - 8192);
      return at + 2;
    }
    // No element ends so near to the end of the listpack that these reads leave it and the check after them does not see it.
    switch (lead) {
      case 0xf0:
        this.start = at + 5;
        this.end = at + 5 + u32At(bytes, at + 1);
        this.bytes = bytes;
        return this.end;
      case 0xf1:
        this.#number((u16At(bytes, at + 1) << 16) >> 16);
        return at + 3;
      case 0xf2:
        this.#number(i24At(bytes, at + 1));
        return at + 4;
      case 0xf3:
        this.#number(i32At(bytes, at + 1));
        return at + 5;
      case 0xf4:
        this.#place ^= numberPlaceBytes;
        this.start = this.#place;
        this.end = writeDecimal64(i32At(bytes, at + 1), i32At(bytes, at + 5), this.#numbers, this.#place);
        this.bytes = this.#numbers;
        return at + 9;
      default:
        return -1;
    }
  }

  #number(value: number): void {
    this.#place ^= numberPlaceBytes;
    this.start = this.#place;
    this.end = writeDecimal(value, this.#numbers, this.#place);
    this.bytes = this.#numbers;
  }

  #fail(problem: string): false {
    this.problem = problem;
    return false;
  }
}

/** Where the length behind an element of `length` bytes ends, or -1 when it is not that length. 7 bits a byte, the first the highest. */
function lengthEnd(bytes: Uint8Array, at: number, length: number, last: number): number {
  if (length <= 127) return bytes[at] === length ? at + 1 : -1;
  const size = length < 16383 ? 2 : length < 2097151 ? 3 : length < 268435455 ? 4 : 5;
  if (at + size > last) return -1;
  let value = bytes[at];
  for (let place = at + 1; place < at + size; place++) {
    if (bytes[place] < 128) return -1;
    value = value * 128 + (bytes[place] & 127);
  }
  return value === length ? at + size : -1;
}
