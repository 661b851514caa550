import type { CompactEntries } from "./compact-entries.ts";
import { i32At, numberPlaceBytes, u16At, u32At } from "./compact-entries.ts";
import { writeDecimal, writeDecimal64 } from "./decimal.ts";

const headerBytes = 8;

/** Redis' intset: `width u32 (2, 4 or 8), count u32`, then numbers of that width in ascending order. */
export class IntsetEntries implements CompactEntries {
  readonly #numbers = new Uint8Array(2 * numberPlaceBytes);
  #place = 0;
  #from: Uint8Array = this.#numbers;
  #at = 0;
  #last = 0;
  #width = 2;
  readonly bytes: Uint8Array = this.#numbers;
  start = 0;
  end = 0;
  problem: string | undefined = undefined;

  open(bytes: Uint8Array, start: number, end: number): void {
    this.#from = bytes;
    this.#at = start + headerBytes;
    this.#last = end;
    const isFramed = end - start >= headerBytes;
    this.#width = isFramed ? u32At(bytes, start) : 0;
    const isRight =
      (this.#width === 2 || this.#width === 4 || this.#width === 8) &&
      headerBytes + this.#width * u32At(bytes, start + 4) === end - start;
    this.problem = isRight ? undefined : "the frame of an intset is wrong";
  }

  next(): boolean {
    if (this.problem !== undefined || this.#at >= this.#last) return false;
    const bytes = this.#from;
    const at = this.#at;
    this.#place ^= numberPlaceBytes;
    this.start = this.#place;
    if (this.#width === 8)
      this.end = writeDecimal64(i32At(bytes, at), i32At(bytes, at + 4), this.#numbers, this.#place);
    else {
      const value = this.#width === 2 ? (u16At(bytes, at) << 16) >> 16 : i32At(bytes, at);
      this.end = writeDecimal(value, this.#numbers, this.#place);
    }
    this.#at = at + this.#width;
    return true;
  }
}
