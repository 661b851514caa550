import { releaseBatch } from "../model/batch.ts";
import type { Batch, BytesColumn } from "../model/batch.ts";
import { joinPieces } from "../model/batch-pieces.ts";
import type { Piece } from "../model/batch-pieces.ts";
import { CairnError } from "../model/errors.ts";
import type { TableSchema } from "../model/schema.ts";
import { describeKey } from "./describe-key.ts";
import { compareKeys, encodeKey, firstNotRising, hashKeys } from "./key.ts";
import { encodeLargeReference } from "./large-value.ts";
import {
  cutHashBelow,
  keyBytesMax,
  largeReferenceBytes,
  largeValueBytes,
  pageBytesMax,
  pageLargeBytesMax,
  pageRecordsMax,
  pageRecordsMin,
} from "./limits.ts";
import { encodePage } from "./page.ts";
import type { LargeRow } from "./page.ts";

/** A page as the pager makes it: raw bytes and what the index says of it. */
export interface RawPage {
  table: number;
  firstKey: Uint8Array<ArrayBuffer>;
  count: number;
  /** The hash of the last record's key: it tells pages of one directory apart, and survives changes inside the page. */
  tail: number;
  raw: Uint8Array<ArrayBuffer>;
  /** Offsets at which another kind of content begins. */
  sections: number[];
}

export interface PagerOutput {
  /** `records` are the page's own; valid only during the call. */
  page(page: RawPage, records: Piece): void;
  /** A value of more than 256 KiB, before the page that refers to it; the output owns it. */
  large(value: Uint8Array<ArrayBuffer>): void;
}

/**
 * Cuts one table's records, pushed in key order in batches of any size (which stay the caller's), into pages (docs/format.md, "Cuts"). Where the cuts fall
 * depends on the keys and sizes of the records alone. Throws `duplicate-record` or `record-order` when keys do not strictly rise.
 */
export class Pager {
  readonly #schema: TableSchema;
  readonly #table: number;
  readonly #output: PagerOutput;
  readonly #bytesColumns: number[] = [];
  #fixedBytes = 0;
  /** Records of the page under way that came in earlier batches. */
  #pieces: Piece[] = [];
  #rows = 0;
  #bytes = 0;
  #largeBytes = 0;
  #last: Piece | undefined;
  #hashes = new Uint32Array(0);

  constructor(schema: TableSchema, table: number, output: PagerOutput) {
    this.#schema = schema;
    this.#table = table;
    this.#output = output;
    schema.columns.forEach((column, index) => {
      if (column.type === "bytes") this.#bytesColumns.push(index);
      this.#fixedBytes += column.type === "u64" || column.type === "i64" ? 8 : 4;
    });
  }

