import { bytesOf, integersOf } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import { CairnError } from "../model/errors.ts";
import type { TableSchema } from "../model/schema.ts";

/**
 * The key of a record as bytes whose order is the order of records (docs/format.md, "Keys"): integers big-endian, then the bytes
 * column, which only the last key column may be.
 */
export function encodeKey(schema: TableSchema, batch: Batch, row: number): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (let index = 0; index < schema.keyCount; index += 1) {
    const { type } = schema.columns[index];
    if (type === "bytes") {
      const { offsets } = bytesOf(batch, index);
      length += offsets[row + 1] - offsets[row];
    } else length += type === "u32" ? 4 : 8;
  }
  const key = new Uint8Array(length);
  const view = new DataView(key.buffer);
  let at = 0;
  for (let index = 0; index < schema.keyCount; index += 1) {
    const { type } = schema.columns[index];
    if (type === "bytes") {
      const { offsets, arena } = bytesOf(batch, index);
      key.set(arena.subarray(offsets[row], offsets[row + 1]), at);
      at += offsets[row + 1] - offsets[row];
      continue;
    }
    const values = integersOf(batch, index);
    if (type === "u32") {
      view.setUint32(at, values[row]);
      at += 4;
    } else {
      const flip = type === "i64" ? 0x80000000 : 0;
      view.setUint32(at, (values[2 * row + 1] ^ flip) >>> 0);
      view.setUint32(at + 4, values[2 * row]);
      at += 8;
    }
  }
  return key;
}

/** One value of a decoded key: integers as bigint. */
export type KeyValue = bigint | Uint8Array;

/** Builds a key from values; fewer values than key columns give the shortest prefix, which sorts before all keys that continue it. */
export function keyFrom(schema: TableSchema, values: readonly KeyValue[]): Uint8Array<ArrayBuffer> {
  const parts = values.map((value, index) => {
    const { type } = schema.columns[index];
    if (type === "bytes") return value as Uint8Array;
    const part = new Uint8Array(type === "u32" ? 4 : 8);
    const view = new DataView(part.buffer);
    if (type === "u32") view.setUint32(0, Number(value));
    else view.setBigUint64(0, BigInt.asUintN(64, value as bigint) ^ (type === "i64" ? 1n << 63n : 0n));
    return part;
  });
  const key = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    key.set(part, at);
    at += part.length;
  }
  return key;
}

/** The values of a key, in column order; throws on a key of the wrong length. */
export function decodeKey(schema: TableSchema, key: Uint8Array): KeyValue[] {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const values: KeyValue[] = [];
  let at = 0;
  for (let index = 0; index < schema.keyCount; index += 1) {
    const { type } = schema.columns[index];
    if (type === "bytes") {
      values.push(key.slice(at));
      return values;
    }
    const width = type === "u32" ? 4 : 8;
    if (at + width > key.length) throw new CairnError("page-damaged", `a key of table ${schema.name} is too short`);
    if (type === "u32") values.push(BigInt(view.getUint32(at)));
    else {
      const raw = view.getBigUint64(at);
      values.push(type === "u64" ? raw : BigInt.asIntN(64, raw ^ (1n << 63n)));
    }
    at += width;
  }
  return values;
}

/**
 * A 32-bit hash of each record's key, for the cuts (docs/format.md, "Cuts"). Written out for the two shapes of keys,
 * since it runs once for every record of a backup.
 */
export function hashKeys(schema: TableSchema, batch: Batch, from: number, to: number, out: Uint32Array): void {
  out.fill(0x811c9dc5, 0, to - from);
  for (let index = 0; index < schema.keyCount; index += 1) {
    const { type } = schema.columns[index];
    if (type === "bytes") mixBytes(bytesOf(batch, index).offsets, bytesOf(batch, index).arena, from, to, out);
    else if (type === "u32") {
      const values = integersOf(batch, index);
      for (let row = from; row < to; row += 1) out[row - from] = mix(out[row - from], values[row]);
    } else {
      const values = integersOf(batch, index);
      for (let row = from; row < to; row += 1) {
        out[row - from] = mix(mix(out[row - from], values[2 * row]), values[2 * row + 1]);
      }
    }
  }
  for (let at = 0; at < to - from; at += 1) {
    let hash = out[at];
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    out[at] = hash ^ (hash >>> 16);
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function mixBytes(offsets: Uint32Array, arena: Uint8Array, from: number, to: number, out: Uint32Array): void {
  for (let row = from; row < to; row += 1) {
    let at = offsets[row];
    const end = offsets[row + 1];
    let hash = mix(out[row - from], end - at);
    for (; at + 4 <= end; at += 4) {
      hash = mix(hash, arena[at] | (arena[at + 1] << 8) | (arena[at + 2] << 16) | (arena[at + 3] << 24));
    }
    if (at < end) {
      let word = 0;
      for (let shift = 0; at < end; at += 1, shift += 8) word |= arena[at] << shift;
      hash = mix(hash, word);
    }
    out[row - from] = hash;
  }
}

/** The order of two records by key: negative, 0 or positive. */
export function compareKeys(schema: TableSchema, left: Batch, leftRow: number, right: Batch, rightRow: number): number {
  for (let index = 0; index < schema.keyCount; index += 1) {
    const { type } = schema.columns[index];
    if (type === "bytes") {
      const a = bytesOf(left, index);
      const b = bytesOf(right, index);
      const order = compareBytes(
        a.arena,
        a.offsets[leftRow],
        a.offsets[leftRow + 1],
        b.arena,
        b.offsets[rightRow],
        b.offsets[rightRow + 1],
      );
      if (order !== 0) return order;
      continue;
    }
    const a = integersOf(left, index);
    const b = integersOf(right, index);
    if (type === "u32") {
      if (a[leftRow] !== b[rightRow]) return a[leftRow] < b[rightRow] ? -1 : 1;
      continue;
    }
    const flip = type === "i64" ? 0x80000000 : 0;
    const highA = (a[2 * leftRow + 1] ^ flip) >>> 0;
    const highB = (b[2 * rightRow + 1] ^ flip) >>> 0;
    if (highA !== highB) return highA < highB ? -1 : 1;
    if (a[2 * leftRow] !== b[2 * rightRow]) return a[2 * leftRow] < b[2 * rightRow] ? -1 : 1;
  }
  return 0;
}

/** Bytewise order of two ranges; a prefix comes first. Names differ within a few bytes, where a loop beats `Buffer.compare`'s call. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let at = 0; at < length; at += 1) {
    const difference = a[aStart + at] - b[bStart + at];
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

/** The first row of a batch whose key is not above that of the row before, or -1. */
export function firstNotRising(schema: TableSchema, batch: Batch): number {
  const first = schema.columns[0];
  if (first.type === "u64") {
    const values = integersOf(batch, 0);
    for (let row = 1; row < batch.count; row += 1) {
      const now = 2 * row;
      if (values[now + 1] > values[now - 1] || (values[now + 1] === values[now - 1] && values[now] > values[now - 2]))
        continue;
      if (schema.keyCount > 1 && compareKeys(schema, batch, row - 1, batch, row) < 0) continue;
      return row;
    }
    return -1;
  }
  for (let row = 1; row < batch.count; row += 1) if (compareKeys(schema, batch, row - 1, batch, row) >= 0) return row;
  return -1;
}
