/**
 * Reference counts follow from the slices that chunks and delayed-slice records name, so a backup stores only the counts that are not 1,
 * and checks all. While the tables stream by in any order, two sums are kept: h(id, size) for every mention, and refs times h(id, size) for
 * every stored row, modulo 2^32 under two independent hashes. Equal sums mean equal counts (but for one chance in 2^64); only unequal ones
 * cost a second pass (slice-ref-differences.ts), which names what differs.
 *
 * Slice id 0 is a hole and has no count. Rows with a count of 0 or less wait for their deletion and mention nothing.
 */
export class SliceRefCheck {
  #storedA = 0;
  #storedB = 0;
  #mentionedA = 0;
  #mentionedB = 0;
  #mentions = 0;
  #rows = 0;
  #maxIdLow = 0;
  #maxIdHigh = 0;

  /** One stored count, as the real number of references. */
  addStored(idLow: number, idHigh: number, size: number, refs: number): void {
    if (idLow === 0 && idHigh === 0) return;
    this.#rows++;
    this.#seeId(idLow, idHigh);
    if (refs <= 0) return;
    this.#storedA = (this.#storedA + Math.imul(hashA(idLow, idHigh, size), refs)) | 0;
    this.#storedB = (this.#storedB + Math.imul(hashB(idLow, idHigh, size), refs)) | 0;
  }

  /** One slice that a chunk or a delayed-slice record names. */
  addMention(idLow: number, idHigh: number, size: number): void {
    if (idLow === 0 && idHigh === 0) return;
    this.#mentions++;
    this.#seeId(idLow, idHigh);
    this.#mentionedA = (this.#mentionedA + hashA(idLow, idHigh, size)) | 0;
    this.#mentionedB = (this.#mentionedB + hashB(idLow, idHigh, size)) | 0;
  }

  #seeId(low: number, high: number): void {
    if (high > this.#maxIdHigh || (high === this.#maxIdHigh && low > this.#maxIdLow)) {
      this.#maxIdHigh = high;
      this.#maxIdLow = low;
    }
  }

  get agrees(): boolean {
    return this.#storedA === this.#mentionedA && this.#storedB === this.#mentionedB;
  }

  get mentions(): number {
    return this.#mentions;
  }

  get rows(): number {
    return this.#rows;
  }

  /** The highest slice id seen on either side, 0 when there was none. */
  get maxId(): bigint {
    return (BigInt(this.#maxIdHigh) << 32n) | BigInt(this.#maxIdLow);
  }
}

function hashA(low: number, high: number, size: number): number {
  let hash = Math.imul(low ^ 0x9e3779b9, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ high, 0xc2b2ae35);
  hash ^= hash >>> 13;
  hash = Math.imul(hash ^ size, 0x27d4eb2f);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x165667b1);
  return hash ^ (hash >>> 14);
}

function hashB(low: number, high: number, size: number): number {
  let hash = Math.imul(size ^ 0x7feb352d, 0x846ca68b);
  hash ^= hash >>> 16;
  hash = Math.imul(hash ^ low, 0x7f4a7c15);
  hash ^= hash >>> 14;
  hash = Math.imul(hash ^ high, 0x94d049bb);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
