import { radixSort } from "../std/radix-sort.ts";
import { bytesOf, integersOf } from "../model/batch.ts";
import type { Batch, BytesColumn } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";
import { compareBytes, firstNotRising } from "../format/key.ts";

/**
 * The order of a batch's records by key, or undefined when they already stand in it. Integers go through a radix sort; names are
 * sorted within each run of equal integers by eight bytes at a time, since comparing them pairwise was most of the time of a backup.
 */
export function sortOrder(schema: TableSchema, batch: Batch): Uint32Array | undefined {
  if (firstNotRising(schema, batch) < 0) return undefined;
  const { count } = batch;
  const order = new Uint32Array(count);
  for (let row = 0; row < count; row += 1) order[row] = row;
  const scratch = new Uint32Array(count);
  let integers = schema.keyCount;
  const hasBytes = schema.columns[schema.keyCount - 1].type === "bytes";
  if (hasBytes) integers -= 1;
  for (let index = integers - 1; index >= 0; index -= 1) {
    const values = integersOf(batch, index);
    if (schema.columns[index].type === "u32") radixSort(order, scratch, 0, count, values, 1, 0);
    else {
      radixSort(order, scratch, 0, count, values, 2, 0);
      radixSort(order, scratch, 0, count, values, 2, 1);
      if (schema.columns[index].type === "i64") rotateNegative(order, values);
    }
  }
  if (hasBytes) {
    const sorter = new NameSorter(bytesOf(batch, schema.keyCount - 1), order, scratch);
    let start = 0;
    for (let row = 1; row <= count; row += 1) {
      if (row < count && sameIntegers(schema, batch, integers, order[row - 1], order[row])) continue;
      sorter.sort(start, row, 0);
      start = row;
    }
  }
  return order;
}

/** Two's complement sorts negatives last; they belong first. Stable, like the passes before and after it. */
function rotateNegative(order: Uint32Array, values: Uint32Array): void {
  let negatives = 0;
  for (const row of order) if (values[2 * row + 1] >= 0x80000000) negatives += 1;
  if (negatives === 0 || negatives === order.length) return;
  const sorted = new Uint32Array(order.length);
  let negativeAt = 0;
  let positiveAt = negatives;
  for (const row of order) {
    if (values[2 * row + 1] >= 0x80000000) {
      sorted[negativeAt] = row;
      negativeAt += 1;
    } else {
      sorted[positiveAt] = row;
      positiveAt += 1;
    }
  }
  order.set(sorted);
}

function sameIntegers(schema: TableSchema, batch: Batch, integers: number, a: number, b: number): boolean {
  for (let index = 0; index < integers; index += 1) {
    const values = integersOf(batch, index);
    if (schema.columns[index].type === "u32") {
      if (values[a] !== values[b]) return false;
    } else if (values[2 * a] !== values[2 * b] || values[2 * a + 1] !== values[2 * b + 1]) return false;
  }
  return true;
}

/** Up to this many names are sorted by insertion: a directory's few entries are mostly in order already. */
const insertionMax = 12;

class NameSorter {
  readonly #offsets: Uint32Array;
  readonly #arena: Uint8Array;
  readonly #order: Uint32Array;
  readonly #scratch: Uint32Array;
  /** Eight bytes of each record's name from the current depth, big-endian: [first four, next four]. */
  readonly #prefix: Uint32Array;

  constructor(names: BytesColumn, order: Uint32Array, scratch: Uint32Array) {
    this.#offsets = names.offsets;
    this.#arena = names.arena;
    this.#order = order;
    this.#scratch = scratch;
    this.#prefix = new Uint32Array(order.length * 2);
  }

  sort(from: number, to: number, depth: number): void {
    if (to - from <= insertionMax) {
      this.#insertionSort(from, to, depth);
      return;
    }
    const order = this.#order;
    const offsets = this.#offsets;
    const arena = this.#arena;
    const prefix = this.#prefix;
    const start = depth + this.#shared(from, to, depth);
    for (let at = from; at < to; at += 1) {
      const row = order[at];
      const name = offsets[row] + start;
      const end = offsets[row + 1];
      prefix[2 * row] = wordAt(arena, name, end);
      prefix[2 * row + 1] = wordAt(arena, name + 4, end);
    }
    radixSort(order, this.#scratch, from, to, prefix, 2, 1);
    radixSort(order, this.#scratch, from, to, prefix, 2, 0);
    let group = from;
    for (let at = from + 1; at <= to; at += 1) {
      if (
        at < to &&
        prefix[2 * order[at]] === prefix[2 * order[at - 1]] &&
        prefix[2 * order[at] + 1] === prefix[2 * order[at - 1] + 1]
      ) {
        continue;
      }
      if (at - group > 1) {
        // A name that ends within the eight bytes looks like one that goes on with zero bytes: only a full comparison tells them apart.
        if (this.#allLonger(group, at, start + 8)) this.sort(group, at, start + 8);
        else this.#compareSort(group, at);
      }
      group = at;
    }
  }

  #allLonger(from: number, to: number, depth: number): boolean {
    for (let at = from; at < to; at += 1) {
      const row = this.#order[at];
      if (this.#offsets[row + 1] - this.#offsets[row] <= depth) return false;
    }
    return true;
  }

  /** Bytes that all names of the range share beyond `depth`. */
  #shared(from: number, to: number, depth: number): number {
    const offsets = this.#offsets;
    const arena = this.#arena;
    const first = offsets[this.#order[from]] + depth;
    let shared = offsets[this.#order[from] + 1] - first;
    for (let at = from + 1; at < to && shared > 0; at += 1) {
      const row = this.#order[at];
      const name = offsets[row] + depth;
      const most = Math.min(shared, offsets[row + 1] - name);
      let length = 0;
      while (length < most && arena[first + length] === arena[name + length]) length += 1;
      shared = length;
    }
    return Math.max(0, shared);
  }

  #insertionSort(from: number, to: number, depth: number): void {
    const order = this.#order;
    const offsets = this.#offsets;
    const arena = this.#arena;
    for (let at = from + 1; at < to; at += 1) {
      const row = order[at];
      let slot = at;
      while (slot > from) {
        const before = order[slot - 1];
        const difference = compareBytes(
          arena,
          offsets[before] + depth,
          offsets[before + 1],
          arena,
          offsets[row] + depth,
          offsets[row + 1],
        );
        if (difference <= 0) break;
        order[slot] = before;
        slot -= 1;
      }
      order[slot] = row;
    }
  }

  #compareSort(from: number, to: number): void {
    const offsets = this.#offsets;
    const arena = this.#arena;
    this.#order
      .subarray(from, to)
      .sort((a, b) => compareBytes(arena, offsets[a], offsets[a + 1], arena, offsets[b], offsets[b + 1]));
  }
}

function wordAt(arena: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return (arena[at] << 24) | (arena[at + 1] << 16) | (arena[at + 2] << 8) | arena[at + 3];
  let word = 0;
  for (let shift = 24; at < end; at += 1, shift -= 8) word |= arena[at] << shift;
  return word;
}
