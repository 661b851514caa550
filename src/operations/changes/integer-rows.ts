import type { Batch } from "../../model/batch.ts";
import type { TableSchema } from "../../model/schema.ts";

const capacity = 8192;

/** Gathers records of integer columns into batches, without an object for each. */
export class IntegerRows {
  readonly #widths: readonly number[];
  /** The values of each column of the batch under way; the record to fill has the position `count`. */
  columns: Uint32Array[];
  count = 0;

  constructor(schema: TableSchema) {
    this.#widths = schema.columns.map((column) => (column.type === "u32" ? 1 : 2));
    this.columns = this.#fresh();
  }

  #fresh(): Uint32Array[] {
    return this.#widths.map((width) => new Uint32Array(capacity * width));
  }

  get isFull(): boolean {
    return this.count === capacity;
  }

  /** The records gathered so far, which are then the caller's. */
  take(): Batch {
    const { count } = this;
    const batch = { table: 0, count, columns: this.columns.map((values) => ({ values })) };
    this.columns = this.#fresh();
    this.count = 0;
    return batch;
  }
}
