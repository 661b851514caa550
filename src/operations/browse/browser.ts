import type { Batch } from "../../model/batch.ts";
import { batchBytes } from "../../model/batch.ts";
import type { TableSchema } from "../../model/schema.ts";
import { tableNamed } from "../../model/schema.ts";
import { mapOrdered } from "../../std/map-ordered.ts";
import type { IndexEntry } from "../../format/index-page.ts";
import { compareBytes, encodeKey } from "../../format/key.ts";
import { pathSchema } from "../../format/path-index.ts";
import { readPage } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";

/** Rows of a batch: `from` included, `to` not. */
export interface Rows {
  batch: Batch;
  from: number;
  to: number;
}

/** Decoded pages that are kept: enough for every page of a volume of a million files. */
const cacheBytesMax = 64 << 20;
const readAhead = 4;

/**
 * Looks into one snapshot: reads only the pages that hold what is asked for, and keeps the latest decoded ones.
 */
export class Browser {
  readonly snapshot: Snapshot;
  readonly #pages = new Map<string, Promise<Batch>>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  /** Pages decoded so far: what a search plans with. */
  pagesDecoded = 0;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
  }

  schema(table: string): TableSchema {
    return table === pathSchema.name ? pathSchema : tableNamed(this.snapshot.kind, table);
  }

  /** Pages of a table, by the manifest alone. */
  pageCount(table: string): number {
    return this.snapshot.manifest.tables.find(({ name }) => name === table)?.index.pages ?? 0;
  }

  /** Records of a table, by the manifest alone. */
  recordCount(table: string): number {
    return this.snapshot.manifest.tables.find(({ name }) => name === table)?.records ?? 0;
  }

  page(table: string, entry: IndexEntry): Promise<Batch> {
    const key = `${table} ${entry.id}`;
    const known = this.#pages.get(key);
    if (known !== undefined) {
      this.#pages.delete(key);
      this.#pages.set(key, known);
      return known;
    }
    this.pagesDecoded += 1;
    const read = readPage(this.snapshot, table, entry).then((batch) => {
      this.#keep(key, batchBytes(batch));
      return batch;
    });
    read.catch(() => this.#pages.delete(key));
    this.#pages.set(key, read);
    return read;
  }

  #keep(key: string, bytes: number): void {
    this.#sizes.set(key, bytes);
    this.#bytes += bytes;
    for (const [oldest] of this.#pages) {
      if (this.#bytes <= cacheBytesMax || oldest === key) return;
      const size = this.#sizes.get(oldest);
      if (size === undefined) continue;
      this.#bytes -= size;
      this.#sizes.delete(oldest);
      this.#pages.delete(oldest);
    }
  }

  /** The record of exactly this key. */
  async record(table: string, key: Uint8Array): Promise<{ batch: Batch; row: number } | undefined> {
    const entry = await this.snapshot.index(table).find(key);
    if (entry === undefined) return undefined;
    const batch = await this.page(table, entry);
    const schema = this.schema(table);
    const row = lowerBound(schema, batch, key);
    if (row === batch.count) return undefined;
    const found = encodeKey(schema, batch, row);
    return Buffer.compare(found, key) === 0 ? { batch, row } : undefined;
  }

  /** The records whose keys begin with these bytes, in key order. */
  async *below(table: string, prefix: Uint8Array): AsyncGenerator<Rows> {
    const schema = this.schema(table);
    const end = after(prefix);
    const pages = mapOrdered(this.entriesBelow(table, prefix), readAhead, (entry) => this.page(table, entry));
    for await (const batch of pages) {
      const from = lowerBound(schema, batch, prefix);
      const to = end === undefined ? batch.count : lowerBound(schema, batch, end);
      if (from < to) yield { batch, from, to };
    }
  }

  /** The index entries of the pages that may hold keys with this prefix. */
  async *entriesBelow(table: string, prefix: Uint8Array): AsyncGenerator<IndexEntry> {
    const end = after(prefix);
    for await (const entry of this.snapshot.index(table).entries(prefix)) {
      if (end !== undefined && Buffer.compare(entry.firstKey, end) >= 0) return;
      yield entry;
    }
  }
}

/** The first row whose key is not below a key; the count when all are. */
function lowerBound(schema: TableSchema, batch: Batch, key: Uint8Array): number {
  let low = 0;
  let high = batch.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = encodeKey(schema, batch, middle);
    if (compareBytes(found, 0, found.length, key, 0, key.length) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The least key above all that begin with a prefix; undefined when there is none. */
function after(prefix: Uint8Array): Uint8Array | undefined {
  const end = prefix.slice();
  for (let at = end.length - 1; at >= 0; at -= 1) {
    end[at] += 1;
    if (end[at] !== 0) return end;
  }
  return undefined;
}
