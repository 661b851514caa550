import { i32At, numberPlaceBytes, u16At, u32At } from "./compact-entries.ts";
import { Crc64 } from "./crc64.ts";
import { writeDecimal } from "./decimal.ts";
import { expandLzf } from "./lzf.ts";

export interface RdbInputOptions {
  /** The longest string that is read whole. */
  readonly stringBytesMax: number;
  /** Whether the checksum is reckoned. */
  readonly isSummed: boolean;
  /** Called before bytes of the window are moved or overwritten. */
  beforeMove(): void;
  damaged(what: string): Error;
  unsupported(what: string): Error;
}

const windowBytes = 256 << 10;
/** A match of three bytes gives 264: a string that claims more is not worth its memory. */
const lzfRatioMax = 132;
/** What a huge string needed is not kept for the next ones. */
const keptBytesMax = 1 << 20;

/** Thrown, and caught again by the reader, where the bytes at hand end inside the piece that is being read. */
export const underflow = new Error("more bytes are needed");

/**
 * The bytes of an RDB as they come, in a window that is as long as the longest piece that must lie whole, and the numbers and strings
 * in it. A reader sets `piece` to where a piece begins; when `underflow` is thrown in it, it is read again once there are more bytes.
 */
export class RdbInput {
  readonly #options: RdbInputOptions;
  window = new Uint8Array(windowBytes);
  at = 0;
  limit = 0;
  piece = 0;
  /** Where in the RDB the window begins. */
  #base = 0;
  /** Bytes yet to come that are passed over without a look. */
  #discard = 0;
  readonly #crc = new Crc64();
  /** Up to where the window is in the checksum. */
  #summed = 0;

  /** The string that was read last: `bytes[start … end)`. */
  bytes: Uint8Array = this.window;
  start = 0;
  end = 0;
  /** The special form that the length read last stands for; -1: it was a length. */
  form = -1;
  readonly #numbers = new Uint8Array(2 * numberPlaceBytes);
  readonly #expanded = [new Uint8Array(windowBytes), new Uint8Array(windowBytes)];

  constructor(options: RdbInputOptions) {
    this.#options = options;
  }

  /** How far the RDB was read. */
  get offset(): number {
    return this.#base + this.at;
  }

  /** How far it came. */
  get cameBytes(): number {
    return this.#base + this.limit;
  }

  get heldBytes(): number {
    return this.window.length + this.#expanded[0].length + this.#expanded[1].length;
  }

  /** Takes a chunk, and calls `read` each time that there is more in the window; it returns once it needs more. */
  feed(chunk: Uint8Array, read: () => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#discard > 0) {
        const count = Math.min(this.#discard, chunk.length - at);
        if (this.#options.isSummed) this.#crc.update(chunk, at, at + count);
        this.#base += count;
        this.#discard -= count;
        at += count;
        continue;
      }
      this.#makeRoom();
      const count = Math.min(this.window.length - this.limit, chunk.length - at);
      this.window.set(at === 0 && count === chunk.length ? chunk : chunk.subarray(at, at + count), this.limit);
      this.limit += count;
      at += count;
      read();
      this.#sumUp();
      if (this.at === this.limit) this.#empty();
    }
  }

