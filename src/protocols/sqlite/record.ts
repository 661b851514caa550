import { readVarint, varintToBigint } from "./varint.ts";
import type { Varint } from "./varint.ts";

/** A stored value. INTEGER is always a bigint and REAL always a number, so that they are told apart. */
export type SqlValue = null | bigint | number | string | Uint8Array;

/**
 * Decodes a record (https://sqlite.org/fileformat2.html, "Record Format") in full: for small tables and the schema, not for
 * the hot path. Returns what is wrong with it as a string when it breaks the format. Bytes are copies.
 */
export function decodeRecord(bytes: Uint8Array, start: number, end: number): SqlValue[] | string {
  const varint: Varint = { low: 0, high: 0, end: 0 };
  readVarint(bytes, start, end, varint);
  const headerEnd = start + varint.low;
  if (varint.end > end || varint.high !== 0 || varint.low < 0 || headerEnd > end || headerEnd < varint.end) {
    return "a record's header does not fit its record";
  }
  const values: SqlValue[] = [];
  let at = varint.end;
  let body = headerEnd;
  while (at < headerEnd) {
    readVarint(bytes, at, headerEnd, varint);
    if (varint.end > headerEnd) return "a record's header is cut off";
    at = varint.end;
    const type = varint.low;
    if (varint.high !== 0 || type < 0 || type === 10 || type === 11)
      return `a record has the unknown serial type ${type}`;
    const length = type >= 12 ? (type - 12) >>> 1 : fixedLengths[type];
    if (body + length > end) return "a value reaches beyond the end of its record";
    values.push(decodeValue(bytes, type, body, length));
    body += length;
  }
  return values;
}

/** Bytes of the serial types below 12. */
const fixedLengths = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];

function decodeValue(bytes: Uint8Array, type: number, at: number, length: number): SqlValue {
  if (type >= 12) {
    const value = bytes.slice(at, at + length);
    return (type & 1) === 1 ? Buffer.from(value.buffer).toString("utf8") : value;
  }
  if (type === 0) return null;
  if (type === 8) return 0n;
  if (type === 9) return 1n;
  if (type === 7) return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getFloat64(0);
  let value = BigInt((bytes[at] << 24) >> 24);
  for (let index = 1; index < length; index++) value = (value << 8n) | BigInt(bytes[at + index]);
  return value;
}

/** The signed 64-bit integer of a varint at `at`: for row ids outside the hot path. */
export function readRowid(bytes: Uint8Array, at: number, limit: number): bigint {
  const varint: Varint = { low: 0, high: 0, end: 0 };
  readVarint(bytes, at, limit, varint);
  return varintToBigint(varint);
}
