import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Partitions that are gone through one by one at the end. */
const partitionCount = 64;
const bufferRecords = 1024;
const firstRecords = 16;

/**
 * Small records of a few 32-bit words, put aside in the order in which they come and read back by partition: all that must be joined on one
 * number is put into one partition by it, and so a 64th must fit into memory. What is more than a few thousand of them lies in a temporary
 * file.
 */
export class WordPartitions implements Disposable {
  readonly #folder: string;
  readonly #width: number;
  readonly #buffers: Uint32Array[] = [];
  readonly #counts = new Uint32Array(partitionCount);
  /** Places in the file, each of `bufferRecords` records, by partition. */
  readonly #blocks: number[][] = [];
  #file: number | undefined;
  #written = 0;

  constructor(folder: string, width: number) {
    this.#folder = folder;
    this.#width = width;
    for (let partition = 0; partition < partitionCount; partition++) {
      this.#buffers.push(new Uint32Array(0));
      this.#blocks.push([]);
    }
  }

  static readonly count = partitionCount;

  /** Adds a record of up to seven words; `low` and `high` are what it is joined on. */
  add(low: number, high: number, a: number, b = 0, c = 0, d = 0, e = 0): void {
    const partition = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> 26;
    let at = this.#counts[partition];
    if (at * this.#width === this.#buffers[partition].length) {
      this.#makeRoom(partition);
      at = this.#counts[partition];
    }
    this.#counts[partition] = at + 1;
    const words = this.#buffers[partition];
    const place = at * this.#width;
    words[place] = low;
    words[place + 1] = high;
    words[place + 2] = a;
    if (this.#width > 3) words[place + 3] = b;
    if (this.#width > 4) words[place + 4] = c;
    if (this.#width > 5) words[place + 5] = d;
    if (this.#width > 6) words[place + 6] = e;
  }

  #makeRoom(partition: number): void {
    const buffer = this.#buffers[partition];
    const records = buffer.length / this.#width;
    if (records < bufferRecords) {
      const grown = new Uint32Array(Math.max(firstRecords, records * 4) * this.#width);
      grown.set(buffer);
      this.#buffers[partition] = grown;
      return;
    }
    this.#file ??= openNameless(this.#folder);
    const bytes = new Uint8Array(buffer.buffer);
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#file, bytes, done, bytes.length - done, this.#written + done);
    this.#blocks[partition].push(this.#written);
    this.#written += bytes.length;
    this.#counts[partition] = 0;
  }

  /** All words of a partition, record after record. */
  read(partition: number): Uint32Array<ArrayBuffer> {
    const last = this.#counts[partition] * this.#width;
    const blockWords = bufferRecords * this.#width;
    const blocks = this.#blocks[partition];
    const words = new Uint32Array(blocks.length * blockWords + last);
    blocks.forEach((position, index) => {
      this.#readBlock(new Uint8Array(words.buffer, index * blockWords * 4, blockWords * 4), position);
    });
    words.set(this.#buffers[partition].subarray(0, last), blocks.length * blockWords);
    return words;
  }

  #readBlock(into: Uint8Array, position: number): void {
    let done = 0;
    while (done < into.length) {
      const read = this.#file === undefined ? 0 : readSync(this.#file, into, done, into.length - done, position + done);
      if (read === 0) throw new RangeError("a temporary file ended early");
      done += read;
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** The name goes at once, so that nothing stays behind whatever happens. */
function openNameless(folder: string): number {
  const path = join(folder, `parts-${randomUUID()}.run`);
  const file = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return file;
}
