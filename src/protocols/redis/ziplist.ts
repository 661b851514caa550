import type { CompactEntries } from "./compact-entries.ts";
import { i24At, i32At, numberPlaceBytes, u16At, u32At } from "./compact-entries.ts";
import { writeDecimal, writeDecimal64 } from "./decimal.ts";

const headerBytes = 10;
const endMark = 0xff;
const uncounted = 0xffff;

/** Redis' ziplist (`ziplist.c`, before 7.0): `bytes u32, tail u32, count u16`, elements with the length of the one before, 0xff. */
export class ZiplistEntries implements CompactEntries {
  readonly #numbers = new Uint8Array(2 * numberPlaceBytes);
  #place = 0;
  #from: Uint8Array = this.#numbers;
  #at = 0;
  #last = 0;
  #left = 0;
  #isCounted = true;
  #before = 0;
  bytes: Uint8Array = this.#numbers;
  start = 0;
  end = 0;
  problem: string | undefined = undefined;

  open(bytes: Uint8Array, start: number, end: number): void {
    this.problem = undefined;
    this.#from = bytes;
    this.#at = start + headerBytes;
    this.#last = end - 1;
    this.#before = 0;
    if (end - start <= headerBytes || u32At(bytes, start) !== end - start || bytes[end - 1] !== endMark) {
      this.problem = "the frame of a ziplist is wrong";
      return;
    }
    this.#left = u16At(bytes, start + 8);
    this.#isCounted = this.#left !== uncounted;
  }

  next(): boolean {
    if (this.problem !== undefined) return false;
    const first = this.#at;
    const last = this.#last;
    if (first >= last) {
      if (this.#isCounted && this.#left !== 0) this.problem = "a ziplist holds fewer elements than it says";
      return false;
    }
    if (this.#isCounted && this.#left-- === 0) return this.#fail("a ziplist holds more elements than it says");
    const bytes = this.#from;
    let at = first;
    let before = bytes[at++];
    if (before === 254) {
      before = u32At(bytes, at);
      at += 4;
    }
    if (before !== this.#before) return this.#fail("an element of a ziplist has a wrong length before it");
    const behind = at >= last ? -1 : this.#element(bytes, at);
    if (behind < 0 || behind > last) return this.#fail("an element of a ziplist reaches beyond its end");
    this.#before = behind - first;
    this.#at = behind;
    return true;
  }

  #element(bytes: Uint8Array, at: number): number {
    const lead = bytes[at];
    switch (lead >> 6) {
      case 0:
        return this.#text(at + 1, lead & 63);
      case 1:
        return this.#text(at + 2, ((lead & 63) << 8) | bytes[at + 1]);
      case 2:
        return lead === 0x80
          ? this.#text(
              at + 5,
              ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0,
            )
          : -1;
      default:
        return this.#numeric(lead, bytes, at);
    }
  }

  #numeric(lead: number, bytes: Uint8Array, at: number): number {
    switch (lead) {
      case 0xc0:
        return this.#number((u16At(bytes, at + 1) << 16) >> 16, at + 3);
      case 0xd0:
        return this.#number(i32At(bytes, at + 1), at + 5);
      case 0xe0:
        this.#place ^= numberPlaceBytes;
        this.start = this.#place;
        this.end = writeDecimal64(i32At(bytes, at + 1), i32At(bytes, at + 5), this.#numbers, this.#place);
        this.bytes = this.#numbers;
        return at + 9;
      case 0xf0:
        return this.#number(i24At(bytes, at + 1), at + 4);
      case 0xfe:
        return this.#number((bytes[at + 1] << 24) >> 24, at + 2);
      default:
        return lead >= 0xf1 && lead <= 0xfd ? this.#number((lead & 15) - 1, at + 1) : -1;
    }
  }

  #text(start: number, length: number): number {
    this.bytes = this.#from;
    this.start = start;
    this.end = start + length;
    return this.end;
  }

  #number(value: number, behind: number): number {
    this.#place ^= numberPlaceBytes;
    this.start = this.#place;
    this.end = writeDecimal(value, this.#numbers, this.#place);
    this.bytes = this.#numbers;
    return behind;
  }

  #fail(problem: string): false {
    this.problem = problem;
    return false;
  }
}
