import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import type { Batch, BytesColumn, Column, IntegerColumn } from "../model/batch.ts";
import { CairnError, messageOf } from "../model/errors.ts";
import type { TableSchema } from "../model/schema.ts";

let serial = 0;

/**
 * A sorted run spilled to disk: blocks of records as they lie in memory. The file is unlinked as soon as it is open,
 * so that a killed process leaves nothing behind.
 */
export class RunFile {
  readonly #schema: TableSchema;
  readonly #table: number;
  readonly #descriptor: number;
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

  write(batch: Batch): void {
    const parts: Uint8Array[] = [];
    const header: number[] = [batch.count];
    const add = (array: Uint32Array | Uint8Array): void => {
      header.push(array.byteLength);
      parts.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    };
    this.#schema.columns.forEach((column, index) => {
      const data = batch.columns[index];
      if (data === undefined) header.push(0xffffffff);
      else if (column.type === "bytes") {
        const { offsets, arena } = data as BytesColumn;
        add(offsets.subarray(0, batch.count + 1));
        add(arena.subarray(0, offsets[batch.count]));
      } else add((data as IntegerColumn).values.subarray(0, batch.count * (column.type === "u32" ? 1 : 2)));
    });
    const words = new Uint32Array([header.length, ...header]);
    for (const part of [new Uint8Array(words.buffer), ...parts]) this.#writeAll(part);
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
    const [words] = this.#readWords(1);
    const header = this.#readWords(words);
    let next = 1;
    const columns = this.#schema.columns.map((column): Column | undefined => {
      const length = header[next];
      next += 1;
      if (length === 0xffffffff) return undefined;
      const values = this.#readWords(length / 4);
      if (column.type !== "bytes") return { values };
      const arena = this.#readBytes(header[next]);
      next += 1;
      return { offsets: values, arena };
    });
    return { table: this.#table, count: header[0], columns };
  }

  #readWords(count: number): Uint32Array {
    return new Uint32Array(this.#readBytes(count * 4).buffer as ArrayBuffer);
  }

  #readBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const read = readSync(this.#descriptor, bytes, at, length - at, this.#at);
      if (read === 0) throw new CairnError("spill-failed", "a temporary file of the sorter ended too early");
      at += read;
      this.#at += read;
    }
    return bytes;
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
