import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { radixSort } from "../../../std/radix-sort.ts";

/** A pair of 64-bit numbers lies as four words: both halves of the first, then of the second, the low ones first. */
const wordsPerPair = 4;
const bytesPerPair = 4 * wordsPerPair;
const blockPairs = 4096;
const firstPairs = 4096;

/** Sorts pairs of 64-bit numbers, repetitions kept; what is above the memory goes to temporary files. */
export class PairSorter implements Disposable {
  readonly #folder: string;
  readonly #capacity: number;
  readonly #runs: RunFile[] = [];
  #words = new Uint32Array(firstPairs * wordsPerPair);
  #count = 0;

  /** `memoryBytes` bounds pairs and sorting together. */
  constructor(folder: string, memoryBytes: number) {
    this.#folder = folder;
    // Sorting needs two numbers a pair and a copy of a block beside the pairs.
    this.#capacity = Math.max(firstPairs, Math.floor(memoryBytes / (bytesPerPair + 8)));
  }

  add(firstLow: number, firstHigh: number, secondLow: number, secondHigh: number): void {
    if (this.#count * wordsPerPair === this.#words.length) this.#makeRoom();
    const at = wordsPerPair * this.#count++;
    this.#words[at] = firstLow;
    this.#words[at + 1] = firstHigh;
    this.#words[at + 2] = secondLow;
    this.#words[at + 3] = secondHigh;
  }

  #makeRoom(): void {
    if (this.#count < this.#capacity) {
      const grown = new Uint32Array(Math.min(this.#capacity, 2 * this.#count) * wordsPerPair);
      grown.set(this.#words);
      this.#words = grown;
    } else this.#spill();
  }

  #spill(): void {
    const blocks = sortedBlocks(this.#words, this.#count);
    this.#runs.push(writeRun(this.#folder, blocks, this.#count));
    this.#count = 0;
  }

  /** Blocks of pairs in order, each valid until the next one is asked for; only once. */
  *sorted(): Generator<{ readonly words: Uint32Array; readonly count: number }> {
    if (this.#runs.length === 0) {
      yield* sortedBlocks(this.#words, this.#count);
      return;
    }
    if (this.#count > 0) this.#spill();
    this.#words = new Uint32Array(0);
    yield* mergeRuns(this.#runs);
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs.splice(0)) closeSync(run.file);
  }
}

function* sortedBlocks(words: Uint32Array, count: number): Generator<{ words: Uint32Array; count: number }> {
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  const scratch = new Uint32Array(count);
  for (const word of [2, 3, 0, 1]) radixSort(order, scratch, 0, count, words, wordsPerPair, word);
  const block = new Uint32Array(blockPairs * wordsPerPair);
  for (let from = 0; from < count; from += blockPairs) {
    const pairs = Math.min(blockPairs, count - from);
    for (let at = 0; at < pairs; at++) {
      const source = wordsPerPair * order[from + at];
      for (let word = 0; word < wordsPerPair; word++) block[wordsPerPair * at + word] = words[source + word];
    }
    yield { words: block, count: pairs };
  }
}

interface RunFile {
  readonly file: number;
  readonly bytes: number;
}

function writeRun(folder: string, blocks: Iterable<{ words: Uint32Array; count: number }>, pairs: number): RunFile {
  const path = join(folder, `pairs-${randomUUID()}.run`);
  const file = openSync(path, "wx+", 0o600);
  // The name goes at once, so that nothing stays behind whatever happens.
  unlinkSync(path);
  for (const { words, count } of blocks) {
    const bytes = new Uint8Array(words.buffer, 0, count * bytesPerPair);
    let written = 0;
    while (written < bytes.length) written += writeSync(file, bytes, written);
  }
  return { file, bytes: pairs * bytesPerPair };
}

/** One sorted run under way: its block and the place in it. */
interface Cursor {
  readonly run: RunFile;
  readonly words: Uint32Array;
  position: number;
  count: number;
  at: number;
}

function* mergeRuns(runs: readonly RunFile[]): Generator<{ words: Uint32Array; count: number }> {
  const heap = runs.map((run): Cursor => ({
    run,
    words: new Uint32Array(blockPairs * wordsPerPair),
    position: 0,
    count: 0,
    at: 0,
  }));
  for (const cursor of heap) readBlock(cursor);
  for (let root = (heap.length >> 1) - 1; root >= 0; root--) sink(heap, root);
  const out = new Uint32Array(blockPairs * wordsPerPair);
  let count = 0;
  while (heap.length > 0) {
    const top = heap[0];
    for (let word = 0; word < wordsPerPair; word++) {
      out[wordsPerPair * count + word] = top.words[wordsPerPair * top.at + word];
    }
    if (++count === blockPairs) {
      yield { words: out, count };
      count = 0;
    }
    if (++top.at === top.count) readBlock(top);
    if (top.count === 0) {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) break;
      heap[0] = last;
    }
    sink(heap, 0);
  }
  if (count > 0) yield { words: out, count };
}

function readBlock(cursor: Cursor): void {
  const wanted = Math.min(cursor.words.byteLength, cursor.run.bytes - cursor.position);
  const bytes = new Uint8Array(cursor.words.buffer);
  let got = 0;
  while (got < wanted) {
    const read = readSync(cursor.run.file, bytes, got, wanted - got, cursor.position + got);
    if (read === 0) throw new RangeError("a temporary file of pairs ended early");
    got += read;
  }
  cursor.position += got;
  cursor.count = got / bytesPerPair;
  cursor.at = 0;
}

function sink(heap: Cursor[], from: number): void {
  let parent = from;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= heap.length) return;
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
    if (!isBefore(heap[child], heap[parent])) return;
    [heap[parent], heap[child]] = [heap[child], heap[parent]];
    parent = child;
  }
}

function isBefore(a: Cursor, b: Cursor): boolean {
  const left = wordsPerPair * a.at;
  const right = wordsPerPair * b.at;
  for (const word of [1, 0, 3, 2]) {
    const difference = a.words[left + word] - b.words[right + word];
    if (difference !== 0) return difference < 0;
  }
  return false;
}
