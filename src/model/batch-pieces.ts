import type { Batch, BytesColumn, Column, IntegerColumn } from "./batch.ts";
import type { TableSchema } from "./schema.ts";

/** A run of records of a batch: `from` included, `to` not. */
export interface Piece {
  batch: Batch;
  from: number;
  to: number;
}

/** One batch of the records of several pieces, in order; copies. */
export function joinPieces(schema: TableSchema, table: number, pieces: readonly Piece[]): Batch {
  const count = pieces.reduce((sum, piece) => sum + piece.to - piece.from, 0);
  const columns = schema.columns.map((column, index) => {
    if (pieces.every((piece) => piece.batch.columns[index] === undefined)) return undefined;
    return column.type === "bytes"
      ? joinBytes(pieces, index, count)
      : joinIntegers(pieces, index, count, column.type === "u32" ? 1 : 2);
  });
  return { table, count, columns };
}

function joinIntegers(pieces: readonly Piece[], index: number, count: number, width: number): Column {
  const values = new Uint32Array(count * width);
  let at = 0;
  for (const { batch, from, to } of pieces) {
    const column = batch.columns[index] as IntegerColumn | undefined;
    if (column !== undefined) values.set(column.values.subarray(from * width, to * width), at);
    at += (to - from) * width;
  }
  return { values };
}

function joinBytes(pieces: readonly Piece[], index: number, count: number): Column {
  let total = 0;
  for (const { batch, from, to } of pieces) {
    const column = batch.columns[index] as BytesColumn | undefined;
    if (column !== undefined) total += column.offsets[to] - column.offsets[from];
  }
  const offsets = new Uint32Array(count + 1);
  const arena = new Uint8Array(total);
  let row = 0;
  let at = 0;
  for (const { batch, from, to } of pieces) {
    const column = batch.columns[index] as BytesColumn | undefined;
    if (column === undefined) {
      offsets.fill(at, row + 1, row + 1 + to - from);
    } else {
      arena.set(column.arena.subarray(column.offsets[from], column.offsets[to]), at);
      const shift = at - column.offsets[from];
      for (let source = from; source < to; source += 1)
        offsets[row + 1 + source - from] = column.offsets[source + 1] + shift;
      at += column.offsets[to] - column.offsets[from];
    }
    row += to - from;
  }
  return { offsets, arena };
}
