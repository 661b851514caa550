import type { ByteWriter } from "../std/byte-writer.ts";
import type { BytesColumn } from "../model/batch.ts";
import { decodeIntegers, encodeIntegers } from "./integers.ts";
import type { PageCursor } from "./page-cursor.ts";

/** Bytes of one JuiceFS slice record: pos u32, id u64, size u32, off u32, len u32, big-endian (JuiceFS `pkg/meta/slice.go`). */
const sliceBytes = 24;

/** More than this many slice records in one page (24 MiB) cannot be: a page holds at most 1 MiB of rows. */
const slicesMax = 1 << 20;

/**
 * Writes a column of slice records field by field (docs/format.md, "Slices"): most chunks have one slice with pos 0, off 0
 * and len = size, whose streams then take one byte. Returns false, and writes nothing, when a value is no whole number of records.
 */
export function encodeSlices(out: ByteWriter, column: BytesColumn, from: number, to: number): boolean {
  const { offsets, arena } = column;
  const count = to - from;
  const counts = new Uint32Array(count);
  for (let row = 0; row < count; row += 1) {
    const length = offsets[from + row + 1] - offsets[from + row];
    if (length % sliceBytes !== 0) return false;
    counts[row] = length / sliceBytes;
  }
  const start = offsets[from];
  const total = (offsets[to] - start) / sliceBytes;
  const positions = new Uint32Array(total);
  const idsLow = new Uint32Array(total);
  const idsHigh = new Uint32Array(total);
  const sizes = new Uint32Array(total);
  const windows = new Uint32Array(total);
  const lengths = new Uint32Array(total);
  let beforeLow = 0;
  let beforeHigh = 0;
  for (let slice = 0, at = start; slice < total; slice += 1, at += sliceBytes) {
    positions[slice] = word(arena, at);
    const idHigh = word(arena, at + 4);
    const idLow = word(arena, at + 8);
    const differenceLow = (idLow >>> 0) - beforeLow;
    const differenceHigh = (idHigh - beforeHigh - (differenceLow < 0 ? 1 : 0)) | 0;
    const sign = differenceHigh >> 31;
    idsLow[slice] = (differenceLow << 1) ^ sign;
    idsHigh[slice] = ((differenceHigh << 1) | (differenceLow >>> 31)) ^ sign;
    beforeLow = idLow >>> 0;
    beforeHigh = idHigh;
    const size = word(arena, at + 12);
    sizes[slice] = size;
    windows[slice] = word(arena, at + 16);
    const shorter = (size - word(arena, at + 20)) | 0;
    lengths[slice] = (shorter << 1) ^ (shorter >> 31);
  }
  out.u8(1);
  encodeIntegers(out, counts, undefined, count);
  encodeIntegers(out, positions, undefined, total);
  encodeIntegers(out, idsLow, idsHigh, total);
  encodeIntegers(out, sizes, undefined, total);
  encodeIntegers(out, windows, undefined, total);
  encodeIntegers(out, lengths, undefined, total);
  return true;
}

function word(arena: Uint8Array, at: number): number {
  return (arena[at] << 24) | (arena[at + 1] << 16) | (arena[at + 2] << 8) | arena[at + 3];
}

/** Reads what `encodeSlices` wrote after its layout byte. */
export function decodeSlices(cursor: PageCursor, count: number): BytesColumn {
  const counts = new Uint32Array(count);
  decodeIntegers(cursor, counts, undefined, count);
  const offsets = new Uint32Array(count + 1);
  let total = 0;
  for (let row = 0; row < count; row += 1) {
    total += counts[row];
    if (total > slicesMax) cursor.fail("it names too many slices");
    offsets[row + 1] = total * sliceBytes;
  }
  const positions = new Uint32Array(total);
  decodeIntegers(cursor, positions, undefined, total);
  const idsLow = new Uint32Array(total);
  const idsHigh = new Uint32Array(total);
  decodeIntegers(cursor, idsLow, idsHigh, total);
  const sizes = new Uint32Array(total);
  decodeIntegers(cursor, sizes, undefined, total);
  const windows = new Uint32Array(total);
  decodeIntegers(cursor, windows, undefined, total);
  const lengths = new Uint32Array(total);
  decodeIntegers(cursor, lengths, undefined, total);
  const arena = new Uint8Array(total * sliceBytes);
  let idLow = 0;
  let idHigh = 0;
  for (let slice = 0, at = 0; slice < total; slice += 1, at += sliceBytes) {
    const sign = -(idsLow[slice] & 1);
    const differenceLow = (((idsLow[slice] >>> 1) | (idsHigh[slice] << 31)) ^ sign) >>> 0;
    const sum = idLow + differenceLow;
    idHigh = (idHigh + ((idsHigh[slice] >>> 1) ^ sign) + (sum > 0xffffffff ? 1 : 0)) | 0;
    idLow = sum >>> 0;
    putWord(arena, at, positions[slice]);
    putWord(arena, at + 4, idHigh);
    putWord(arena, at + 8, idLow);
    putWord(arena, at + 12, sizes[slice]);
    putWord(arena, at + 16, windows[slice]);
    putWord(arena, at + 20, sizes[slice] - ((lengths[slice] >>> 1) ^ -(lengths[slice] & 1)));
  }
  return { offsets, arena };
}

function putWord(arena: Uint8Array, at: number, value: number): void {
  arena[at] = value >>> 24;
  arena[at + 1] = value >>> 16;
  arena[at + 2] = value >>> 8;
  arena[at + 3] = value;
}
