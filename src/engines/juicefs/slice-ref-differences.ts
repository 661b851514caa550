import type { Finding } from "../../model/ports.ts";
import { FindingCount } from "./finding.ts";
import { sliceBucketOf, sliceBuckets } from "./slice-ref-check.ts";

/** Receives one whole pass over the volume's slices: every mention, and every stored count. */
export interface SliceRefVisitor {
  mention(idLow: number, idHigh: number, size: number): void;
  stored(idLow: number, idHigh: number, size: number, refs: number): void;
}

/** Bytes that one slice costs in the table below: 32, and half as much again while it grows. */
const bytesPerSlice = 48;
const smallestTable = 1024;

/** Passes over the volume's slices; what they do not reach is not counted. */
const passesMax = 4;

/**
 * Names the slices whose stored count is not the number of mentions, all of them in the `unequal` buckets (slice-ref-check.ts). Runs `scan`
 * once when the ids of these buckets fit into `memoryBytes`, else with as many buckets at a time as fit, at most four times: then the
 * messages say "at least".
 */
export function findSliceRefDifferences(
  scan: (visitor: SliceRefVisitor) => void,
  unequal: readonly number[],
  memoryBytes: number,
): Finding[] {
  let done = 0;
  const counted = (count: number): string => (done < unequal.length ? `at least ${count}` : `${count}`);
  const differs = new FindingCount(
    "slice-ref-differs",
    "warning",
    (count) => `${counted(count)} slices have a reference count that is not the number of their mentions`,
  );
  const missing = new FindingCount(
    "slice-ref-missing",
    "warning",
    (count) => `${counted(count)} slices in use have no reference count; a restore gives them one`,
  );
  const leaked = new FindingCount(
    "slice-ref-leaked",
    "info",
    (count) => `${counted(count)} slices have a reference count but nothing refers to them`,
  );

  function judge(counts: SliceCounts): void {
    for (let index = 0; index < counts.size; index++) {
      const mentions = counts.mentions[index];
      const refs = counts.stored[index];
      const name = (): string => `slice ${counts.idOf(index)}, size ${counts.sizes[index]}`;
      if (Number.isNaN(refs)) missing.add(() => `${name()}: ${mentions} mentions`);
      else if (mentions === 0) {
        if (refs > 0) leaked.add(() => `${name()}: stored ${refs}`);
      } else if (refs !== mentions) differs.add(() => `${name()}: stored ${refs}, ${mentions} mentions`);
    }
  }

  const slicesMax = Math.max(smallestTable, Math.floor(memoryBytes / bytesPerSlice));
  for (let pass = 0; pass < passesMax && done < unequal.length; pass++) {
    const { counts, buckets } = countSlices(scan, unequal.slice(done), slicesMax);
    judge(counts);
    done += buckets;
  }
  return [...differs.toFindings(), ...missing.toFindings(), ...leaked.toFindings()];
}

/** Counts the slices of the first of the buckets in one pass: of all of them, or of half as many whenever the table is full. */
function countSlices(
  scan: (visitor: SliceRefVisitor) => void,
  wanted: readonly number[],
  slicesMax: number,
): { counts: SliceCounts; buckets: number } {
  const counts = new SliceCounts();
  let buckets = wanted.length;
  const isCounted = new Uint8Array(sliceBuckets);
  for (const bucket of wanted) isCounted[bucket] = 1;

  /** Where a slice is counted, or -1. */
  function placeOf(idLow: number, idHigh: number, size: number): number {
    if (isCounted[sliceBucketOf(idLow, idHigh)] === 0 || (idLow === 0 && idHigh === 0)) return -1;
    // The table doubles when it is full. One bucket alone is a 65,536th of the ids, and always has its place.
    while (counts.size === counts.capacity && 2 * counts.capacity > slicesMax && buckets > 1) {
      const kept = Math.ceil(buckets / 2);
      for (const bucket of wanted.slice(kept, buckets)) isCounted[bucket] = 0;
      buckets = kept;
      counts.keepOnly((low, high) => isCounted[sliceBucketOf(low, high)] === 1);
      if (isCounted[sliceBucketOf(idLow, idHigh)] === 0) return -1;
    }
    return counts.indexOf(idLow, idHigh, size); // may replace the arrays
  }

  scan({
    mention(idLow, idHigh, size) {
      const place = placeOf(idLow, idHigh, size);
      if (place >= 0) counts.mentions[place]++;
    },
    stored(idLow, idHigh, size, refs) {
      const place = placeOf(idLow, idHigh, size);
      if (place >= 0) counts.stored[place] = refs;
    },
  });
  return { counts, buckets };
}

