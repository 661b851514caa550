import type { Batch, BytesColumn, Column, IntegerColumn } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";
import { compareKeys } from "../format/key.ts";

/** Where sorted blocks come from: a run file or a sorted buffer. */
export interface BlockSource {
  read(): Batch | undefined;
}

const blockRecords = 16_384;

/** Merges sorted runs into one sorted sequence of batches; a heap over the runs, and column-wise copies of what it picks. */
export function mergeRuns(
  schema: TableSchema,
  table: number,
  runs: readonly BlockSource[],
  push: (batch: Batch) => void,
): void {
  const blocks: Batch[] = [];
  const rows = new Uint32Array(runs.length);
  const heap: number[] = [];
  const less = (a: number, b: number): boolean => {
    const order = compareKeys(schema, blocks[a], rows[a], blocks[b], rows[b]);
    return order < 0 || (order === 0 && a < b);
  };
  runs.forEach((run, index) => {
    const block = run.read();
    if (block === undefined) return;
    blocks[index] = block;
    heap.push(index);
  });
  heap.sort((a, b) => (less(a, b) ? -1 : 1));

  const pickedRuns = new Uint32Array(blockRecords);
  const pickedRows = new Uint32Array(blockRecords);
  let picked = 0;
  const flush = (): void => {
    if (picked > 0) push(copyPicked(schema, table, blocks, pickedRuns, pickedRows, picked));
    picked = 0;
  };
  while (heap.length > 0) {
    const run = heap[0];
    pickedRuns[picked] = run;
    pickedRows[picked] = rows[run];
    picked += 1;
    rows[run] += 1;
    const ended = rows[run] === blocks[run].count;
    if (ended || picked === blockRecords) flush();
    if (ended) {
      const block = runs[run].read();
      rows[run] = 0;
      if (block !== undefined) blocks[run] = block;
      else {
        const last = heap.pop() as number;
        if (heap.length > 0) heap[0] = last;
      }
    }
    siftDown(heap, less);
  }
  flush();
}

function siftDown(heap: number[], less: (a: number, b: number) => boolean): void {
  let at = 0;
  for (;;) {
    let least = at;
    const left = 2 * at + 1;
    if (left < heap.length && less(heap[left], heap[least])) least = left;
    if (left + 1 < heap.length && less(heap[left + 1], heap[least])) least = left + 1;
    if (least === at) return;
    [heap[at], heap[least]] = [heap[least], heap[at]];
    at = least;
  }
}

function copyPicked(
  schema: TableSchema,
  table: number,
  blocks: readonly Batch[],
  pickedRuns: Uint32Array,
  pickedRows: Uint32Array,
  count: number,
): Batch {
  const columns = schema.columns.map((column, index): Column | undefined => {
    const sources = blocks.map((block) => block.columns[index]);
    if (sources.every((source) => source === undefined)) return undefined;
    return column.type === "bytes"
      ? copyBytes(sources as (BytesColumn | undefined)[], pickedRuns, pickedRows, count)
      : copyIntegers(
          sources as (IntegerColumn | undefined)[],
          pickedRuns,
          pickedRows,
          count,
          column.type === "u32" ? 1 : 2,
        );
  });
  return { table, count, columns };
}

function copyIntegers(
  sources: readonly (IntegerColumn | undefined)[],
  pickedRuns: Uint32Array,
  pickedRows: Uint32Array,
  count: number,
  width: number,
): IntegerColumn {
  const values = new Uint32Array(count * width);
  for (let at = 0; at < count; at += 1) {
    const source = sources[pickedRuns[at]];
    if (source === undefined) continue;
    const row = pickedRows[at];
    if (width === 1) values[at] = source.values[row];
    else {
      values[2 * at] = source.values[2 * row];
      values[2 * at + 1] = source.values[2 * row + 1];
    }
  }
  return { values };
}

function copyBytes(
  sources: readonly (BytesColumn | undefined)[],
  pickedRuns: Uint32Array,
  pickedRows: Uint32Array,
  count: number,
): BytesColumn {
  const offsets = new Uint32Array(count + 1);
  for (let at = 0; at < count; at += 1) {
    const source = sources[pickedRuns[at]];
    const row = pickedRows[at];
    offsets[at + 1] = offsets[at] + (source === undefined ? 0 : source.offsets[row + 1] - source.offsets[row]);
  }
  const arena = new Uint8Array(offsets[count]);
  for (let at = 0; at < count; at += 1) {
    const source = sources[pickedRuns[at]];
    if (source === undefined) continue;
    const row = pickedRows[at];
    const end = source.offsets[row + 1];
    let out = offsets[at];
    for (let from = source.offsets[row]; from < end; from += 1, out += 1) arena[out] = source.arena[from];
  }
  return { offsets, arena };
}
