import { releaseBatch } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import { gather } from "../model/gather.ts";
import type { TableSchema } from "../model/schema.ts";
import { mergeRuns } from "./merge.ts";
import type { BlockSource } from "./merge.ts";
import { RunBuffer } from "./run-buffer.ts";
import { RunFile } from "./run-file.ts";
import { sortOrder } from "./sort-order.ts";

/** What a block of records holds at most: so many records, and so many bytes of names and values unless one record has more. */
interface BlockLimits {
  records: number;
  bytes: number;
}

const drainBlocks: BlockLimits = { records: 8192, bytes: 1 << 20 };
/**
 * A merge holds one block of each run, and a volume of 100 million files has hundreds of runs: with blocks of 8,192 records the memory
 * grew with the volume (4 million records: 273 MiB instead of 176).
 */
const spillBlocks: BlockLimits = { records: 1024, bytes: 128 << 10 };

/** Sorts one table's records, appended in any order, by key; what is over the budget of the whole sorter lies in run files. */
export class TableSorter implements Disposable {
  readonly #schema: TableSchema;
  readonly #table: number;
  readonly #folder: string;
  #buffer: RunBuffer;
  readonly #runs: RunFile[] = [];

  constructor(schema: TableSchema, table: number, folder: string) {
    this.#schema = schema;
    this.#table = table;
    this.#folder = folder;
    this.#buffer = new RunBuffer(schema, table);
  }

  append(batch: Batch): void {
    this.#buffer.append(batch);
  }

  /** Bytes held in memory. */
  get bytes(): number {
    return this.#buffer.bytes;
  }

  /** Sorts what is in memory and moves it to a run file. */
  spill(): void {
    if (this.#buffer.count === 0) return;
    const run = new RunFile(this.#schema, this.#table, this.#folder);
    this.#runs.push(run);
    const blocks = this.#sortedBlocks(spillBlocks);
    for (let block = blocks.read(); block !== undefined; block = blocks.read()) {
      run.write(block);
      releaseBatch(block);
    }
    this.#buffer.release();
    this.#buffer = new RunBuffer(this.#schema, this.#table);
  }

  /** Hands over all records in key order, in batches that are valid during the call, and ends the sorter. */
  drain(push: (batch: Batch) => void): void {
    const blocks = this.#sortedBlocks(drainBlocks);
    const pushAndRelease = (block: Batch): void => {
      push(block);
      releaseBatch(block);
    };
    if (this.#runs.length === 0) {
      for (let block = blocks.read(); block !== undefined; block = blocks.read()) pushAndRelease(block);
    } else mergeRuns(this.#schema, this.#table, [...this.#runs, blocks], pushAndRelease);
    this[Symbol.dispose]();
  }

  #sortedBlocks(limits: BlockLimits): BlockSource {
    const batch = this.#buffer.batch();
    const order = sortOrder(this.#schema, batch);
    let from = 0;
    return {
      read: () => {
        if (from === batch.count) return undefined;
        const to = blockEnd(batch, order, from, limits);
        const block = gather(this.#schema, batch, order, from, to);
        from = to;
        return block;
      },
    };
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs.splice(0)) run.close();
    this.#buffer.release();
    this.#buffer = new RunBuffer(this.#schema, this.#table);
  }
}

function blockEnd(batch: Batch, order: Uint32Array | undefined, from: number, limits: BlockLimits): number {
  const most = Math.min(batch.count, from + limits.records);
  let bytes = 0;
  for (let at = from; at < most; at += 1) {
    const row = order === undefined ? at : order[at];
    for (const column of batch.columns) {
      if (column !== undefined && "offsets" in column) bytes += column.offsets[row + 1] - column.offsets[row];
    }
    if (bytes > limits.bytes) return Math.max(at, from + 1);
  }
  return most;
}
