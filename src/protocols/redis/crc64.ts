/**
 * The CRC-64 of an RDB ("Jones": polynomial ad93d23594c935a9, reflected, start 0, no final xor), eight bytes at a step. JavaScript has no
 * fast 64-bit integers, so each table and the state are kept in two halves of 32 bits.
 */
export class Crc64 {
  #low: number;
  #high: number;

  /** The halves of a checksum to go on from. */
  constructor(low = 0, high = 0) {
    this.#low = low;
    this.#high = high;
  }

  /** Takes `bytes[start … end)` in. */
  update(bytes: Uint8Array, start: number, end: number): void {
    let low = this.#low;
    let high = this.#high;
    let at = start;
    for (const last = end - 8; at <= last; at += 8) {
      low ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      high ^= bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
      const a = (low & 255) | 0x700;
      const b = ((low >>> 8) & 255) | 0x600;
      const c = ((low >>> 16) & 255) | 0x500;
      const d = (low >>> 24) | 0x400;
      const e = (high & 255) | 0x300;
      const f = ((high >>> 8) & 255) | 0x200;
      const g = ((high >>> 16) & 255) | 0x100;
      const h = high >>> 24;
      low =
        lowTables[a] ^
        lowTables[b] ^
        lowTables[c] ^
        lowTables[d] ^
        lowTables[e] ^
        lowTables[f] ^
        lowTables[g] ^
        lowTables[h];
      high =
        highTables[a] ^
        highTables[b] ^
        highTables[c] ^
        highTables[d] ^
        highTables[e] ^
        highTables[f] ^
        highTables[g] ^
        highTables[h];
    }
    for (; at < end; at++) {
      const index = (low ^ bytes[at]) & 255;
      low = ((low >>> 8) | (high << 24)) ^ lowTables[index];
      high = (high >>> 8) ^ highTables[index];
    }
    this.#low = low;
    this.#high = high;
  }

  /** The least significant 32 bits, unsigned. */
  get low(): number {
    return this.#low >>> 0;
  }

  /** The most significant 32 bits, unsigned. */
  get high(): number {
    return this.#high >>> 0;
  }
}

/** The polynomial, bits reversed. */
const polynomialLow = 0xac4bc9b5 | 0;
const polynomialHigh = 0x95ac9329 | 0;

/** Table `k` at `256 k`: what a byte does that `k` more bytes follow. */
const lowTables = new Int32Array(8 * 256);
const highTables = new Int32Array(8 * 256);

for (let byte = 0; byte < 256; byte++) {
  let low = byte;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const isSet = (low & 1) === 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (isSet) {
      low ^= polynomialLow;
      high ^= polynomialHigh;
    }
  }
  lowTables[byte] = low;
  highTables[byte] = high;
}
for (let at = 256; at < 8 * 256; at++) {
  const low = lowTables[at - 256];
  const high = highTables[at - 256];
  lowTables[at] = ((low >>> 8) | (high << 24)) ^ lowTables[low & 255];
  highTables[at] = (high >>> 8) ^ highTables[low & 255];
}