/** An open-addressing table from (id, size) to both counts, in typed arrays, entries in order of arrival. */
class SliceCounts {
  #index = new Int32Array(2 * smallestTable).fill(-1);
  #idsLow = new Uint32Array(smallestTable);
  #idsHigh = new Uint32Array(smallestTable);
  sizes = new Uint32Array(smallestTable);
  mentions = new Uint32Array(smallestTable);
  /** NaN: no row. */
  stored = new Float64Array(smallestTable).fill(Number.NaN);
  size = 0;

  /** Slices that have room before the table doubles. */
  get capacity(): number {
    return this.sizes.length;
  }

  /** Drops the entries whose id does not pass. */
  keepOnly(isWanted: (idLow: number, idHigh: number) => boolean): void {
    let kept = 0;
    for (let entry = 0; entry < this.size; entry++) {
      if (!isWanted(this.#idsLow[entry], this.#idsHigh[entry])) continue;
      this.#idsLow[kept] = this.#idsLow[entry];
      this.#idsHigh[kept] = this.#idsHigh[entry];
      this.sizes[kept] = this.sizes[entry];
      this.mentions[kept] = this.mentions[entry];
      this.stored[kept++] = this.stored[entry];
    }
    this.mentions.fill(0, kept);
    this.stored.fill(Number.NaN, kept);
    this.size = kept;
    this.#index.fill(-1);
    this.#indexAll();
  }

  indexOf(idLow: number, idHigh: number, size: number): number {
    const mask = this.#index.length - 1;
    let slot = hash(idLow, idHigh, size) & mask;
    for (;;) {
      const entry = this.#index[slot];
      if (entry < 0) break;
      if (this.#idsLow[entry] === idLow && this.#idsHigh[entry] === idHigh && this.sizes[entry] === size) return entry;
      slot = (slot + 1) & mask;
    }
    if (this.size === this.sizes.length) {
      this.#grow();
      return this.indexOf(idLow, idHigh, size);
    }
    this.#index[slot] = this.size;
    this.#idsLow[this.size] = idLow;
    this.#idsHigh[this.size] = idHigh;
    this.sizes[this.size] = size;
    return this.size++;
  }

  idOf(index: number): bigint {
    return (BigInt(this.#idsHigh[index]) << 32n) | BigInt(this.#idsLow[index]);
  }

  #grow(): void {
    const capacity = this.size * 2;
    this.#idsLow = grown(this.#idsLow, new Uint32Array(capacity));
    this.#idsHigh = grown(this.#idsHigh, new Uint32Array(capacity));
    this.sizes = grown(this.sizes, new Uint32Array(capacity));
    this.mentions = grown(this.mentions, new Uint32Array(capacity));
    this.stored = grown(this.stored, new Float64Array(capacity).fill(Number.NaN));
    this.#index = new Int32Array(capacity * 2).fill(-1);
    this.#indexAll();
  }

  #indexAll(): void {
    const mask = this.#index.length - 1;
    for (let entry = 0; entry < this.size; entry++) {
      let slot = hash(this.#idsLow[entry], this.#idsHigh[entry], this.sizes[entry]) & mask;
      while (this.#index[slot] >= 0) slot = (slot + 1) & mask;
      this.#index[slot] = entry;
    }
  }
}

function grown<Values extends Uint32Array | Float64Array>(from: Values, to: Values): Values {
  to.set(from);
  return to;
}

function hash(low: number, high: number, size: number): number {
  let value = Math.imul(low ^ 0x2545f491, 0x85ebca6b);
  value ^= value >>> 15;
  value = Math.imul(value ^ high, 0xc2b2ae35) ^ Math.imul(size, 0x27d4eb2f);
  return (value ^ (value >>> 14)) >>> 0;
}
