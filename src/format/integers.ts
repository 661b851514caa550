import type { ByteWriter } from "../std/byte-writer.ts";
import type { PageCursor } from "./page-cursor.ts";

/*
 * A stream of integers (docs/format.md, "Integer streams"): one tag byte, then
 *   0        all values are 0
 *   1…8      that many planes: the lowest byte of every value, then the next, …
 *   255      all values are the one that follows in 8 bytes, little-endian
 * Values are given as halves, `low` and, for 64 bits, `high`. Planes beat varints here: they need no branch a value
 * (1 M nodes encode in a third of the time) and zstd sees each field's zero bytes as one run.
 */
const constantTag = 255;

/** Writes `count` integers; `high` undefined means that all fit 32 bits. */
export function encodeIntegers(out: ByteWriter, low: Uint32Array, high: Uint32Array | undefined, count: number): void {
  let seenLow = 0;
  let seenHigh = 0;
  let differ = 0;
  if (count > 0) {
    const firstLow = low[0];
    for (let at = 0; at < count; at += 1) {
      seenLow |= low[at];
      differ |= low[at] ^ firstLow;
    }
    if (high !== undefined) {
      const firstHigh = high[0];
      for (let at = 0; at < count; at += 1) {
        seenHigh |= high[at];
        differ |= high[at] ^ firstHigh;
      }
    }
  }
  if ((seenLow | seenHigh) === 0) {
    out.u8(0);
    return;
  }
  if (differ === 0 && count > 1) {
    out.u8(constantTag);
    out.u32(low[0]);
    out.u32(high === undefined ? 0 : high[0]);
    return;
  }
  const width = seenHigh === 0 ? byteWidth(seenLow) : 4 + byteWidth(seenHigh);
  out.u8(width);
  let at = out.reserve(width * count);
  const { bytes } = out;
  for (let plane = 0; plane < width; plane += 1) {
    const half = plane < 4 ? low : (high as Uint32Array);
    const shift = (plane & 3) * 8;
    out.mark(at);
    for (let row = 0; row < count; row += 1) bytes[at + row] = half[row] >>> shift;
    at += count;
  }
}

function byteWidth(bits: number): number {
  if ((bits & 0xff000000) !== 0) return 4;
  if ((bits & 0x00ff0000) !== 0) return 3;
  return (bits & 0xff00) === 0 ? 1 : 2;
}

/** Reads `count` integers into `low`, and into `high` when it is given; a value that needs more than `high` allows is an error. */
export function decodeIntegers(
  cursor: PageCursor,
  low: Uint32Array,
  high: Uint32Array | undefined,
  count: number,
): void {
  const tag = cursor.u8();
  if (tag === 0) return;
  if (tag === constantTag) {
    const constantLow = cursor.u32();
    const constantHigh = cursor.u32();
    low.fill(constantLow, 0, count);
    if (high !== undefined) high.fill(constantHigh, 0, count);
    else if (constantHigh !== 0) cursor.fail("a value exceeds 32 bits");
    return;
  }
  if (tag > (high === undefined ? 4 : 8)) cursor.fail(`an integer stream has the unknown tag ${tag}`);
  let at = cursor.skip(tag * count);
  const { bytes } = cursor;
  for (let plane = 0; plane < tag; plane += 1) {
    const half = plane < 4 ? low : (high as Uint32Array);
    const shift = (plane & 3) * 8;
    if (shift === 0) for (let row = 0; row < count; row += 1) half[row] = bytes[at + row];
    else for (let row = 0; row < count; row += 1) half[row] |= bytes[at + row] << shift;
    at += count;
  }
}
