import { releaseBatch } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import { pickRows } from "../model/pick-rows.ts";
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
    if (picked > 0) push(pickRows(schema, table, blocks, pickedRuns, pickedRows, picked));
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
      releaseBatch(blocks[run]);
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
