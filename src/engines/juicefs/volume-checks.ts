import type { Batch, BytesColumn, Row } from "../../model/batch.ts";
import { batchFromRows, integersOf, signedAt, unsignedAt } from "../../model/batch.ts";
import { juicefs, juicefsTable } from "../../model/juicefs.ts";
import type { Finding } from "../../model/ports.ts";
import { FindingCount } from "./finding.ts";
import { Hazards } from "./hazards.ts";
import { eachChunkSlice, eachDelayedSlice } from "./slices.ts";

/** Receives every slice that a volume names, and every stored reference count as the real number of references. */
export interface SliceSink {
  addMention(idLow: number, idHigh: number, size: number): void;
  addStored(idLow: number, idHigh: number, size: number, refs: number): void;
}

/**
 * What every source looks at while canonical batches stream by: hazards, slices and their reference counts, chunks without slices. No record
 * is kept. `slices` gets each mention and each stored count.
 */
export class VolumeChecks {
  readonly #slices: SliceSink;
  readonly #hazards = new Hazards();
  readonly #emptyChunks = new FindingCount(
    "empty-chunk",
    "info",
    (count) => `${count} chunks have no slices; they are equal to no chunk`,
  );
  readonly #oddSlices = new FindingCount(
    "slices-odd",
    "warning",
    (count) => `${count} slice lists are cut off in the middle of a record; they are kept as they are`,
  );

  constructor(slices: SliceSink) {
    this.#slices = slices;
  }

  /**
   * Looks at a batch before it is handed on. Returns the batch to hand on in its place: the same one, or one without the chunks that have no
   * slices; nothing when no record is left.
   */
  see(batch: Batch): Batch | undefined {
    this.#hazards.see(batch);
    if (batch.table === juicefsTable.delayedSlice) this.#seeDelayed(batch);
    if (batch.table !== juicefsTable.chunk) return batch;
    return this.#seeChunks(batch) === 0 ? batch : this.#withoutEmpty(batch);
  }

  #seeDelayed(batch: Batch): void {
    const name = (row: number): string => `delayed slice ${unsignedAt(integersOf(batch, 0), row)}`;
    visitSlices(batch, this.#slices, (row, bytes) => this.#oddSlices.add(() => `${name(row)}: ${bytes} bytes`));
  }

  #seeChunks(batch: Batch): number {
    const name = (row: number): string =>
      `inode ${unsignedAt(integersOf(batch, 0), row)}, chunk ${chunkIndex(batch, row)}`;
    return visitSlices(batch, this.#slices, (row, bytes) => this.#oddSlices.add(() => `${name(row)}: ${bytes} bytes`));
  }

  #withoutEmpty(batch: Batch): Batch | undefined {
    const inodes = integersOf(batch, 0);
    const column = batch.columns[2] as BytesColumn | undefined;
    const rows: Row[] = [];
    for (let row = 0; row < batch.count; row++) {
      const start = column === undefined ? 0 : column.offsets[row];
      const end = column === undefined ? 0 : column.offsets[row + 1];
      const inode = unsignedAt(inodes, row);
      const index = chunkIndex(batch, row);
      if (column === undefined || start === end) this.#emptyChunks.add(() => `inode ${inode}, chunk ${index}`);
      else rows.push([inode, index, column.arena.subarray(start, end)]);
    }
    if (rows.length === 0) return undefined;
    return batchFromRows(juicefs.tables[juicefsTable.chunk], juicefsTable.chunk, rows);
  }

  /** Findings of everything but reference counts. `counters` are canonical; `maxSlice` is the highest slice id that was seen. */
  findings(counters: ReadonlyMap<string, bigint>, maxSlice: bigint): Finding[] {
    return [
      ...this.#hazards.findings(counters, maxSlice),
      ...this.#emptyChunks.toFindings(),
      ...this.#oddSlices.toFindings(),
    ];
  }
}

function chunkIndex(batch: Batch, row: number): number {
  return batch.columns[1] === undefined ? 0 : integersOf(batch, 1)[row];
}

/**
 * Visits the slices of a batch of chunks or delayed slices, holes left out. `odd` is told of lists that end in the middle of a record.
 * Returns how many lists are empty.
 */
export function visitSlices(
  batch: Batch,
  slices: Pick<SliceSink, "addMention">,
  odd?: (row: number, bytes: number) => void,
): number {
  const column = batch.columns[2] as BytesColumn | undefined;
  if (column === undefined) return batch.count;
  const each = batch.table === juicefsTable.chunk ? eachChunkSlice : eachDelayedSlice;
  const { offsets, arena } = column;
  const visit = (idLow: number, idHigh: number, size: number): void => {
    if (idLow !== 0 || idHigh !== 0) slices.addMention(idLow, idHigh, size);
  };
  let empty = 0;
  for (let row = 0; row < batch.count; row++) {
    const start = offsets[row];
    const end = offsets[row + 1];
    if (start === end) empty++;
    else if (!each(arena, start, end, visit)) odd?.(row, end - start);
  }
  return empty;
}

/**
 * Counts the reference counts of a batch in, which has the canonical columns but a row for every slice, as SQL's `chunk_ref` does. Returns
 * the records whose count is not 1: the canonical ones.
 */
export function seeStoredRefs(batch: Batch, slices: Pick<SliceSink, "addStored">): Batch | undefined {
  const ids = integersOf(batch, 0);
  const sizes = integersOf(batch, 1);
  const counts = batch.columns[2] === undefined ? new Uint32Array(2 * batch.count) : integersOf(batch, 2);
  const exceptions: Row[] = [];
  for (let row = 0; row < batch.count; row++) {
    const isOne = counts[2 * row] === 1 && counts[2 * row + 1] === 0;
    if (ids[2 * row] !== 0 || ids[2 * row + 1] !== 0) {
      slices.addStored(ids[2 * row], ids[2 * row + 1], sizes[row], isOne ? 1 : Number(signedAt(counts, row)));
    }
    if (!isOne) exceptions.push([unsignedAt(ids, row), sizes[row], signedAt(counts, row)]);
  }
  if (exceptions.length === 0) return undefined;
  return batchFromRows(juicefs.tables[juicefsTable.sliceRef], juicefsTable.sliceRef, exceptions);
}

/** Says that a table is complete: it is sorted and stored while the others are read. */
export function endOfTable(table: number): Batch {
  return { table, count: 0, columns: [], last: true };
}
