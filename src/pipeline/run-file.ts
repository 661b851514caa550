import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import type { Batch, BytesColumn, Column, IntegerColumn } from "../model/batch.ts";
import { CairnError, messageOf } from "../model/errors.ts";
import { release } from "../std/release.ts";
import type { TableSchema } from "../model/schema.ts";

let serial = 0;
/** Stands for the length of a column that a block does not have. */
const absent = 0xffffffff;

/**
 * A sorted run spilled to disk: blocks of records as they lie in memory. The file is unlinked as soon as it is open,
 * so that a killed process leaves nothing behind.
 */
export class RunFile {
  readonly #schema: TableSchema;
  readonly #table: number;
  readonly #descriptor: number;
  readonly #length = new Uint32Array(1);
  #written = 0;
  #at = 0;

  constructor(schema: TableSchema, table: number, folder: string) {
    this.#schema = schema;
    this.#table = table;
    serial += 1;
    const path = join(folder, `run-${process.pid}-${threadId}-${serial}-${schema.name}`);
    try {
      this.#descriptor = openSync(path, "wx+", 0o600);
      unlinkSync(path);
    } catch (error) {
      throw spillError(error);
    }
  }

  /**
   * Appends a block: its count of words, then the count of records and each column's length in bytes, then the columns, each padded to
   * whole words. A block is one buffer in memory as well, with views for its columns: one allocation to make and to free.
   */
  write(batch: Batch): void {
    const parts: Uint8Array[] = [];
    const header: number[] = [0, batch.count];
    let words = 0;
    const add = (array: Uint32Array | Uint8Array): void => {
      header.push(array.byteLength);
      parts.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      words += (array.byteLength + 3) >>> 2;
    };
    this.#schema.columns.forEach((column, index) => {
      const data = batch.columns[index];
      if (data === undefined) header.push(...(column.type === "bytes" ? [absent, 0] : [absent]));
      else if (column.type === "bytes") {
        const { offsets, arena } = data as BytesColumn;
        add(offsets.subarray(0, batch.count + 1));
        add(arena.subarray(0, offsets[batch.count]));
      } else add((data as IntegerColumn).values.subarray(0, batch.count * (column.type === "u32" ? 1 : 2)));
    });
    header[0] = header.length - 1 + words;
    const block = new Uint32Array(1 + header[0]);
    block.set(header);
    const bytes = new Uint8Array(block.buffer);
    let at = header.length * 4;
    for (const part of parts) {
      bytes.set(part, at);
      at += (part.length + 3) & ~3;
    }
    this.#writeAll(bytes);
    release(block.buffer);
  }

  #writeAll(part: Uint8Array): void {
    let at = 0;
    while (at < part.length) {
      let written: number;
      try {
        written = writeSync(this.#descriptor, part, at, part.length - at, this.#written);
      } catch (error) {
        throw spillError(error);
      }
      at += written;
      this.#written += written;
    }
  }

  /** The next block, or undefined at the end. */
  read(): Batch | undefined {
    if (this.#at === this.#written) return undefined;
    this.#readInto(this.#length);
    const block = new Uint32Array(this.#length[0]);
    this.#readInto(block);
    let header = 1;
    let at = this.#schema.columns.reduce((sum, { type }) => sum + (type === "bytes" ? 2 : 1), 1);
    const columns = this.#schema.columns.map((column): Column | undefined => {
      const length = block[header];
      const arenaLength = block[header + 1];
      header += column.type === "bytes" ? 2 : 1;
      if (length === absent) return undefined;
      const values = block.subarray(at, at + length / 4);
      at += length / 4;
      if (column.type !== "bytes") return { values };
      const arena = new Uint8Array(block.buffer, at * 4, arenaLength);
      at += (arenaLength + 3) >>> 2;
      return { offsets: values, arena };
    });
    return { table: this.#table, count: block[0], columns };
  }

  #readInto(words: Uint32Array): void {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const read = readSync(this.#descriptor, bytes, at, bytes.length - at, this.#at);
      if (read === 0) throw new CairnError("spill-failed", "a temporary file of the sorter ended too early");
      at += read;
      this.#at += read;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function spillError(error: unknown): CairnError {
  return new CairnError("spill-failed", `cannot write the sorter's temporary file: ${messageOf(error)}`, {
    unharmed: "the source and the repository are unchanged",
    next: "free space in the temporary folder or name another one with TMPDIR, or raise --memory so that less is spilled",
    cause: error,
  });
}