  push(batch: Batch): void {
    const { count } = batch;
    if (count === 0) return;
    if (this.#hashes.length < count) this.#hashes = new Uint32Array(count);
    const hashes = this.#hashes;
    hashKeys(this.#schema, batch, 0, count, hashes);
    this.#checkOrder(batch);
    this.#checkKeyLengths(batch);
    const columns = this.#bytesColumns.map((index) => batch.columns[index] as BytesColumn | undefined);
    let start = 0;
    for (let row = 0; row < count; row += 1) {
      let size = this.#fixedBytes;
      let large = 0;
      for (const column of columns) {
        if (column === undefined) continue;
        const length = column.offsets[row + 1] - column.offsets[row];
        if (length > largeValueBytes) large += length;
        size += length > largeValueBytes ? largeReferenceBytes : length;
      }
      const isFull = this.#bytes + size > pageBytesMax || this.#largeBytes + large > pageLargeBytesMax;
      if (isFull && this.#rows > 0) {
        this.#cut(batch, start, row);
        start = row;
      }
      this.#rows += 1;
      this.#bytes += size;
      this.#largeBytes += large;
      if (this.#rows >= pageRecordsMin && (hashes[row] < cutHashBelow || this.#rows === pageRecordsMax)) {
        this.#cut(batch, start, row + 1);
        start = row + 1;
      }
    }
    // Copies, so that the batch is its owner's again when this returns.
    if (start < count) this.#pieces.push(this.#copy({ batch, from: start, to: count }));
    this.#last = this.#copy({ batch, from: count - 1, to: count });
  }

  #copy(piece: Piece): Piece {
    return { batch: joinPieces(this.#schema, this.#table, [piece]), from: 0, to: piece.to - piece.from };
  }

  /** Ends the table's last page. */
  finish(): void {
    if (this.#rows > 0) this.#cut(undefined, 0, 0);
  }

  #cut(batch: Batch | undefined, from: number, to: number): void {
    const pieces = this.#pieces;
    if (batch !== undefined && to > from) pieces.push({ batch, from, to });
    const records =
      pieces.length === 1
        ? pieces[0]
        : { batch: joinPieces(this.#schema, this.#table, pieces), from: 0, to: this.#rows };
    this.#emit(records);
    for (const piece of pieces) if (piece.batch !== batch) releaseBatch(piece.batch);
    if (records.batch !== batch) releaseBatch(records.batch);
    this.#pieces = [];
    this.#rows = 0;
    this.#bytes = 0;
    this.#largeBytes = 0;
  }

  #emit(records: Piece): void {
    const schema = this.#schema;
    const { batch, from, to } = records;
    const large: LargeRow[] = [];
    const stored = this.#largeBytes > 0 ? this.#takeLargeValues(records, large) : records;
    const { raw, sections } = encodePage(
      schema,
      stored.batch,
      stored.from,
      stored.to,
      large.length === 0 ? undefined : large,
    );
    const tail = new Uint32Array(1);
    hashKeys(schema, batch, to - 1, to, tail);
    const page = {
      table: this.#table,
      firstKey: encodeKey(schema, batch, from),
      count: to - from,
      tail: tail[0],
      raw,
      sections,
    };
    this.#output.page(page, records);
  }

  /** A copy of the records with every large value replaced by its reference. */
  #takeLargeValues(records: Piece, large: LargeRow[]): Piece {
    const copy = this.#copy(records).batch;
    const columns = copy.columns.map((column, index) => {
      if (column === undefined || !("offsets" in column)) return column;
      const values: Uint8Array[] = [];
      for (let row = 0; row < copy.count; row += 1) {
        const value = column.arena.slice(column.offsets[row], column.offsets[row + 1]);
        if (value.length > largeValueBytes) {
          large.push({ column: index, row });
          values.push(encodeLargeReference(value));
          // Last: the output may move the value's buffer to another thread at once.
          this.#output.large(value);
        } else values.push(value);
      }
      const offsets = new Uint32Array(copy.count + 1);
      values.forEach((value, row) => {
        offsets[row + 1] = offsets[row] + value.length;
      });
      return { offsets, arena: new Uint8Array(Buffer.concat(values)) };
    });
    return { batch: { table: this.#table, count: copy.count, columns }, from: 0, to: copy.count };
  }

  #checkOrder(batch: Batch): void {
    const last = this.#last;
    if (last !== undefined) this.#requireRising(compareKeys(this.#schema, last.batch, last.from, batch, 0), batch, 0);
    const row = firstNotRising(this.#schema, batch);
    if (row >= 0) this.#requireRising(compareKeys(this.#schema, batch, row - 1, batch, row), batch, row);
  }

  #checkKeyLengths(batch: Batch): void {
    for (let index = 0; index < this.#schema.keyCount; index += 1) {
      if (this.#schema.columns[index].type !== "bytes") continue;
      const { offsets } = batch.columns[index] as BytesColumn;
      for (let row = 0; row < batch.count; row += 1) {
        const length = offsets[row + 1] - offsets[row];
        if (length > keyBytesMax) {
          const { name } = this.#schema.columns[index];
          throw new CairnError(
            "key-too-long",
            `table ${this.#schema.name} has a record whose ${name} is ${length} bytes long; ${keyBytesMax} can be stored`,
            { next: "shorten it in the volume, then back it up again" },
          );
        }
      }
    }
  }

  #requireRising(order: number, batch: Batch, row: number): void {
    if (order < 0) return;
    const key = describeKey(this.#schema, encodeKey(this.#schema, batch, row));
    if (order === 0) {
      throw new CairnError("duplicate-record", `table ${this.#schema.name} has two records with the key ${key}`, {
        next: "repair the volume's metadata (a unique index of its engine is damaged), then back it up again",
      });
    }
    throw new CairnError("record-order", `table ${this.#schema.name} has records out of key order at ${key}`);
  }
}
