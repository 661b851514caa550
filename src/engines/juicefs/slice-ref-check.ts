/** Groups of slice ids that are compared on their own. */
export const sliceBuckets = 65536;

/**
 * Reference counts follow from the slices that chunks and delayed-slice records name, so a backup stores only the counts that are not 1,
 * and checks all. While the tables stream by in any order, two sums are kept for each bucket of ids: refs times h(id, size) for every stored
 * row less h(id, size) for every mention, modulo 2^32 under two independent hashes. Both zero means equal counts (but for one chance in
 * 2^64); only the ids of other buckets cost a second pass (slice-ref-differences.ts), which names what differs.
 *
 * Slice id 0 is a hole and has no count. Rows with a count of 0 or less wait for their deletion and mention nothing.
 */
export class SliceRefCheck {
  /** Bucket `b` has its sums at `2b` and `2b + 1`. */
  readonly #sums = new Int32Array(2 * sliceBuckets);
  #maxIdLow = 0;
  #maxIdHigh = 0;

  /** One stored count, as the real number of references. */
  addStored(idLow: number, idHigh: number, size: number, refs: number): void {
    if (idLow === 0 && idHigh === 0) return;
    this.#seeId(idLow, idHigh);
    if (refs <= 0) return;
    const at = 2 * sliceBucketOf(idLow, idHigh);
    this.#sums[at] += Math.imul(hashA(idLow, idHigh, size), refs);
    this.#sums[at + 1] += Math.imul(hashB(idLow, idHigh, size), refs);
  }

  /** One slice that a chunk or a delayed-slice record names. */
  addMention(idLow: number, idHigh: number, size: number): void {
    if (idLow === 0 && idHigh === 0) return;
    this.#seeId(idLow, idHigh);
    const at = 2 * sliceBucketOf(idLow, idHigh);
    this.#sums[at] -= hashA(idLow, idHigh, size);
    this.#sums[at + 1] -= hashB(idLow, idHigh, size);
  }

  #seeId(low: number, high: number): void {
    if (high > this.#maxIdHigh || (high === this.#maxIdHigh && low > this.#maxIdLow)) {
      this.#maxIdHigh = high;
      this.#maxIdLow = low;
    }
  }

  /** The buckets that hold a slice whose stored count is not the number of its mentions. */
  unequalBuckets(): number[] {
    const unequal: number[] = [];
    for (let bucket = 0; bucket < sliceBuckets; bucket++) {
      if (this.#sums[2 * bucket] !== 0 || this.#sums[2 * bucket + 1] !== 0) unequal.push(bucket);
    }
    return unequal;
  }

  /** The highest slice id seen on either side, 0 when there was none. */
  get maxId(): bigint {
    return (BigInt(this.#maxIdHigh) << 32n) | BigInt(this.#maxIdLow);
  }
}

/** The bucket of a slice, by its id alone. */
export function sliceBucketOf(idLow: number, idHigh: number): number {
  return Math.imul(idLow ^ Math.imul(idHigh, 0x85ebca6b), 0x9e3779b1) >>> 16;
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
