/**
 * JuiceFS' slice records (`pkg/meta/slice.go`), big-endian. In a chunk, 24 bytes: `pos u32, id u64, size u32, off u32, len u32`; id 0 is a
 * hole. In a delayed-slice record, 12 bytes: `id u64, size u32`.
 */
export const chunkSliceBytes = 24;
const delayedSliceBytes = 12;

/** Gets a slice's id in two halves and its size. */
export type SliceVisitor = (idLow: number, idHigh: number, size: number) => void;

/** Visits every whole record of a run, holes included; returns whether nothing was left over. */
export function eachChunkSlice(bytes: Uint8Array, start: number, end: number, visit: SliceVisitor): boolean {
  let at = start;
  for (; at + chunkSliceBytes <= end; at += chunkSliceBytes) {
    visit(wordAt(bytes, at + 8), wordAt(bytes, at + 4), wordAt(bytes, at + 12));
  }
  return at === end;
}

/** The same for the records of a delayed slice. */
export function eachDelayedSlice(bytes: Uint8Array, start: number, end: number, visit: SliceVisitor): boolean {
  let at = start;
  for (; at + delayedSliceBytes <= end; at += delayedSliceBytes) {
    visit(wordAt(bytes, at + 4), wordAt(bytes, at), wordAt(bytes, at + 8));
  }
  return at === end;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
