import type { Batch } from "../../../model/batch.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { SliceRun, SliceSet } from "../slice-set.ts";

const batchRecords = 16384;

/**
 * A record with one reference for every slice in use that has no stored exception, in the order of the ids, which is the order of the
 * table. Both sets are used up.
 */
export function* eachSliceRefBatch(slices: SliceSet, exceptions: SliceSet): Generator<Batch> {
  const stored = new SliceCursor(exceptions.sorted());
  let out = newColumns();
  let count = 0;
  for (const { count: runCount, idsLow, idsHigh, sizes } of slices.sorted()) {
    for (let at = 0; at < runCount; at++) {
      const low = idsLow[at];
      const high = idsHigh[at];
      if (stored.isAt(low, high)) continue;
      out.ids[2 * count] = low;
      out.ids[2 * count + 1] = high;
      out.sizes[count] = sizes[at];
      out.refs[2 * count] = 1;
      count++;
      if (count === batchRecords) {
        yield batchOf(out, count);
        out = newColumns();
        count = 0;
      }
    }
  }
  if (count > 0) yield batchOf(out, count);
}

interface RefColumns {
  readonly ids: Uint32Array;
  readonly sizes: Uint32Array;
  readonly refs: Uint32Array;
}

function newColumns(): RefColumns {
  return {
    ids: new Uint32Array(2 * batchRecords),
    sizes: new Uint32Array(batchRecords),
    refs: new Uint32Array(2 * batchRecords),
  };
}

function batchOf({ ids, sizes, refs }: RefColumns, count: number): Batch {
  return { table: juicefsTable.sliceRef, count, columns: [{ values: ids }, { values: sizes }, { values: refs }] };
}

/** Goes through sorted ids beside another sorted list. */
class SliceCursor {
  readonly #runs: Iterator<SliceRun>;
  #run: SliceRun | undefined;
  #at = 0;

  constructor(runs: Iterator<SliceRun>) {
    this.#runs = runs;
    this.#advance();
  }

  #advance(): void {
    while (this.#run === undefined || this.#at >= this.#run.count) {
      const next = this.#runs.next();
      this.#at = 0;
      if (next.done === true) {
        this.#run = undefined;
        return;
      }
      this.#run = next.value;
    }
  }

  /** Whether this id is in the list; ids are asked for in ascending order. */
  isAt(low: number, high: number): boolean {
    while (this.#run !== undefined) {
      const runHigh = this.#run.idsHigh[this.#at];
      const runLow = this.#run.idsLow[this.#at];
      if (runHigh > high || (runHigh === high && runLow > low)) return false;
      if (runHigh === high && runLow === low) return true;
      this.#at++;
      this.#advance();
    }
    return false;
  }
}
