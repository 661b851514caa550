import type { Batch } from "../model/batch.ts";
import { integersOf } from "../model/batch.ts";
import { gather } from "../model/gather.ts";
import type { Piece } from "../model/batch-pieces.ts";
import type { TableSchema } from "../model/schema.ts";

/**
 * The path index (docs/format.md, "Path index"): for each edge its inode, its parent and, where the parent's edges fill more than one
 * page, the tail of the page that holds it (else 0), sorted by inode. Outside the root, since it follows from the edges. The tail is
 * stable while a page's last record stays, so an insertion somewhere does not renumber anything.
 */
export const pathSchema: TableSchema = {
  name: "path",
  keyCount: 3,
  columns: [
    { name: "inode", type: "u64", encoding: "delta" },
    { name: "parent", type: "u64", encoding: "delta" },
    { name: "tail", type: "u32", encoding: "delta" },
  ],
};

/** The path records of one edge page, without repetitions: hard links of one file side by side in a directory give one. */
export function pathRecords(edges: Piece, parentColumn: number, inodeColumn: number, tail: number): Batch {
  const { batch, from, to } = edges;
  const count = to - from;
  const inodes = batch.columns[inodeColumn] === undefined ? undefined : integersOf(batch, inodeColumn);
  return {
    table: 0,
    count,
    columns: [
      { values: inodes === undefined ? new Uint32Array(2 * count) : inodes.slice(2 * from, 2 * to) },
      { values: integersOf(batch, parentColumn).slice(2 * from, 2 * to) },
      { values: new Uint32Array(count).fill(tail) },
    ],
  };
}

/** Drops records that equal the one before: the sorted path records of hard links within one page. */
export function withoutRepeats(batch: Batch, before: Batch | undefined): Batch {
  const inodes = integersOf(batch, 0);
  const parents = integersOf(batch, 1);
  const tails = integersOf(batch, 2);
  const keep = new Uint32Array(batch.count);
  let kept = 0;
  for (let row = 0; row < batch.count; row += 1) {
    const previous = row === 0 ? before : batch;
    const at = row === 0 ? (before?.count ?? 0) - 1 : row - 1;
    const repeats =
      previous !== undefined &&
      same64(integersOf(previous, 0), at, inodes, row) &&
      same64(integersOf(previous, 1), at, parents, row) &&
      integersOf(previous, 2)[at] === tails[row];
    keep[kept] = row;
    if (!repeats) kept += 1;
  }
  return kept === batch.count ? batch : gather(pathSchema, batch, keep, 0, kept);
}

function same64(a: Uint32Array, rowA: number, b: Uint32Array, rowB: number): boolean {
  return a[2 * rowA] === b[2 * rowB] && a[2 * rowA + 1] === b[2 * rowB + 1];
}
