import type { Batch, IntegerColumn } from "../../../model/batch.ts";
import { nodeColumn } from "../../../model/juicefs.ts";

/** Bytes of a JuiceFS attribute without ACLs and tier, padding included (`pkg/meta/interface.go`, `Attr.Marshal`). */
const plainBytes = 72;
const aclBytes = 8;

/** How long the attribute of one record is, and how it is written; for one batch of nodes. */
export interface AttributeEncoder {
  length(row: number): number;
  /** Writes the attribute at `at`; `length(row)` bytes. */
  put(row: number, bytes: Uint8Array, at: number): void;
}

const zeros = new Uint32Array(2 * 65_536);

/**
 * JuiceFS' binary attribute, big-endian: flags u8, type and mode u16, uid, gid u32, three times seconds i64 and nanoseconds u32, nlink u32,
 * length u64, rdev u32, parent u64; then both ACL ids, where one is not 0; then the tier, where it is not 0; then one byte 0 that JuiceFS
 * allocates and never fills.
 */
export function attributeEncoder(batch: Batch): AttributeEncoder {
  const absent = batch.count * 2 <= zeros.length ? zeros : new Uint32Array(batch.count * 2);
  const valuesOf = (index: number): Uint32Array =>
    (batch.columns[index] as IntegerColumn | undefined)?.values ?? absent;
  const type = valuesOf(nodeColumn.type);
  const flags = valuesOf(nodeColumn.flags);
  const mode = valuesOf(nodeColumn.mode);
  const uid = valuesOf(nodeColumn.uid);
  const gid = valuesOf(nodeColumn.gid);
  const atime = valuesOf(nodeColumn.atime);
  const atimensec = valuesOf(nodeColumn.atimensec);
  const mtime = valuesOf(nodeColumn.mtime);
  const mtimensec = valuesOf(nodeColumn.mtimensec);
  const ctime = valuesOf(nodeColumn.ctime);
  const ctimensec = valuesOf(nodeColumn.ctimensec);
  const nlink = valuesOf(nodeColumn.nlink);
  const length = valuesOf(nodeColumn.length);
  const rdev = valuesOf(nodeColumn.rdev);
  const parent = valuesOf(nodeColumn.parent);
  const accessAcl = valuesOf(nodeColumn.accessAcl);
  const defaultAcl = valuesOf(nodeColumn.defaultAcl);
  const tier = valuesOf(nodeColumn.tier);
  return {
    length: (row) =>
      plainBytes + (accessAcl[row] === 0 && defaultAcl[row] === 0 ? 0 : aclBytes) + (tier[row] === 0 ? 0 : 1),
    put(row, bytes, at) {
      bytes[at] = flags[row];
      const typeAndMode = (type[row] << 12) | mode[row];
      bytes[at + 1] = typeAndMode >>> 8;
      bytes[at + 2] = typeAndMode;
      put32(bytes, at + 3, uid[row]);
      put32(bytes, at + 7, gid[row]);
      put64(bytes, at + 11, atime, row);
      put32(bytes, at + 19, atimensec[row]);
      put64(bytes, at + 23, mtime, row);
      put32(bytes, at + 31, mtimensec[row]);
      put64(bytes, at + 35, ctime, row);
      put32(bytes, at + 43, ctimensec[row]);
      put32(bytes, at + 47, nlink[row]);
      put64(bytes, at + 51, length, row);
      put32(bytes, at + 59, rdev[row]);
      put64(bytes, at + 63, parent, row);
      let end = at + plainBytes - 1;
      if (accessAcl[row] !== 0 || defaultAcl[row] !== 0) {
        put32(bytes, end, accessAcl[row]);
        put32(bytes, end + 4, defaultAcl[row]);
        end += aclBytes;
      }
      if (tier[row] !== 0) bytes[end++] = tier[row];
      bytes[end] = 0;
    },
  };
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes element `row` of a 64-bit column. */
export function put64(bytes: Uint8Array, at: number, values: Uint32Array, row: number): void {
  put32(bytes, at, values[2 * row + 1]);
  put32(bytes, at + 4, values[2 * row]);
}