  #makeRoom(): void {
    if (this.limit < this.window.length) return;
    this.#options.beforeMove();
    if (this.at === 0) {
      const grown = new Uint8Array(this.window.length * 2);
      grown.set(this.window);
      this.window = grown;
      return;
    }
    this.window.copyWithin(0, this.at, this.limit);
    this.#base += this.at;
    this.limit -= this.at;
    this.#summed = 0;
    this.at = 0;
  }

  #empty(): void {
    this.#options.beforeMove();
    this.#base += this.limit;
    this.at = 0;
    this.limit = 0;
    this.#summed = 0;
    if (this.window.length > windowBytes) this.window = new Uint8Array(windowBytes);
  }

  #sumUp(): void {
    if (this.#options.isSummed) this.#crc.update(this.window, this.#summed, this.at);
    this.#summed = this.at;
  }

  /** Reads the checksum of all that stands before it. Returns whether there was one; throws when it is wrong. */
  checksum(): boolean {
    this.need(8);
    this.#sumUp();
    const low = u32At(this.window, this.at);
    const high = u32At(this.window, this.at + 4);
    const isThere = this.#options.isSummed && (low !== 0 || high !== 0);
    if (isThere && (low !== this.#crc.low || high !== this.#crc.high)) {
      throw this.#options.damaged("its checksum is wrong");
    }
    this.at += 8;
    this.#summed = this.at;
    return isThere;
  }

  need(count: number): void {
    if (this.at + count > this.limit) throw underflow;
  }

  /** Passes over so many bytes. */
  pass(count: number): void {
    this.need(count);
    this.at += count;
  }

  byte(): number {
    this.need(1);
    return this.window[this.at++];
  }

  /** A length, or the special form of the string that follows (`form`). Above 2^53 it is not exact. */
  length(): number {
    const { at, window } = this;
    if (at >= this.limit) throw underflow;
    const lead = window[at];
    this.form = -1;
    if (lead < 64) {
      this.at = at + 1;
      return lead;
    }
    if (lead < 128) {
      this.need(2);
      this.at = at + 2;
      return ((lead & 63) << 8) | window[at + 1];
    }
    if (lead >= 192) {
      this.at = at + 1;
      this.form = lead & 63;
      return 0;
    }
    if (lead === 0x80) {
      this.need(5);
      this.at = at + 5;
      return bigEndian32(window, at + 1);
    }
    if (lead !== 0x81) throw this.#options.damaged("a length has an unknown form");
    this.need(9);
    this.at = at + 9;
    return bigEndian32(window, at + 1) * 4294967296 + bigEndian32(window, at + 5);
  }

  /** A length that must be one. */
  count(): number {
    const length = this.length();
    if (this.form >= 0 || length > Number.MAX_SAFE_INTEGER) throw this.#options.damaged("a count is none");
    return length;
  }

  /** Reads a string into `bytes[start … end)`. Two can be held, in the places 0 and 1. */
  string(place: 0 | 1): void {
    const length = this.length();
    if (this.form >= 0) {
      this.#specialString(place);
      return;
    }
    const { at } = this;
    if (at + length > this.limit) {
      this.#requireReadable(length);
      throw underflow;
    }
    this.bytes = this.window;
    this.start = at;
    this.end = at + length;
    this.at = at + length;
  }

  #specialString(place: 0 | 1): void {
    const { form } = this;
    if (form === 3) {
      this.#expand(place);
      return;
    }
    if (form > 3) throw this.#options.damaged(`a string has the unknown form ${form}`);
    const size = 1 << form;
    this.need(size);
    const { at, window } = this;
    const value =
      size === 1 ? (window[at] << 24) >> 24 : size === 2 ? (u16At(window, at) << 16) >> 16 : i32At(window, at);
    this.at = at + size;
    this.bytes = this.#numbers;
    this.start = place * numberPlaceBytes;
    this.end = writeDecimal(value, this.#numbers, this.start);
  }

  #expand(place: 0 | 1): void {
    const packed = this.count();
    const length = this.count();
    this.#requireReadable(packed);
    this.#requireReadable(length);
    if (length > packed * lzfRatioMax) {
      throw this.#options.damaged("a compressed string claims too great a length");
    }
    this.need(packed);
    const { at } = this;
    if (this.#expanded[place].length < length) {
      this.#expanded[place] = new Uint8Array(Math.max(length, 2 * this.#expanded[place].length));
    }
    const to = this.#expanded[place];
    if (!expandLzf(this.window, at, at + packed, to, length)) {
      throw this.#options.damaged("a compressed string cannot be expanded");
    }
    this.at = at + packed;
    this.bytes = to;
    this.start = 0;
    this.end = length;
  }

  #requireReadable(length: number): void {
    const most = this.#options.stringBytesMax;
    if (length > most) {
      throw this.#options.unsupported(`a string has ${length} bytes, and ${most} is the most that is read`);
    }
  }

  /** Passes over a string of any length. */
  skipString(): void {
    let length = this.length();
    if (this.form === 3) {
      length = this.count();
      this.count();
    } else if (this.form > 3) throw this.#options.damaged(`a string has the unknown form ${this.form}`);
    else if (this.form >= 0) length = 1 << this.form;
    const here = this.limit - this.at;
    if (length <= here) {
      this.at += length;
      return;
    }
    if (length > Number.MAX_SAFE_INTEGER) throw this.#options.damaged("a length is none");
    this.#discard = length - here;
    this.at = this.limit;
  }

  /** Gives memory back that a huge string took. */
  trim(): void {
    for (const place of [0, 1]) {
      if (this.#expanded[place].length > keptBytesMax) this.#expanded[place] = new Uint8Array(windowBytes);
    }
  }
}

function bigEndian32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
