import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

const blockBytes = 1 << 20;

/** Bytes in memory that wait to be taken; what is above goes to a temporary file. */
const memoryBytes = 8 << 20;

/** A run of waiting bytes: in memory, or in a file that is `owned` when it is closed at its end. */
type Piece =
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly file: number; from: number; readonly to: number; readonly isOwned: boolean };

/**
 * A stream of bytes from a writer that cannot wait to a taker that is slow: memory is bounded, and what does not fit lies in a temporary file
 * without a name. Written through `bytes` at the position that `reserve` gives.
 */
export class SpillOutput implements Disposable {
  bytes = new Uint8Array(blockBytes);
  readonly #folder: string;
  readonly #pieces: Piece[] = [];
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  #length = 0;
  #inMemory = 0;
  #overflow: number | undefined;
  #overflowEnd = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the block under way ends. */
  get length(): number {
    return this.#length;
  }

  /** Makes room for `count` bytes, which the caller fills before the next call, and returns where they begin. */
  reserve(count: number): number {
    if (this.#length + count > this.bytes.length) this.#startBlock(count);
    const start = this.#length;
    this.#length += count;
    return start;
  }

  /** Gives the last bytes of a reservation back. */
  giveBack(count: number): void {
    this.#length -= count;
  }

  write(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** Takes over the first `length` bytes of a file, and closes it when they are taken. */
  appendFile(file: number, length: number): void {
    this.#startBlock(0);
    this.#pieces.push({ file, from: 0, to: length, isOwned: true });
  }

  #startBlock(count: number): void {
    if (this.#length > 0) {
      this.#pieces.push({ bytes: this.bytes.subarray(0, this.#length) });
      this.#inMemory += this.#length;
      const spare = count <= blockBytes ? this.#spare.pop() : undefined;
      this.bytes = spare ?? new Uint8Array(Math.max(blockBytes, count));
      this.#length = 0;
    } else if (count > this.bytes.length) this.bytes = new Uint8Array(count);
    if (this.#inMemory > memoryBytes) this.#spill();
  }

  #spill(): void {
    this.#overflow ??= openNameless(this.#folder);
    this.#pieces.forEach((piece, index) => {
      if ("file" in piece) return;
      const from = this.#overflowEnd;
      writeAll(this.#overflow as number, piece.bytes, from);
      this.#overflowEnd += piece.bytes.length;
      this.#pieces[index] = { file: this.#overflow as number, from, to: this.#overflowEnd, isOwned: false };
      this.recycle(piece.bytes);
    });
    this.#inMemory = 0;
  }

  /** The next bytes, which are the caller's until `recycle`; nothing when all are taken. With `all`, also those of the block under way. */
  take(all: boolean): Uint8Array<ArrayBuffer> | undefined {
    if (all && this.#pieces.length === 0) this.#startBlock(0);
    const piece = this.#pieces[0];
    if (piece === undefined) {
      // Everything that overflowed is taken: the file begins anew.
      this.#overflowEnd = 0;
      return undefined;
    }
    if ("bytes" in piece) {
      this.#pieces.shift();
      this.#inMemory -= piece.bytes.length;
      return piece.bytes;
    }
    const block = this.#spare.pop() ?? new Uint8Array(blockBytes);
    const wanted = Math.min(block.length, piece.to - piece.from);
    readAll(piece.file, block, wanted, piece.from);
    piece.from += wanted;
    if (piece.from === piece.to) {
      this.#pieces.shift();
      if (piece.isOwned) closeSync(piece.file);
    }
    return block.subarray(0, wanted);
  }

  /** Gives the memory of taken bytes back. */
  recycle(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.buffer.byteLength === blockBytes && this.#spare.length < 8)
      this.#spare.push(new Uint8Array(bytes.buffer));
  }

  [Symbol.dispose](): void {
    for (const piece of this.#pieces.splice(0)) if ("file" in piece && piece.isOwned) closeSync(piece.file);
    if (this.#overflow !== undefined) closeSync(this.#overflow);
    this.#overflow = undefined;
  }
}

/** Opens a file that must not be there yet, for reading and writing, for its owner alone. */
export function openNewFile(path: string): number {
  return openSync(path, "wx+", 0o600);
}

/** A temporary file whose name goes at once, so that nothing stays behind whatever happens. */
export function openNameless(folder: string): number {
  const path = join(folder, `spill-${randomUUID()}.tmp`);
  const file = openNewFile(path);
  unlinkSync(path);
  return file;
}

export function writeAll(file: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(file, bytes, written, bytes.length - written, position + written);
  }
}

export function readAll(file: number, into: Uint8Array, length: number, position: number): void {
  let got = 0;
  while (got < length) {
    const read = readSync(file, into, got, length - got, position + got);
    if (read === 0) throw new RangeError("a temporary file ended early");
    got += read;
  }
}
