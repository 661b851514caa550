import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { radixSort } from "../../std/radix-sort.ts";

/** A run of distinct slices in the order of their ids; valid until the next one is asked for. */
export interface SliceRun {
  readonly count: number;
  readonly idsLow: Uint32Array;
  readonly idsHigh: Uint32Array;
  readonly sizes: Uint32Array;
}

const bytesPerSlice = 12;
const blockSlices = 8192;

/**
 * Collects the slices that chunks name, in any order and with repetitions, and gives them back distinct and sorted by id: SQL engines have a
 * `chunk_ref` row for each, and fill that table fastest in key order. Memory is bounded: full buffers are sorted and written to a temporary
 * file. Of two slices with one id (damaged metadata) the first stays.
 */
export class SliceSet implements Disposable {
  readonly #folder: string;
  readonly #capacity: number;
  readonly #runs: SliceRunFile[] = [];
  #idsLow: Uint32Array;
  #idsHigh: Uint32Array;
  #sizes: Uint32Array;
  #count = 0;

  /** `memoryBytes` bounds buffers and sorting together. */
  constructor(folder: string, memoryBytes: number) {
    this.#folder = folder;
    // Twice: sorting needs as much again.
    this.#capacity = Math.max(blockSlices, Math.floor(memoryBytes / (2 * bytesPerSlice)));
    const first = Math.min(this.#capacity, 65536);
    this.#idsLow = new Uint32Array(first);
    this.#idsHigh = new Uint32Array(first);
    this.#sizes = new Uint32Array(first);
  }

  add(idLow: number, idHigh: number, size: number): void {
    if (this.#count === this.#idsLow.length) this.#makeRoom();
    const at = this.#count++;
    this.#idsLow[at] = idLow;
    this.#idsHigh[at] = idHigh;
    this.#sizes[at] = size;
  }

  #makeRoom(): void {
    if (this.#count < this.#capacity) {
      this.#resize(Math.min(this.#capacity, this.#count * 2));
      return;
    }
    this.#sort();
    if (this.#count > this.#capacity / 2) {
      this.#runs.push(writeSliceRun(this.#folder, this.#buffered()));
      this.#count = 0;
    }
  }

  #resize(length: number): void {
    const bigger = (values: Uint32Array): Uint32Array => {
      const copy = new Uint32Array(length);
      copy.set(values);
      return copy;
    };
    this.#idsLow = bigger(this.#idsLow);
    this.#idsHigh = bigger(this.#idsHigh);
    this.#sizes = bigger(this.#sizes);
  }

  #buffered(): SliceRun {
    return { count: this.#count, idsLow: this.#idsLow, idsHigh: this.#idsHigh, sizes: this.#sizes };
  }

  /** Sorts by id, stable, and drops repetitions. */
  #sort(): void {
    sortSlices(this.#idsLow, this.#idsHigh, this.#sizes, this.#count);
    let kept = 0;
    for (let at = 0; at < this.#count; at++) {
      if (kept > 0 && this.#idsLow[at] === this.#idsLow[kept - 1] && this.#idsHigh[at] === this.#idsHigh[kept - 1])
        continue;
      this.#idsLow[kept] = this.#idsLow[at];
      this.#idsHigh[kept] = this.#idsHigh[at];
      this.#sizes[kept++] = this.#sizes[at];
    }
    this.#count = kept;
  }

  /** Everything that was added; only once. */
  *sorted(): Generator<SliceRun> {
    this.#sort();
    if (this.#runs.length === 0) {
      yield this.#buffered();
      return;
    }
    this.#runs.push(writeSliceRun(this.#folder, this.#buffered()));
    this.#resizeToNothing();
    yield* mergeSliceRuns(this.#runs);
  }

  #resizeToNothing(): void {
    this.#idsLow = new Uint32Array(0);
    this.#idsHigh = new Uint32Array(0);
    this.#sizes = new Uint32Array(0);
    this.#count = 0;
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs.splice(0)) run[Symbol.dispose]();
  }
}

/** Sorts by id, equal ids in their order. */
function sortSlices(idsLow: Uint32Array, idsHigh: Uint32Array, sizes: Uint32Array, count: number): void {
  if (isSorted(idsLow, idsHigh, count)) return;
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  const scratch = new Uint32Array(count);
  radixSort(order, scratch, 0, count, idsLow, 1, 0);
  radixSort(order, scratch, 0, count, idsHigh, 1, 0);
  for (const values of [idsLow, idsHigh, sizes]) {
    for (let at = 0; at < count; at++) scratch[at] = values[order[at]];
    values.set(scratch);
  }
}

