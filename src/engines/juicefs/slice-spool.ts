import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { SliceRefVisitor } from "./slice-ref-differences.ts";
import type { SliceSink } from "./volume-checks.ts";

/**
 * Keeps slices and their counts in a temporary file: the server gives them once, and the search for differences may go over them several
 * times, without waiting for anything.
 */
export interface SliceSpool extends SliceSink, Disposable {
  /** Everything that was added, in its order. */
  visit(visitor: SliceRefVisitor): void;
}

/** id low and high, size, count low and high; a mention has the count `isMention`. */
const wordsPerSlice = 5;
const blockSlices = 8192;
const isMention = 0x80000000;

/** A spool in `folder` of the slices that `isWanted` takes. */
export function openSliceSpool(folder: string, isWanted: (idLow: number, idHigh: number) => boolean): SliceSpool {
  const path = join(folder, `slices-${randomUUID()}.spool`);
  const file = openSync(path, "wx+", 0o600);
  // The name goes at once, so that nothing stays behind whatever happens.
  unlinkSync(path);
  const block = new Int32Array(blockSlices * wordsPerSlice);
  const bytes = new Uint8Array(block.buffer);
  let held = 0;
  let written = 0;

  function flush(): void {
    const length = held * wordsPerSlice * 4;
    for (let at = 0; at < length;) at += writeSync(file, bytes, at, length - at, written + at);
    written += length;
    held = 0;
  }

  function add(idLow: number, idHigh: number, size: number, countLow: number, countHigh: number): void {
    if (!isWanted(idLow, idHigh)) return;
    const at = held * wordsPerSlice;
    block[at] = idLow;
    block[at + 1] = idHigh;
    block[at + 2] = size;
    block[at + 3] = countLow;
    block[at + 4] = countHigh;
    if (++held === blockSlices) flush();
  }

  return {
    addMention: (idLow, idHigh, size) => add(idLow, idHigh, size, 0, isMention),
    addStored: (idLow, idHigh, size, refs) => add(idLow, idHigh, size, refs, Math.floor(refs / 4294967296)),
    visit(visitor) {
      flush();
      for (let position = 0; position < written;) {
        const length = Math.min(bytes.length, written - position);
        for (let got = 0; got < length;) {
          const read = readSync(file, bytes, got, length - got, position + got);
          if (read === 0) throw new RangeError("a temporary file of slices ended early");
          got += read;
        }
        position += length;
        for (let at = 0; at < length / 4; at += wordsPerSlice) {
          const [low, high, size] = [block[at] >>> 0, block[at + 1] >>> 0, block[at + 2] >>> 0];
          if (block[at + 4] >>> 0 === isMention) visitor.mention(low, high, size);
          else visitor.stored(low, high, size, block[at + 4] * 4294967296 + (block[at + 3] >>> 0));
        }
      }
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}
