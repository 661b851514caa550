import type { Finding } from "../../model/ports.ts";
import { FindingCount } from "./finding.ts";

/** Receives one whole pass over the volume's slices: every mention, and every stored count. */
export interface SliceRefVisitor {
  mention(idLow: number, idHigh: number, size: number): void;
  stored(idLow: number, idHigh: number, size: number, refs: number): void;
}

/** Bytes that one slice costs in the table below, its place in the index included. */
const bytesPerSlice = 40;

/**
 * Names the slices whose stored count is not the number of mentions. Runs `scan` once for each partition of the ids, as many as keep
 * the table within `memoryBytes`; `slices` is the number of mentions and rows together.
 */
export function findSliceRefDifferences(
  scan: (visitor: SliceRefVisitor) => void,
  slices: number,
  memoryBytes: number,
): Finding[] {
  const partitions = Math.max(1, Math.ceil((slices * bytesPerSlice) / memoryBytes));
  const differs = new FindingCount(
    "slice-ref-differs",
    "warning",
    (count) => `${count} slices have a reference count that is not the number of their mentions`,
  );
  const missing = new FindingCount(
    "slice-ref-missing",
    "warning",
    (count) => `${count} slices in use have no reference count; a restore gives them one`,
  );
  const leaked = new FindingCount(
    "slice-ref-leaked",
    "info",
    (count) => `${count} slices have a reference count but nothing refers to them`,
  );
  for (let partition = 0; partition < partitions; partition++) {
    const counts = new SliceCounts();
    const inPartition = (idLow: number, idHigh: number): boolean =>
      (idLow !== 0 || idHigh !== 0) && (Math.imul(idLow ^ idHigh, 0x9e3779b1) >>> 0) % partitions === partition;
    scan({
      mention(idLow, idHigh, size) {
        if (!inPartition(idLow, idHigh)) return;
        const index = counts.indexOf(idLow, idHigh, size); // may replace the arrays
        counts.mentions[index]++;
      },
      stored(idLow, idHigh, size, refs) {
        if (!inPartition(idLow, idHigh)) return;
        const index = counts.indexOf(idLow, idHigh, size);
        counts.stored[index] = refs;
      },
    });
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
  return [...differs.toFindings(), ...missing.toFindings(), ...leaked.toFindings()];
}

/** An open-addressing table from (id, size) to both counts, in typed arrays, entries in order of arrival. */
class SliceCounts {
  #index = new Int32Array(2048).fill(-1);
  #idsLow = new Uint32Array(1024);
  #idsHigh = new Uint32Array(1024);
  sizes = new Uint32Array(1024);
  mentions = new Uint32Array(1024);
  /** NaN: no row. */
  stored = new Float64Array(1024).fill(Number.NaN);
  size = 0;

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
