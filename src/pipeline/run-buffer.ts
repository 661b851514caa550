import type { Batch, BytesColumn, Column, IntegerColumn } from "../model/batch.ts";
import { release } from "../std/release.ts";
import type { TableSchema } from "../model/schema.ts";

interface Store {
  values: Uint32Array;
  arena: Uint8Array | undefined;
}

/** Records of one table gathered into one growing batch: what the sorter sorts at once. */
export class RunBuffer {
  readonly #schema: TableSchema;
  readonly #table: number;
  readonly #stores: (Store | undefined)[];
  #capacity = 0;
  count = 0;

  constructor(schema: TableSchema, table: number) {
    this.#schema = schema;
    this.#table = table;
    this.#stores = schema.columns.map(() => undefined);
  }

  append(batch: Batch): void {
    const { count } = batch;
    this.#grow(this.count + count);
    batch.columns.forEach((column, index) => this.#appendColumn(column, index, count));
    this.count += count;
  }

  #appendColumn(column: Column | undefined, index: number, count: number): void {
    const { type } = this.#schema.columns[index];
    const width = type === "u32" || type === "bytes" ? 1 : 2;
    let store = this.#stores[index];
    if (column === undefined) {
      if (store?.arena !== undefined)
        store.values.fill(store.values[this.count], this.count + 1, this.count + 1 + count);
      return;
    }
    if (store === undefined) {
      store = {
        values: new Uint32Array(this.#capacity * width + 1),
        arena: type === "bytes" ? new Uint8Array(65_536) : undefined,
      };
      this.#stores[index] = store;
    }
    if (store.arena === undefined) {
      store.values.set((column as IntegerColumn).values.subarray(0, count * width), this.count * width);
      return;
    }
    const { offsets, arena } = column as BytesColumn;
    const end = store.values[this.count];
    const added = offsets[count] - offsets[0];
    if (end + added > store.arena.length) {
      const grown = new Uint8Array(Math.max(end + added, store.arena.length * 2));
      grown.set(store.arena.subarray(0, end));
      release(store.arena.buffer);
      store.arena = grown;
    }
    store.arena.set(arena.subarray(offsets[0], offsets[count]), end);
    const shift = end - offsets[0];
    for (let row = 1; row <= count; row += 1) store.values[this.count + row] = offsets[row] + shift;
  }

  #grow(count: number): void {
    if (count <= this.#capacity) return;
    const capacity = Math.max(count, this.#capacity * 2, 16_384);
    this.#stores.forEach((store, index) => {
      if (store === undefined) return;
      const { type } = this.#schema.columns[index];
      const grown = new Uint32Array(capacity * (type === "u32" || type === "bytes" ? 1 : 2) + 1);
      grown.set(store.values);
      release(store.values.buffer);
      store.values = grown;
    });
    this.#capacity = capacity;
  }

  /** The records as one batch: a view, valid until the next change. */
  batch(): Batch {
    const columns = this.#stores.map((store, index): Column | undefined => {
      if (store === undefined) return index < this.#schema.keyCount ? { values: new Uint32Array(0) } : undefined;
      return store.arena === undefined ? { values: store.values } : { offsets: store.values, arena: store.arena };
    });
    return { table: this.#table, count: this.count, columns };
  }

  /** Frees the memory; the buffer is empty and done. */
  release(): void {
    for (const store of this.#stores) {
      if (store === undefined) continue;
      release(store.values.buffer);
      if (store.arena !== undefined) release(store.arena.buffer);
    }
    this.#stores.fill(undefined);
    this.count = 0;
  }

  /** Bytes that the buffer holds. */
  get bytes(): number {
    let total = 0;
    for (const store of this.#stores)
      if (store !== undefined) total += store.values.byteLength + (store.arena?.length ?? 0);
    return total;
  }
}
