import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { fileType, nodeColumn } from "../../model/juicefs.ts";
import type { TableSchema } from "../../model/schema.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { SortedRecords } from "./sorted-records.ts";
import { SpillingSorter } from "./spilling-sorter.ts";
import { compareWide } from "./wide.ts";

/** An edge without its name, by what it leads to. Keys repeat: hard links in one directory. */
const edgeSchema: TableSchema = {
  name: "edge-by-inode",
  keyCount: 2,
  columns: [
    { name: "inode", type: "u64", encoding: "plain" },
    { name: "parent", type: "u64", encoding: "plain" },
    { name: "type", type: "u32", encoding: "plain" },
  ],
};

export interface JoinOptions {
  signal: AbortSignal;
  temporaryFolder: string;
  /** Bytes of records that the sorter may hold. */
  memoryBytes: number;
  onRecords(count: number): void;
}

/** Sees every name and every node once, in the order of inodes: the names of a node right before it. 64-bit values are two halves. */
export interface NamesVisitor {
  /** A batch of nodes whose rows the next calls name. */
  nodes(batch: Batch): void;
  /** One name in a directory. `type` is the edge's; the length is the file's, 0 for what is no regular file or does not exist. */
  name(parentLow: number, parentHigh: number, type: number, lengthLow: number, lengthHigh: number): void;
  /** A node with the number of its names and the directory of the last one. */
  node(row: number, names: number, parentLow: number, parentHigh: number): void;
}

/**
 * Joins all nodes of a snapshot with all their names. Edges stand by directory, so they are sorted by inode once, on disk where they
 * do not fit the budget; then both sides stream by, and no record is an object.
 */
export async function visitNames(snapshot: Snapshot, visitor: NamesVisitor, options: JoinOptions): Promise<void> {
  using edges = await sortEdges(snapshot, options);
  const reader = new EdgeReader(edges);
  for await (const batch of readTable(snapshot, "node")) {
    options.signal.throwIfAborted();
    visitor.nodes(batch);
    const inodes = integersOf(batch, nodeColumn.inode);
    const types = valuesOf(batch, nodeColumn.type);
    const lengths = valuesOf(batch, nodeColumn.length);
    for (let row = 0; row < batch.count; row += 1) {
      const low = inodes[2 * row];
      const high = inodes[2 * row + 1];
      while (reader.compare(low, high) < 0) nameOfNothing(reader, visitor);
      const isFile = types !== undefined && types[row] === fileType.regular && lengths !== undefined;
      let names = 0;
      let parentLow = 0;
      let parentHigh = 0;
      while (reader.compare(low, high) === 0) {
        names += 1;
        parentLow = reader.parentLow;
        parentHigh = reader.parentHigh;
        visitor.name(
          parentLow,
          parentHigh,
          reader.type,
          isFile ? lengths[2 * row] : 0,
          isFile ? lengths[2 * row + 1] : 0,
        );
        reader.next();
      }
      visitor.node(row, names, parentLow, parentHigh);
    }
    options.onRecords(batch.count);
  }
  while (!reader.ended) nameOfNothing(reader, visitor);
}

/** An entry whose node is missing still is an entry of its directory. */
function nameOfNothing(reader: EdgeReader, visitor: NamesVisitor): void {
  visitor.name(reader.parentLow, reader.parentHigh, reader.type, 0, 0);
  reader.next();
}

async function sortEdges(snapshot: Snapshot, options: JoinOptions): Promise<SortedRecords> {
  using sorter = new SpillingSorter(edgeSchema, options.temporaryFolder, options.memoryBytes);
  for await (const batch of readTable(snapshot, "edge")) {
    options.signal.throwIfAborted();
    // A key column must be there; an edge's inode is a value, and left out where all are 0.
    const inodes = batch.columns[2] ?? { values: new Uint32Array(2 * batch.count) };
    sorter.append({ table: 0, count: batch.count, columns: [inodes, batch.columns[0], batch.columns[3]] });
    options.onRecords(batch.count);
  }
  const sorted = new SortedRecords(edgeSchema, options.temporaryFolder);
  sorter.drain((batch) => sorted.push(batch));
  return sorted;
}

class EdgeReader {
  readonly #edges: SortedRecords;
  #block: Batch | undefined;
  #inodes: Uint32Array = new Uint32Array(0);
  #parents: Uint32Array = new Uint32Array(0);
  #types: Uint32Array | undefined;
  #row = 0;

  constructor(edges: SortedRecords) {
    this.#edges = edges;
    this.#load();
  }

  #load(): void {
    this.#block = this.#edges.read();
    this.#row = 0;
    if (this.#block === undefined) return;
    this.#inodes = integersOf(this.#block, 0);
    this.#parents = integersOf(this.#block, 1);
    this.#types = valuesOf(this.#block, 2);
  }

  get ended(): boolean {
    return this.#block === undefined;
  }

  /** The order of the current edge's inode and another; above all others at the end. */
  compare(low: number, high: number): number {
    if (this.#block === undefined) return 1;
    return compareWide(this.#inodes[2 * this.#row], this.#inodes[2 * this.#row + 1], low, high);
  }

  get parentLow(): number {
    return this.#parents[2 * this.#row];
  }

  get parentHigh(): number {
    return this.#parents[2 * this.#row + 1];
  }

  get type(): number {
    return this.#types === undefined ? 0 : this.#types[this.#row];
  }

  next(): void {
    this.#row += 1;
    if (this.#row === this.#block?.count) this.#load();
  }
}

/** The values of an integer column, or undefined where all are 0. */
export function valuesOf(batch: Batch, column: number): Uint32Array | undefined {
  return batch.columns[column] === undefined ? undefined : integersOf(batch, column);
}
