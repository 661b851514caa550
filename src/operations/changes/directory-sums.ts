import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { fileType } from "../../model/juicefs.ts";
import type { TableSchema } from "../../model/schema.ts";
import { IntegerRows } from "./integer-rows.ts";
import { SpillingSorter } from "./spilling-sorter.ts";
import { addWide, spaceHigh, spaceLow } from "./wide.ts";

/** What is known of one directory; many records of one are added up. */
export const sumSchema: TableSchema = {
  name: "directory-sum",
  keyCount: 1,
  columns: [
    { name: "inode", type: "u64", encoding: "plain" },
    { name: "length", type: "u64", encoding: "plain" },
    { name: "space", type: "u64", encoding: "plain" },
    { name: "entries", type: "u64", encoding: "plain" },
    { name: "directories", type: "u32", encoding: "plain" },
    // From the directory's own node: whether there is one, its link count, and the directory that it is in (0: none).
    { name: "exists", type: "u32", encoding: "plain" },
    { name: "nlink", type: "u32", encoding: "plain" },
    { name: "parent", type: "u64", encoding: "plain" },
  ],
};

export const sumColumn = {
  inode: 0,
  length: 1,
  space: 2,
  entries: 3,
  directories: 4,
  exists: 5,
  nlink: 6,
  parent: 7,
} as const;

/** Directories whose sums are gathered at once before they go to the sorter: entries of one directory have inodes close to each other. */
const slots = 4096;

/**
 * Adds up the direct entries of each directory, given in any order. Memory does not grow with their number: what does not stay in a
 * small table of recent directories is sorted, on disk where it must be, and added up as it comes back.
 */
export class DirectorySums implements Disposable {
  readonly #sorter: SpillingSorter;
  #rows = new IntegerRows(sumSchema);
  readonly #used = new Uint8Array(slots);
  readonly #columns = sumSchema.columns.map((column) => new Uint32Array(slots * (column.type === "u32" ? 1 : 2)));

  constructor(temporaryFolder: string, memoryBytes: number) {
    this.#sorter = new SpillingSorter(sumSchema, temporaryFolder, memoryBytes);
  }

  /** One entry; `type` is the edge's, and the length that of a regular file, otherwise 0. */
  addEntry(parentLow: number, parentHigh: number, type: number, lengthLow: number, lengthHigh: number): void {
    const slot = this.#slotOf(parentLow, parentHigh);
    const columns = this.#columns;
    addWide(columns[sumColumn.length], slot, lengthLow, lengthHigh);
    addWide(columns[sumColumn.space], slot, spaceLow(lengthLow, lengthHigh), spaceHigh(lengthLow, lengthHigh));
    addWide(columns[sumColumn.entries], slot, 1, 0);
    if (type === fileType.directory) columns[sumColumn.directories][slot] += 1;
  }

  /** A directory that exists, once. */
  addDirectory(low: number, high: number, nlink: number, parentLow: number, parentHigh: number): void {
    const slot = this.#slotOf(low, high);
    this.#columns[sumColumn.exists][slot] = 1;
    this.#columns[sumColumn.nlink][slot] = nlink;
    this.#columns[sumColumn.parent][2 * slot] = parentLow;
    this.#columns[sumColumn.parent][2 * slot + 1] = parentHigh;
  }

  #slotOf(low: number, high: number): number {
    const slot = (low ^ (low >>> 12) ^ high) & (slots - 1);
    const inodes = this.#columns[sumColumn.inode];
    if (this.#used[slot] === 1) {
      if (inodes[2 * slot] === low && inodes[2 * slot + 1] === high) return slot;
      this.#emit(slot);
    }
    this.#used[slot] = 1;
    inodes[2 * slot] = low;
    inodes[2 * slot + 1] = high;
    return slot;
  }

  #emit(slot: number): void {
    const rows = this.#rows;
    sumSchema.columns.forEach(({ type }, index) => {
      const from = this.#columns[index];
      const to = rows.columns[index];
      if (type === "u32") {
        to[rows.count] = from[slot];
        from[slot] = 0;
      } else {
        to[2 * rows.count] = from[2 * slot];
        to[2 * rows.count + 1] = from[2 * slot + 1];
        from[2 * slot] = 0;
        from[2 * slot + 1] = 0;
      }
    });
    this.#used[slot] = 0;
    rows.count += 1;
    if (rows.isFull) this.#sorter.append(rows.take());
  }

  /** Hands over one record of `sumSchema` for each directory, by inode, in batches, and ends the sums. */
  drain(push: (batch: Batch) => void): void {
    for (let slot = 0; slot < slots; slot += 1) if (this.#used[slot] === 1) this.#emit(slot);
    this.#sorter.append(this.#rows.take());
    const out = new IntegerRows(sumSchema);
    let any = false;
    let lastLow = 0;
    let lastHigh = 0;
    this.#sorter.drain((batch) => {
      const inodes = integersOf(batch, sumColumn.inode);
      for (let row = 0; row < batch.count; row += 1) {
        const low = inodes[2 * row];
        const high = inodes[2 * row + 1];
        if (any && (low !== lastLow || high !== lastHigh)) {
          out.count += 1;
          if (out.isFull) push(out.take());
        }
        any = true;
        lastLow = low;
        lastHigh = high;
        addRow(out, batch, row);
      }
    });
    if (any) out.count += 1;
    if (out.count > 0) push(out.take());
  }

  [Symbol.dispose](): void {
    this.#sorter[Symbol.dispose]();
  }
}

/** Adds a record to the one under way. What only a directory's own record has is 0 in all others, so that it may be added, too. */
function addRow(out: IntegerRows, batch: Batch, row: number): void {
  const at = out.count;
  const inodes = integersOf(batch, sumColumn.inode);
  out.columns[sumColumn.inode][2 * at] = inodes[2 * row];
  out.columns[sumColumn.inode][2 * at + 1] = inodes[2 * row + 1];
  for (let index = sumColumn.length; index < sumSchema.columns.length; index += 1) {
    const values = integersOf(batch, index);
    if (sumSchema.columns[index].type === "u32") out.columns[index][at] += values[row];
    else addWide(out.columns[index], at, values[2 * row], values[2 * row + 1]);
  }
}
