import type { Batch } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { BytesSink, Integer64Sink, Unsigned32Sink } from "../../../std/column-sink.ts";
import type { SunkColumn } from "../take-columns.ts";
import { arenaBytesMax, batchRecords, completeKeys, sinksFor, takeColumns } from "../take-columns.ts";

/**
 * The records of one canonical table under way, column by column. A row is written with `u32`, `u64` and `bytes`, every column of it, and
 * counted in with `endRow`.
 */
export class RecordRows {
  readonly table: number;
  readonly #sunk: readonly SunkColumn[];
  readonly #bytesSinks: readonly BytesSink[];
  /** Complete rows, and the number of the one under way. */
  row = 0;

  constructor(table: number) {
    this.table = table;
    this.#sunk = sinksFor(
      table,
      juicefs.tables[table].columns.map((column, index) => [column.name, index] as const),
    );
    this.#bytesSinks = this.#sunk.map(({ sink }) => sink).filter((sink) => sink.type === "bytes");
  }

  u32(column: number, value: number): void {
    (this.#sunk[column].sink as Unsigned32Sink).values[this.row] = value;
  }

  u64(column: number, low: number, high: number): void {
    const { values } = this.#sunk[column].sink as Integer64Sink;
    values[2 * this.row] = low;
    values[2 * this.row + 1] = high;
  }

  /** A whole number that a double holds exactly. */
  integer(column: number, value: number): void {
    this.u64(column, value >>> 0, Math.floor(value / 4294967296) >>> 0);
  }

  bytes(column: number, from: Uint8Array, start: number, end: number): void {
    this.beginBytes(column);
    this.moreBytes(column, from, start, end);
  }

  /** Begins a value that comes in pieces; a row's columns of bytes are written one after the other. */
  beginBytes(column: number): void {
    const { offsets } = this.#sunk[column].sink as BytesSink;
    offsets[this.row + 1] = offsets[this.row];
  }

  moreBytes(column: number, from: Uint8Array, start: number, end: number): void {
    const sink = this.#sunk[column].sink as BytesSink;
    const at = sink.offsets[this.row + 1];
    const length = end - start;
    if (at + length > sink.arena.length) {
      const grown = new Uint8Array(Math.max(at + length, 2 * sink.arena.length));
      grown.set(sink.arena.subarray(0, at));
      sink.arena = grown;
    }
    if (length < 64) {
      const { arena } = sink;
      for (let place = 0; place < length; place++) arena[at + place] = from[start + place];
    } else sink.arena.set(from.subarray(start, end), at);
    sink.offsets[this.row + 1] = at + length;
  }

  /** Bytes of the value under way. */
  bytesSoFar(column: number): number {
    const { offsets } = this.#sunk[column].sink as BytesSink;
    return offsets[this.row + 1] - offsets[this.row];
  }

  endRow(): void {
    this.row++;
  }

  /** Whether the rows so far are to be taken before another one is begun. */
  get isFull(): boolean {
    if (this.row === batchRecords) return true;
    for (const { offsets } of this.#bytesSinks) if (offsets[this.row] >= arenaBytesMax) return true;
    return false;
  }

  /** The complete rows, which are not here any more then; nothing when there are none. */
  take(): Batch | undefined {
    const count = this.row;
    if (count === 0) return undefined;
    const columns = takeColumns(this.table, this.#sunk, count);
    completeKeys(this.table, columns, count);
    this.row = 0;
    return { table: this.table, count, columns };
  }
}
