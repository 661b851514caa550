import type { Batch, BytesColumn, Column, IntegerColumn } from "../model/batch.ts";
import type { ColumnSchema, TableSchema } from "../model/schema.ts";
import { compareKeys } from "../format/key.ts";

/** Differing records of two batches of one table, in key order; columns, not an object a record. */
export interface RowDifferences {
  count: number;
  /** Row in the first batch, or -1 where only the second has the record. */
  rowsA: Int32Array;
  /** Row in the second batch, or -1 where only the first has it. */
  rowsB: Int32Array;
  /** Bit `n` is set where column `n` differs; 0 where one side alone has the record. */
  columns: Uint32Array;
}

/** Gathers differences into growing columns. */
export class DifferenceList implements RowDifferences {
  count = 0;
  rowsA = new Int32Array(64);
  rowsB = new Int32Array(64);
  columns = new Uint32Array(64);

  add(rowA: number, rowB: number, columns: number): void {
    if (this.count === this.rowsA.length) this.#grow();
    this.rowsA[this.count] = rowA;
    this.rowsB[this.count] = rowB;
    this.columns[this.count] = columns;
    this.count += 1;
  }

  #grow(): void {
    const grow = <T extends Int32Array | Uint32Array>(values: T, grown: T): T => {
      grown.set(values);
      return grown;
    };
    const length = this.count * 2;
    this.rowsA = grow(this.rowsA, new Int32Array(length));
    this.rowsB = grow(this.rowsB, new Int32Array(length));
    this.columns = grow(this.columns, new Uint32Array(length));
  }
}

/** Whether two batches hold the same keys in the same order. */
export function sameKeys(schema: TableSchema, a: Batch, b: Batch): boolean {
  if (a.count !== b.count) return false;
  for (let index = 0; index < schema.keyCount; index += 1) {
    if (!sameColumn(schema.columns[index], a.columns[index], b.columns[index], a.count)) return false;
  }
  return true;
}

/** Compares two batches of the same keys column by column: a column that is equal costs one comparison of memory. */
export function compareAligned(schema: TableSchema, a: Batch, b: Batch, out: DifferenceList): void {
  const masks = new Uint32Array(a.count);
  let isDifferent = false;
  for (let index = schema.keyCount; index < schema.columns.length; index += 1) {
    const column = schema.columns[index];
    if (sameColumn(column, a.columns[index], b.columns[index], a.count)) continue;
    isDifferent = true;
    markColumn(column, index, a, b, masks);
  }
  if (!isDifferent) return;
  for (let row = 0; row < a.count; row += 1) if (masks[row] !== 0) out.add(row, row, masks[row]);
}

function sameColumn(schema: ColumnSchema, a: Column | undefined, b: Column | undefined, count: number): boolean {
  if (a === undefined && b === undefined) return true;
  if (schema.type === "bytes") {
    if (a === undefined || b === undefined) return false;
    return sameBytesColumn(a as BytesColumn, b as BytesColumn, count);
  }
  if (a === undefined || b === undefined) return false;
  const words = schema.type === "u32" ? count : 2 * count;
  return sameMemory((a as IntegerColumn).values.subarray(0, words), (b as IntegerColumn).values.subarray(0, words));
}

function sameBytesColumn(a: BytesColumn, b: BytesColumn, count: number): boolean {
  if (a.offsets[0] !== b.offsets[0]) return false;
  if (!sameMemory(a.offsets.subarray(0, count + 1), b.offsets.subarray(0, count + 1))) return false;
  return sameMemory(a.arena.subarray(a.offsets[0], a.offsets[count]), b.arena.subarray(b.offsets[0], b.offsets[count]));
}

function sameMemory(a: Uint8Array | Uint32Array, b: Uint8Array | Uint32Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  return (
    Buffer.compare(
      Buffer.from(a.buffer, a.byteOffset, a.byteLength),
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}

function markColumn(schema: ColumnSchema, index: number, a: Batch, b: Batch, masks: Uint32Array): void {
  const bit = 1 << index;
  if (schema.type === "bytes") {
    const [left, right] = [a.columns[index], b.columns[index]] as (BytesColumn | undefined)[];
    for (let row = 0; row < a.count; row += 1) if (!sameBytes(left, row, right, row)) masks[row] |= bit;
    return;
  }
  const [left, right] = [a.columns[index], b.columns[index]] as (IntegerColumn | undefined)[];
  const words = schema.type === "u32" ? 1 : 2;
  const shift = words - 1;
  for (let at = 0; at < a.count * words; at += 1) {
    if ((left?.values[at] ?? 0) !== (right?.values[at] ?? 0)) masks[at >> shift] |= bit;
  }
}

function sameBytes(a: BytesColumn | undefined, rowA: number, b: BytesColumn | undefined, rowB: number): boolean {
  const startA = a === undefined ? 0 : a.offsets[rowA];
  const startB = b === undefined ? 0 : b.offsets[rowB];
  const length = a === undefined ? 0 : a.offsets[rowA + 1] - startA;
  if (length !== (b === undefined ? 0 : b.offsets[rowB + 1] - startB)) return false;
  for (let at = 0; at < length; at += 1) {
    if ((a as BytesColumn).arena[startA + at] !== (b as BytesColumn).arena[startB + at]) return false;
  }
  return true;
}

/** The columns in which two records of the same key differ, as bits. */
function compareRow(schema: TableSchema, a: Batch, rowA: number, b: Batch, rowB: number): number {
  let mask = 0;
  for (let index = schema.keyCount; index < schema.columns.length; index += 1) {
    const left = a.columns[index];
    const right = b.columns[index];
    if (left === undefined && right === undefined) continue;
    const { type } = schema.columns[index];
    if (type === "bytes") {
      if (!sameBytes(left as BytesColumn | undefined, rowA, right as BytesColumn | undefined, rowB)) mask |= 1 << index;
      continue;
    }
    const valuesA = (left as IntegerColumn | undefined)?.values;
    const valuesB = (right as IntegerColumn | undefined)?.values;
    const wide = type === "u32" ? 1 : 2;
    for (let word = 0; word < wide; word += 1) {
      if ((valuesA?.[rowA * wide + word] ?? 0) !== (valuesB?.[rowB * wide + word] ?? 0)) mask |= 1 << index;
    }
  }
  return mask;
}

/**
 * Merges the records of two batches from two rows on, until one of them ends; returns the rows where it stopped. What has no partner is
 * added with one side alone.
 */
export function compareMerged(
  schema: TableSchema,
  a: Batch,
  fromA: number,
  b: Batch,
  fromB: number,
  out: DifferenceList,
): { rowA: number; rowB: number } {
  let rowA = fromA;
  let rowB = fromB;
  while (rowA < a.count && rowB < b.count) {
    const order = compareKeys(schema, a, rowA, b, rowB);
    if (order < 0) {
      out.add(rowA, -1, 0);
      rowA += 1;
    } else if (order > 0) {
      out.add(-1, rowB, 0);
      rowB += 1;
    } else {
      const mask = compareRow(schema, a, rowA, b, rowB);
      if (mask !== 0) out.add(rowA, rowB, mask);
      rowA += 1;
      rowB += 1;
    }
  }
  return { rowA, rowB };
}
