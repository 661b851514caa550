import type { Batch } from "../model/batch.ts";
import { gather } from "../model/gather.ts";
import type { Piece } from "../model/batch-pieces.ts";
import type { Kind } from "../model/schema.ts";
import { ColumnExtremes } from "../format/extremes.ts";
import type { Extreme } from "../format/extremes.ts";
import { Pager } from "../format/pager.ts";
import type { RawPage } from "../format/pager.ts";
import { pathSchema, withoutRepeats } from "../format/path-index.ts";
import { PathCollector } from "./path-collector.ts";
import { TableSorter } from "./table-sorter.ts";

export interface PageLineOptions {
  kind: Kind;
  /** Tables whose records come in key order. */
  sortedTables: readonly string[];
  /** Bytes of records that may be held before they are spilled. */
  memoryBytes: number;
  temporaryFolder: string;
  /** Whether to make the path index as well: a backup does, a proof does not. */
  pathIndex: boolean;
}

export interface PageLineOutput {
  /** `path` pages have the table number of the kind's length. */
  page(page: RawPage): void;
  large(value: Uint8Array<ArrayBuffer>): void;
  /** All pages of this table were handed over; the extremes of its columns. */
  tableEnd(table: number, extremes: Record<string, Extreme>): void;
}

/** Offsets into a sorter's bytes have 32 bits: however large the budget, a sorter spills well before they would run over. */
const arenaBytesMax = 2 ** 31;

/** The table number of path index pages of a kind. */
export function pathTable(kind: Kind): number {
  return kind.tables.length;
}

/**
 * The line from batches in any order to pages in key order, in one thread: sorters with a common budget, pagers, and the path index.
 * The pages are the same for any order of batches and any budget.
 */
export class PageLine implements Disposable {
  readonly #options: PageLineOptions;
  readonly #output: PageLineOutput;
  readonly #sorters: (TableSorter | undefined)[] = [];
  readonly #pagers: (Pager | undefined)[] = [];
  readonly #extremes: ColumnExtremes[];
  readonly #ended = new Set<number>();
  #paths: TableSorter | undefined;
  #collector: PathCollector | undefined;

  constructor(options: PageLineOptions, output: PageLineOutput) {
    this.#options = options;
    this.#output = output;
    this.#extremes = options.kind.tables.map((schema) => new ColumnExtremes(schema));
    const edges = options.kind.tables.find((table) => table.name === "edge");
    if (!options.pathIndex || edges === undefined) return;
    const paths = new TableSorter(pathSchema, 0, options.temporaryFolder);
    this.#paths = paths;
    this.#collector = new PathCollector(edges, (batch) => {
      paths.append(batch);
      this.#keepBudget();
    });
  }

  /** Takes a batch's records; the batch stays the caller's. */
  push(batch: Batch): void {
    const { table } = batch;
    const schema = this.#options.kind.tables[table];
    if (this.#ended.has(table)) throw new RangeError(`records of table ${schema.name} came after its end`);
    if (batch.count > 0) {
      if (this.#options.sortedTables.includes(schema.name)) this.#pager(table).push(batch);
      else {
        this.#sorters[table] ??= new TableSorter(schema, table, this.#options.temporaryFolder);
        this.#sorters[table].append(batch);
        this.#keepBudget();
      }
    }
    if (batch.last === true) this.#endTable(table);
  }

  /** Ends all tables that did not end yet, then the path index. */
  finish(): void {
    this.#options.kind.tables.forEach((_, table) => this.#endTable(table));
    const paths = this.#paths;
    if (paths === undefined) return;
    this.#collector?.finish();
    const table = pathTable(this.#options.kind);
    const pager = new Pager(pathSchema, table, this.#output);
    let before: Batch | undefined;
    paths.drain((batch) => {
      pager.push(withoutRepeats(batch, before));
      before = gather(pathSchema, batch, undefined, batch.count - 1, batch.count);
    });
    pager.finish();
    this.#output.tableEnd(table, {});
  }

  #endTable(table: number): void {
    if (this.#ended.has(table)) return;
    this.#ended.add(table);
    const sorter = this.#sorters[table];
    const pager = this.#pager(table);
    this.#sorters[table] = undefined;
    sorter?.drain((batch) => pager.push(batch));
    pager.finish();
    this.#output.tableEnd(table, this.#extremes[table].finish());
  }

  #pager(table: number): Pager {
    const existing = this.#pagers[table];
    if (existing !== undefined) return existing;
    const schema = this.#options.kind.tables[table];
    const output = this.#output;
    const extremes = this.#extremes[table];
    const collector = schema.name === "edge" ? this.#collector : undefined;
    const pager = new Pager(schema, table, {
      page: (page: RawPage, records: Piece) => {
        output.page(page);
        extremes.add(records);
        collector?.add(records, page.tail);
      },
      large: (value) => output.large(value),
    });
    this.#pagers[table] = pager;
    return pager;
  }

  /** Spills the largest sorters until the budget holds. A quarter stays free for what a spill itself needs (the order, a block). */
  #keepBudget(): void {
    const budget = Math.min(this.#options.memoryBytes * 0.75, arenaBytesMax);
    for (;;) {
      const sorters = [...this.#sorters, this.#paths].filter((sorter) => sorter !== undefined);
      const total = sorters.reduce((sum, sorter) => sum + sorter.bytes, 0);
      if (total <= budget) return;
      const largest = sorters.reduce((a, b) => (b.bytes > a.bytes ? b : a));
      if (largest.bytes === 0) return;
      largest.spill();
    }
  }

  [Symbol.dispose](): void {
    for (const sorter of [...this.#sorters, this.#paths]) sorter?.[Symbol.dispose]();
  }
}
