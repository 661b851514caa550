/*
 * How `--memory` is shared out. The sorter's part is set so low that a volume of a million files fills it already: from there on the
 * process does not grow with the volume (figures in docs/benchmarks.md).
 */

/** Bytes of records that the sorters may hold. */
export function sorterMemory(memoryBytes: number): number {
  return Math.floor(memoryBytes / 4);
}

/** Bytes of batches that a source may have ready. */
export function sourceMemory(memoryBytes: number): number {
  return Math.floor(memoryBytes / 16);
}
