import type { Batch } from "../../model/batch.ts";
import type { TableSchema } from "../../model/schema.ts";
import { TableSorter } from "../../pipeline/table-sorter.ts";

/** A sorter that spills by itself when its records take more than three quarters of a budget; a spill needs the rest. */
export class SpillingSorter implements Disposable {
  readonly #sorter: TableSorter;
  readonly #budget: number;

  constructor(schema: TableSchema, temporaryFolder: string, memoryBytes: number) {
    this.#sorter = new TableSorter(schema, 0, temporaryFolder);
    this.#budget = memoryBytes * 0.75;
  }

  append(batch: Batch): void {
    if (batch.count === 0) return;
    this.#sorter.append(batch);
    if (this.#sorter.bytes > this.#budget) this.#sorter.spill();
  }

  /** Hands over all records in key order, equal keys one after the other, and ends the sorter. */
  drain(push: (batch: Batch) => void): void {
    this.#sorter.drain(push);
  }

  [Symbol.dispose](): void {
    this.#sorter[Symbol.dispose]();
  }
}
