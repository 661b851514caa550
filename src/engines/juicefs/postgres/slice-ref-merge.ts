import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Batch } from "../../../model/batch.ts";
import { integersOf } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { SliceSet } from "../slice-set.ts";
import { batchRecords } from "../take-columns.ts";

/**
 * Remembers, in a temporary file, which slices got a row of `chunk_ref` from a stored exception, in the order of their ids, and gives the rows
 * for the others.
 */
export interface ExceptionIds extends Disposable {
  add(batch: Batch): void;
  /** Batches of table `slice_ref` with one reference for every slice of the set that has no exception. Only once. */
  others(slices: SliceSet): Generator<Batch>;
}

const blockIds = 8192;

export function openExceptionIds(folder: string): ExceptionIds {
  const path = join(folder, `exceptions-${randomUUID()}.ids`);
  const file = openSync(path, "wx+", 0o600);
  // The name goes at once, so that nothing stays behind whatever happens.
  unlinkSync(path);
  const block = new Uint32Array(2 * blockIds);
  const bytes = new Uint8Array(block.buffer);
  let held = 0;
  let written = 0;
  let position = 0;

  function flush(): void {
    const length = held * 8;
    for (let at = 0; at < length;) at += writeSync(file, bytes, at, length - at, written + at);
    written += length;
    held = 0;
  }

  /** Fills the block with the next ids; `held` is how many. */
  function readBlock(): void {
    const length = Math.min(bytes.length, written - position);
    for (let got = 0; got < length;) {
      const read = readSync(file, bytes, got, length - got, position + got);
      if (read === 0) throw new RangeError("a temporary file of slices ended early");
      got += read;
    }
    position += length;
    held = length / 8;
  }

  return {
    add(batch) {
      const ids = integersOf(batch, 0);
      for (let row = 0; row < batch.count; row++) {
        block[2 * held] = ids[2 * row];
        block[2 * held + 1] = ids[2 * row + 1];
        if (++held === blockIds) flush();
      }
    },
    *others(slices) {
      flush();
      readBlock();
      let next = 0;
      const ids = new Uint32Array(2 * batchRecords);
      const sizes = new Uint32Array(batchRecords);
      let count = 0;
      for (const run of slices.sorted()) {
        for (let at = 0; at < run.count; at++) {
          const low = run.idsLow[at];
          const high = run.idsHigh[at];
          // Both are in the order of the ids, unsigned.
          while (next < held && isBefore(block[2 * next], block[2 * next + 1], low, high)) {
            if (++next < held) continue;
            readBlock();
            next = 0;
          }
          if (next < held && block[2 * next] === low && block[2 * next + 1] === high) continue;
          if (high >= 0x80000000 || run.sizes[at] >= 0x80000000) throw tooLarge(low, high, run.sizes[at]);
          ids[2 * count] = low;
          ids[2 * count + 1] = high;
          sizes[count++] = run.sizes[at];
          if (count === batchRecords) {
            yield sliceRefBatch(ids, sizes, count);
            count = 0;
          }
        }
      }
      if (count > 0) yield sliceRefBatch(ids, sizes, count);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

function isBefore(low: number, high: number, otherLow: number, otherHigh: number): boolean {
  return high < otherHigh || (high === otherHigh && low < otherLow);
}

function sliceRefBatch(ids: Uint32Array, sizes: Uint32Array, count: number): Batch {
  const refs = new Uint32Array(2 * count);
  for (let row = 0; row < count; row++) refs[2 * row] = 1;
  return { table: juicefsTable.sliceRef, count, columns: [{ values: ids }, { values: sizes }, { values: refs }] };
}

function tooLarge(low: number, high: number, size: number): CairnError {
  const id = (BigInt(high) << 32n) | BigInt(low);
  return new CairnError(
    "does-not-fit",
    `slice ${id} of ${size} bytes does not fit into PostgreSQL: numbers are below 2^63, sizes below 2^31`,
    {
      unharmed: "nothing that a client takes for a volume was written",
      next: "restore into another engine (docs/engines/limits.md)",
      exit: "targetRefused",
      details: { slice: id.toString(), size },
    },
  );
}
