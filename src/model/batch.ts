import { release } from "../std/release.ts";
import type { ColumnSchema, TableSchema } from "./schema.ts";

export interface IntegerColumn {
  /** u32: one element a record; u64 and i64: two, the low half first. May be longer than the batch's count. */
  readonly values: Uint32Array;
}

export interface BytesColumn {
  /** `count + 1` offsets into `arena`, from `offsets[0]`; may be longer than needed. */
  readonly offsets: Uint32Array;
  readonly arena: Uint8Array;
}

export type Column = IntegerColumn | BytesColumn;

/**
 * A column-wise run of records of one table: what flows through the pipeline. The receiver owns it.
 * `columns` has one entry for each column of the schema, in its order. `undefined` stands for a value column
 * in which every record has the default (0, no bytes); key columns are always there.
 */
export interface Batch {
  /** Position of the table in its kind. */
  readonly table: number;
  readonly count: number;
  readonly columns: readonly (Column | undefined)[];
  /** No record of this table follows: the sorter may begin with it while others are still being read. */
  readonly last?: boolean;
}

/** The integer column at a position, which must be present and no bytes column. */
export function integersOf(batch: Batch, index: number): Uint32Array {
  return (batch.columns[index] as IntegerColumn).values;
}

/** The bytes column at a position, which must be present. */
export function bytesOf(batch: Batch, index: number): BytesColumn {
  return batch.columns[index] as BytesColumn;
}

/** The bytes of one record of a bytes column: a view, not a copy. */
export function bytesAt(column: BytesColumn, row: number): Uint8Array {
  return column.arena.subarray(column.offsets[row], column.offsets[row + 1]);
}

/** A 64-bit element as an unsigned bigint: for the cold paths. */
export function unsignedAt(values: Uint32Array, row: number): bigint {
  return (BigInt(values[2 * row + 1]) << 32n) | BigInt(values[2 * row]);
}

/** A 64-bit element as a signed bigint: for the cold paths. */
export function signedAt(values: Uint32Array, row: number): bigint {
  return BigInt.asIntN(64, unsignedAt(values, row));
}

/** Bytes that a batch keeps alive, counted once for each buffer. */
export function batchBytes(batch: Batch): number {
  const buffers = new Set<ArrayBufferLike>();
  for (const column of batch.columns) {
    if (column === undefined) continue;
    if ("values" in column) buffers.add(column.values.buffer);
    else {
      buffers.add(column.offsets.buffer);
      buffers.add(column.arena.buffer);
    }
  }
  let total = 0;
  for (const buffer of buffers) total += buffer.byteLength;
  return total;
}

/** The buffers of a batch, for a transfer to another thread. */
export function transferablesOf(batch: Batch): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const column of batch.columns) {
    if (column === undefined) continue;
    if ("values" in column) buffers.add(column.values.buffer as ArrayBuffer);
    else {
      buffers.add(column.offsets.buffer as ArrayBuffer);
      buffers.add(column.arena.buffer as ArrayBuffer);
    }
  }
  return [...buffers];
}

/** Frees the memory of a batch whose last owner is done with it. */
export function releaseBatch(batch: Batch): void {
  for (const buffer of transferablesOf(batch)) release(buffer);
}

/** Frees what a batch does not share with others that live on. */
export function releaseOthers(batch: Batch, living: readonly Batch[]): void {
  const kept = new Set(living.flatMap(transferablesOf));
  for (const buffer of transferablesOf(batch)) if (!kept.has(buffer)) release(buffer);
}

/** One value of a record as plain JavaScript, for small tables, tests and messages. */
export type Value = number | bigint | Uint8Array;

/** A record in column order, values as `Value`: for small tables, tests and messages, never on the hot path. */
export type Row = readonly Value[];

/** Builds a batch from rows; 64-bit values may be numbers or bigints. */
export function batchFromRows(schema: TableSchema, table: number, rows: readonly Row[]): Batch {
  return {
    table,
    count: rows.length,
    columns: schema.columns.map((column, index) => columnFromRows(column, index, rows)),
  };
}

function columnFromRows(column: ColumnSchema, index: number, rows: readonly Row[]): Column {
  if (column.type === "bytes") {
    const offsets = new Uint32Array(rows.length + 1);
    rows.forEach((row, at) => {
      offsets[at + 1] = offsets[at] + (row[index] as Uint8Array).length;
    });
    const arena = new Uint8Array(offsets[rows.length]);
    rows.forEach((row, at) => arena.set(row[index] as Uint8Array, offsets[at]));
    return { offsets, arena };
  }
  if (column.type === "u32") return { values: Uint32Array.from(rows, (row) => Number(row[index])) };
  const values = new Uint32Array(rows.length * 2);
  rows.forEach((row, at) => {
    const value = BigInt.asUintN(64, BigInt(row[index] as number | bigint));
    values[2 * at] = Number(value & 0xffffffffn);
    values[2 * at + 1] = Number(value >> 32n);
  });
  return { values };
}

/** One record of a batch as a row: u32 as number, u64 and i64 as bigint, bytes as a copy. */
export function rowAt(schema: TableSchema, batch: Batch, row: number): Row {
  return schema.columns.map((column, index) => {
    const data = batch.columns[index];
    if (column.type === "bytes")
      return data === undefined ? new Uint8Array(0) : bytesAt(data as BytesColumn, row).slice();
    if (data === undefined) return column.type === "u32" ? 0 : 0n;
    const { values } = data as IntegerColumn;
    if (column.type === "u32") return values[row];
    return column.type === "u64" ? unsignedAt(values, row) : signedAt(values, row);
  });
}
