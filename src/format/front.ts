import type { ByteWriter } from "../std/byte-writer.ts";
import type { BytesColumn } from "../model/batch.ts";
import { decodeIntegers, encodeIntegers } from "./integers.ts";
import { pageRecordsMax } from "./limits.ts";
import type { PageCursor } from "./page-cursor.ts";

/** Fewer hex digits in a row than this are left as text: dates and counters compress better as what they are. */
const hexDigitsMin = 16;

const shared = new Uint32Array(pageRecordsMax);
const rests = new Uint32Array(pageRecordsMax);
const hexRows = new Uint32Array(pageRecordsMax);
const hexStarts = new Uint32Array(pageRecordsMax);
const hexLengths = new Uint32Array(pageRecordsMax);

/**
 * Writes sorted names (docs/format.md, "Names"): for each the length that it shares with the one before and the length of the rest, then
 * the rests. The first run of 16 or more lower-case hex digits in a rest is packed two to a byte: names that are hashes are
 * common, and zstd needs five bits for each of their digits (1.8 % of the benchmark volume).
 */
export function encodeFront(out: ByteWriter, column: BytesColumn, from: number, to: number): void {
  const { offsets, arena } = column;
  const count = to - from;
  let textBytes = 0;
  let packedBytes = 0;
  let runs = 0;
  for (let row = from; row < to; row += 1) {
    const start = offsets[row];
    const end = offsets[row + 1];
    let length = 0;
    if (row > from) {
      const before = offsets[row - 1];
      const most = Math.min(end - start, start - before);
      while (length < most && arena[start + length] === arena[before + length]) length += 1;
    }
    const rest = end - start - length;
    shared[row - from] = length;
    rests[row - from] = rest;
    textBytes += rest;
    if (rest < hexDigitsMin) continue;
    const run = findHexRun(arena, start + length, end);
    if (run < 0) continue;
    const digits = hexRunLength(arena, run, end);
    hexRows[runs] = row - from;
    hexStarts[runs] = run - start - length;
    hexLengths[runs] = digits / 2;
    runs += 1;
    textBytes -= digits;
    packedBytes += digits / 2;
  }
  encodeIntegers(out, shared, undefined, count);
  encodeIntegers(out, rests, undefined, count);
  out.u32(runs);
  for (let run = runs - 1; run > 0; run -= 1) hexRows[run] -= hexRows[run - 1] + 1;
  encodeIntegers(out, hexRows, undefined, runs);
  encodeIntegers(out, hexStarts, undefined, runs);
  encodeIntegers(out, hexLengths, undefined, runs);
  out.mark();
  let packedAt = out.reserve(packedBytes);
  out.mark();
  let textAt = out.reserve(textBytes);
  const { bytes } = out;
  let run = 0;
  let nextRow = runs === 0 ? -1 : hexRows[0];
  for (let row = 0; row < count; row += 1) {
    const end = offsets[from + row + 1];
    let source = end - rests[row];
    if (row === nextRow) {
      const hex = source + hexStarts[run];
      for (; source < hex; source += 1, textAt += 1) bytes[textAt] = arena[source];
      for (let left = hexLengths[run]; left > 0; left -= 1, source += 2, packedAt += 1) {
        bytes[packedAt] = (hexValue(arena[source]) << 4) | hexValue(arena[source + 1]);
      }
      run += 1;
      nextRow = run < runs ? nextRow + hexRows[run] + 1 : -1;
    }
    for (; source < end; source += 1, textAt += 1) bytes[textAt] = arena[source];
  }
}

/** Where the first run of enough hex digits begins, or -1. */
function findHexRun(arena: Uint8Array, from: number, end: number): number {
  let start = from;
  for (let at = from; at < end; at += 1) {
    if (hexValue(arena[at]) < 0) start = at + 1;
    else if (at - start + 1 === hexDigitsMin) return start;
    if (end - start < hexDigitsMin) return -1;
  }
  return -1;
}

/** An even number of hex digits from a position. */
function hexRunLength(arena: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && hexValue(arena[at]) >= 0) at += 1;
  return (at - from) & ~1;
}

/** The value of a lower-case hex digit, or -1. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

/** Names grow by what they share: a page of 1 MiB of rows cannot hold more than that, which bounds what a damaged one may ask for. */
const nameBytesMax = 4 << 20;

/** Reads what `encodeFront` wrote. */
export function decodeFront(cursor: PageCursor, count: number): BytesColumn {
  const sharedLengths = new Uint32Array(count);
  decodeIntegers(cursor, sharedLengths, undefined, count);
  const restLengths = new Uint32Array(count);
  decodeIntegers(cursor, restLengths, undefined, count);
  const runs = cursor.u32();
  if (runs > count) cursor.fail("it names more runs of hex digits than it has records");
  const rows = new Uint32Array(runs);
  decodeIntegers(cursor, rows, undefined, runs);
  const starts = new Uint32Array(runs);
  decodeIntegers(cursor, starts, undefined, runs);
  const lengths = new Uint32Array(runs);
  decodeIntegers(cursor, lengths, undefined, runs);

  const offsets = new Uint32Array(count + 1);
  let total = 0;
  let textBytes = 0;
  for (let row = 0; row < count; row += 1) {
    if (sharedLengths[row] > (row === 0 ? 0 : offsets[row] - offsets[row - 1]))
      cursor.fail("a name shares more than there is");
    total += sharedLengths[row] + restLengths[row];
    textBytes += restLengths[row];
    if (total > nameBytesMax) cursor.fail("its names are too long");
    offsets[row + 1] = total;
  }
  let packedBytes = 0;
  for (let run = 0; run < runs; run += 1) {
    if (run > 0) rows[run] += rows[run - 1] + 1;
    if (rows[run] >= count || starts[run] + 2 * lengths[run] > restLengths[rows[run]]) {
      cursor.fail("a run of hex digits lies outside its name");
    }
    packedBytes += lengths[run];
  }
  const packed = cursor.take(packedBytes);
  const text = cursor.take(textBytes - 2 * packedBytes);
  const arena = new Uint8Array(total);
  let packedAt = 0;
  let textAt = 0;
  let run = 0;
  for (let row = 0; row < count; row += 1) {
    let at = offsets[row];
    const before = row === 0 ? 0 : offsets[row - 1];
    for (let copied = 0; copied < sharedLengths[row]; copied += 1, at += 1) arena[at] = arena[before + copied];
    const end = offsets[row + 1];
    if (run < runs && rows[run] === row) {
      const hex = at + starts[run];
      for (; at < hex; at += 1, textAt += 1) arena[at] = text[textAt];
      for (let left = lengths[run]; left > 0; left -= 1, at += 2, packedAt += 1) {
        arena[at] = hexDigits[packed[packedAt] >>> 4];
        arena[at + 1] = hexDigits[packed[packedAt] & 15];
      }
      run += 1;
    }
    for (; at < end; at += 1, textAt += 1) arena[at] = text[textAt];
  }
  return { offsets, arena };
}

const hexDigits = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
