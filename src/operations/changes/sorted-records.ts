import type { Batch } from "../../model/batch.ts";
import type { TableSchema } from "../../model/schema.ts";
import { RunBuffer } from "../../pipeline/run-buffer.ts";
import { RunFile } from "../../pipeline/run-file.ts";

/** Records up to this many bytes stay in memory. */
const memoryMax = 1 << 20;

/** A source of records in key order, to be read once. */
export interface RecordSource {
  /** The next records, or undefined at the end. */
  read(): Batch | undefined;
}

/**
 * Records of a table of our own, pushed in key order and read back once, front to back: few stay in memory, many lie in a temporary
 * file without a name, which is gone when it is closed or the process ends.
 */
export class SortedRecords implements RecordSource, Disposable {
  readonly #schema: TableSchema;
  readonly #folder: string;
  #buffer: RunBuffer;
  #file: RunFile | undefined;
  #ended = false;
  count = 0;

  constructor(schema: TableSchema, temporaryFolder: string) {
    this.#schema = schema;
    this.#folder = temporaryFolder;
    this.#buffer = new RunBuffer(schema, 0);
  }

  push(batch: Batch): void {
    if (batch.count === 0) return;
    this.count += batch.count;
    this.#buffer.append(batch);
    if (this.#buffer.bytes < memoryMax) return;
    this.#file ??= new RunFile(this.#schema, 0, this.#folder);
    this.#file.write(this.#buffer.batch());
    this.#buffer = new RunBuffer(this.#schema, 0);
  }

  read(): Batch | undefined {
    if (this.#ended) return undefined;
    const block = this.#file?.read();
    if (block !== undefined) return block;
    const rest = this.#buffer.batch();
    this[Symbol.dispose]();
    return rest.count === 0 ? undefined : rest;
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#file?.close();
    this.#file = undefined;
    this.#buffer = new RunBuffer(this.#schema, 0);
  }
}
