import { nodeColumn } from "../../../model/juicefs.ts";
import type { RecordRows } from "./record-rows.ts";

/** Without the parent, which very old records lack. */
const leastBytes = 63;

/**
 * Writes the columns of a node from JuiceFS' binary attribute (`pkg/meta/interface.go`, `Attr.Unmarshal`), big-endian: flags u8, type and mode
 * u16, uid, gid u32, three times seconds i64 and nanoseconds u32, nlink u32, length u64, rdev u32; then as far as there are bytes parent
 * u64, both ACL ids u32, tier u8. Writers leave one byte 0 behind. Returns what is wrong with it, if anything.
 */
export function putNode(rows: RecordRows, bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start < leastBytes) return `has ${end - start} bytes, and ${leastBytes} is the least`;
  const typeAndMode = (bytes[start + 1] << 8) | bytes[start + 2];
  rows.u32(nodeColumn.type, typeAndMode >>> 12);
  rows.u32(nodeColumn.flags, bytes[start]);
  rows.u32(nodeColumn.mode, typeAndMode & 0xfff);
  rows.u32(nodeColumn.uid, word(bytes, start + 3));
  rows.u32(nodeColumn.gid, word(bytes, start + 7));
  put64(rows, nodeColumn.atime, bytes, start + 11);
  rows.u32(nodeColumn.atimensec, word(bytes, start + 19));
  put64(rows, nodeColumn.mtime, bytes, start + 23);
  rows.u32(nodeColumn.mtimensec, word(bytes, start + 31));
  put64(rows, nodeColumn.ctime, bytes, start + 35);
  rows.u32(nodeColumn.ctimensec, word(bytes, start + 43));
  rows.u32(nodeColumn.nlink, word(bytes, start + 47));
  put64(rows, nodeColumn.length, bytes, start + 51);
  rows.u32(nodeColumn.rdev, word(bytes, start + 59));
  let at = start + leastBytes;
  if (end - at >= 8) {
    put64(rows, nodeColumn.parent, bytes, at);
    at += 8;
  } else rows.u64(nodeColumn.parent, 0, 0);
  if (end - at >= 8) {
    rows.u32(nodeColumn.accessAcl, word(bytes, at));
    rows.u32(nodeColumn.defaultAcl, word(bytes, at + 4));
    at += 8;
  } else {
    rows.u32(nodeColumn.accessAcl, 0);
    rows.u32(nodeColumn.defaultAcl, 0);
  }
  rows.u32(nodeColumn.tier, at < end ? bytes[at++] : 0);
  if (end - at > 1 || (at < end && bytes[at] !== 0)) return `has ${end - at} bytes more than are known`;
  return undefined;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

function put64(rows: RecordRows, column: number, bytes: Uint8Array, at: number): void {
  rows.u64(column, word(bytes, at + 4), word(bytes, at));
}
