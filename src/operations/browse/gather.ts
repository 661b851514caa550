import { radixSort } from "../../std/radix-sort.ts";
import type { Batch, BytesColumn, IntegerColumn } from "../../model/batch.ts";
import { bytesAt, integersOf } from "../../model/batch.ts";
import type { Browser } from "./browser.ts";
import { inodeKeyOf } from "./inode-key.ts";

/**
 * Finds the records of many inodes in a table whose key is the inode, each page read once: calls `visit` with the record's batch and
 * row and the inode's position in `inodes` (two halves each, low first), in the order of inodes. Inodes without a record are left out.
 */
async function gather(
  browser: Browser,
  table: string,
  inodes: Uint32Array,
  visit: (batch: Batch, row: number, position: number) => void,
): Promise<void> {
  const count = inodes.length / 2;
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  const scratch = new Uint32Array(count);
  radixSort(order, scratch, 0, count, inodes, 2, 0);
  radixSort(order, scratch, 0, count, inodes, 2, 1);
  const index = browser.snapshot.index(table);
  let batch: Batch | undefined;
  let row = 0;
  for (const position of order) {
    const low = inodes[2 * position];
    const high = inodes[2 * position + 1];
    if (batch === undefined || isAbove(low, high, integersOf(batch, 0), batch.count - 1)) {
      const entry = await index.find(inodeKeyOf(low, high));
      if (entry === undefined) continue;
      batch = await browser.page(table, entry);
      row = 0;
    }
    const keys = integersOf(batch, 0);
    row = rowAtOrAfter(keys, row, batch.count, low, high);
    if (row < batch.count && keys[2 * row] === low && keys[2 * row + 1] === high) visit(batch, row, position);
  }
}

function isAbove(low: number, high: number, keys: Uint32Array, row: number): boolean {
  return high > keys[2 * row + 1] || (high === keys[2 * row + 1] && low > keys[2 * row]);
}

/** The first row from `from` on whose inode is not below one: near by, most of the time, so in growing steps. */
function rowAtOrAfter(keys: Uint32Array, from: number, count: number, low: number, high: number): number {
  let step = 1;
  let start = from;
  while (start + step < count && isAbove(low, high, keys, start + step)) {
    start += step;
    step *= 2;
  }
  let end = Math.min(count, start + step + 1);
  while (start < end) {
    const middle = (start + end) >>> 1;
    if (isAbove(low, high, keys, middle)) start = middle + 1;
    else end = middle;
  }
  return start;
}

/** Integer columns of many records: each has `words` elements a record, in the order of the inodes asked for. */
export interface Gathered {
  /** 1 where the inode has a record. */
  found: Uint8Array;
  /** By position of the column in the schema. */
  columns: Map<number, Uint32Array>;
}

/** Copies integer columns of the records of many inodes. */
export async function gatherColumns(
  browser: Browser,
  table: string,
  inodes: Uint32Array,
  wanted: readonly number[],
): Promise<Gathered> {
  const count = inodes.length / 2;
  const schema = browser.schema(table);
  const copies = wanted.map((index) => {
    const words = schema.columns[index].type === "u32" ? 1 : 2;
    return { index, words, values: new Uint32Array(count * words) };
  });
  const found = new Uint8Array(count);
  await gather(browser, table, inodes, (batch, row, position) => {
    found[position] = 1;
    for (const { index, words, values } of copies) {
      const column = batch.columns[index] as IntegerColumn | undefined;
      if (column === undefined) continue;
      values[position * words] = column.values[row * words];
      if (words === 2) values[position * 2 + 1] = column.values[row * 2 + 1];
    }
  });
  return { found, columns: new Map(copies.map(({ index, values }) => [index, values])) };
}

/** A bytes column of the records of many inodes, by position; copies. */
export async function gatherBytes(
  browser: Browser,
  table: string,
  inodes: Uint32Array,
  index: number,
): Promise<Map<number, Uint8Array>> {
  const values = new Map<number, Uint8Array>();
  await gather(browser, table, inodes, (batch, row, position) => {
    const column = batch.columns[index] as BytesColumn | undefined;
    values.set(position, column === undefined ? new Uint8Array(0) : bytesAt(column, row).slice());
  });
  return values;
}