function isSorted(idsLow: Uint32Array, idsHigh: Uint32Array, count: number): boolean {
  for (let at = 1; at < count; at++) {
    if (idsHigh[at] < idsHigh[at - 1] || (idsHigh[at] === idsHigh[at - 1] && idsLow[at] < idsLow[at - 1])) return false;
  }
  return true;
}

interface SliceRunFile extends Disposable {
  /** Reads the next block into `block`; the number of slices, 0 at the end. */
  next(block: Uint32Array): number;
}

function writeSliceRun(folder: string, run: SliceRun): SliceRunFile {
  const path = join(folder, `slices-${randomUUID()}.run`);
  const file = openSync(path, "wx+", 0o600);
  // The name goes at once, so that nothing stays behind whatever happens.
  unlinkSync(path);
  const block = new Uint32Array(blockSlices * 3);
  const bytes = new Uint8Array(block.buffer);
  for (let start = 0; start < run.count; start += blockSlices) {
    const count = Math.min(blockSlices, run.count - start);
    for (let at = 0; at < count; at++) {
      block[3 * at] = run.idsLow[start + at];
      block[3 * at + 1] = run.idsHigh[start + at];
      block[3 * at + 2] = run.sizes[start + at];
    }
    let written = 0;
    while (written < count * bytesPerSlice) written += writeSync(file, bytes, written, count * bytesPerSlice - written);
  }
  const byteCount = run.count * bytesPerSlice;
  let position = 0;
  return {
    next(into) {
      const wanted = Math.min(into.byteLength, byteCount - position);
      const bytesInto = new Uint8Array(into.buffer);
      let got = 0;
      while (got < wanted) {
        const read = readSync(file, bytesInto, got, wanted - got, position + got);
        if (read === 0) throw new RangeError("a temporary file of slices ended early");
        got += read;
      }
      position += got;
      return got / bytesPerSlice;
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** One sorted run under way: its block and the place in it. */
interface Cursor {
  readonly run: SliceRunFile;
  readonly block: Uint32Array;
  count: number;
  at: number;
}

function* mergeSliceRuns(runs: readonly SliceRunFile[]): Generator<SliceRun> {
  // A heap by id, then by the order of the runs, so that the first of two equal ids comes first.
  const heap: Cursor[] = [];
  const order = new Map<Cursor, number>();
  for (const run of runs) {
    const block = new Uint32Array(blockSlices * 3);
    const cursor = { run, block, count: run.next(block), at: 0 };
    order.set(cursor, order.size);
    if (cursor.count > 0) heap.push(cursor);
  }
  const before = (a: Cursor, b: Cursor): boolean => {
    const high = a.block[3 * a.at + 1] - b.block[3 * b.at + 1];
    if (high !== 0) return high < 0;
    const low = a.block[3 * a.at] - b.block[3 * b.at];
    return low === 0 ? (order.get(a) ?? 0) < (order.get(b) ?? 0) : low < 0;
  };
  for (let root = (heap.length >> 1) - 1; root >= 0; root--) sink(heap, root, before);

  const out = {
    count: 0,
    idsLow: new Uint32Array(blockSlices),
    idsHigh: new Uint32Array(blockSlices),
    sizes: new Uint32Array(blockSlices),
  };
  let lastLow = 0;
  let lastHigh = 0;
  let any = false;
  while (heap.length > 0) {
    const top = heap[0];
    const low = top.block[3 * top.at];
    const high = top.block[3 * top.at + 1];
    if (!any || low !== lastLow || high !== lastHigh) {
      out.idsLow[out.count] = low;
      out.idsHigh[out.count] = high;
      out.sizes[out.count++] = top.block[3 * top.at + 2];
      if (out.count === blockSlices) {
        yield out;
        out.count = 0;
      }
      lastLow = low;
      lastHigh = high;
      any = true;
    }
    if (++top.at === top.count) {
      top.count = top.run.next(top.block);
      top.at = 0;
      if (top.count === 0) {
        const last = heap.pop();
        if (heap.length === 0 || last === undefined) break;
        heap[0] = last;
      }
    }
    sink(heap, 0, before);
  }
  if (out.count > 0) yield out;
}

function sink(heap: Cursor[], from: number, before: (a: Cursor, b: Cursor) => boolean): void {
  let parent = from;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= heap.length) return;
    if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], heap[parent])) return;
    [heap[parent], heap[child]] = [heap[child], heap[parent]];
    parent = child;
  }
}
