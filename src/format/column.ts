import type { ByteWriter } from "../std/byte-writer.ts";
import type { BytesColumn, Column } from "../model/batch.ts";
import type { ColumnSchema } from "../model/schema.ts";
import { pageRecordsMax } from "./limits.ts";
import { decodeFront, encodeFront } from "./front.ts";
import { decodeIntegers, encodeIntegers } from "./integers.ts";
import type { PageCursor } from "./page-cursor.ts";
import { decodeSlices, encodeSlices } from "./slices.ts";

/** Work space for one column of one page: reused from page to page, so that encoding allocates nothing but its output. */
const low = new Uint32Array(pageRecordsMax);
const high = new Uint32Array(pageRecordsMax);

/** Whether every record has the default in this column; such a column is not written. */
export function isDefault(column: Column, schema: ColumnSchema, from: number, to: number): boolean {
  if ("offsets" in column) return column.offsets[to] === column.offsets[from];
  const { values } = column;
  const wide = schema.type === "u32" ? 1 : 2;
  for (let at = from * wide; at < to * wide; at += 1) if (values[at] !== 0) return false;
  return true;
}

/**
 * Writes one column of the records from `from` to `to` (docs/format.md, "Columns"). `base` is the column that a `from` encoding
 * refers to; undefined stands for all zero. `large` lists the rows whose value is a reference to a large value.
 */
export function encodeColumn(
  out: ByteWriter,
  schema: ColumnSchema,
  column: Column,
  from: number,
  to: number,
  base: Column | undefined,
  large: readonly number[],
): void {
  const count = to - from;
  if ("offsets" in column) {
    if (schema.encoding === "front") encodeFront(out, column, from, to);
    else if (schema.encoding === "slices" && large.length === 0 && encodeSlices(out, column, from, to)) return;
    else encodeBytes(out, column, from, to, large);
    return;
  }
  const { values } = column;
  if (schema.type === "u32") encodeU32(out, schema, values, from, count, base);
  else encode64(out, schema, values, from, count, base);
}

function encodeU32(
  out: ByteWriter,
  schema: ColumnSchema,
  values: Uint32Array,
  from: number,
  count: number,
  base: Column | undefined,
): void {
  if (schema.encoding === "plain") {
    encodeIntegers(out, values.subarray(from, from + count), undefined, count);
  } else if (schema.encoding === "delta") {
    out.u32(values[from]);
    for (let at = 1; at < count; at += 1) low[at - 1] = zigzag32(values[from + at] - values[from + at - 1]);
    encodeIntegers(out, low, undefined, count - 1);
  } else {
    const bases = base === undefined ? undefined : (base as { values: Uint32Array }).values;
    for (let at = 0; at < count; at += 1) {
      low[at] = zigzag32(values[from + at] - (bases === undefined ? 0 : bases[from + at]));
    }
    encodeIntegers(out, low, undefined, count);
  }
}

function zigzag32(difference: number): number {
  const value = difference | 0;
  return (value << 1) ^ (value >> 31);
}

function encode64(
  out: ByteWriter,
  schema: ColumnSchema,
  values: Uint32Array,
  from: number,
  count: number,
  base: Column | undefined,
): void {
  const start = 2 * from;
  if (schema.encoding === "plain") {
    const signed = schema.type === "i64";
    for (let at = 0; at < count; at += 1) {
      const valueLow = values[start + 2 * at];
      const valueHigh = values[start + 2 * at + 1];
      if (signed) storeZigzag(at, valueLow, valueHigh);
      else {
        low[at] = valueLow;
        high[at] = valueHigh;
      }
    }
    encodeIntegers(out, low, high, count);
  } else if (schema.encoding === "delta") {
    out.u32(values[start]);
    out.u32(values[start + 1]);
    for (let at = 1; at < count; at += 1) {
      const now = start + 2 * at;
      const differenceLow = values[now] - values[now - 2];
      storeZigzag(at - 1, differenceLow, values[now + 1] - values[now - 1] - (differenceLow < 0 ? 1 : 0));
    }
    encodeIntegers(out, low, high, count - 1);
  } else {
    const bases = base === undefined ? undefined : (base as { values: Uint32Array }).values;
    for (let at = 0; at < count; at += 1) {
      const now = start + 2 * at;
      const differenceLow = values[now] - (bases === undefined ? 0 : bases[now]);
      storeZigzag(
        at,
        differenceLow,
        values[now + 1] - (bases === undefined ? 0 : bases[now + 1]) - (differenceLow < 0 ? 1 : 0),
      );
    }
    encodeIntegers(out, low, high, count);
  }
}

/** Maps a signed 64-bit value in halves to unsigned: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
function storeZigzag(at: number, valueLow: number, valueHigh: number): void {
  const sign = (valueHigh | 0) >> 31;
  low[at] = (valueLow << 1) ^ sign;
  high[at] = ((valueHigh << 1) | (valueLow >>> 31)) ^ sign;
}

function encodeBytes(out: ByteWriter, column: BytesColumn, from: number, to: number, large: readonly number[]): void {
  const { offsets, arena } = column;
  out.u8(0);
  out.u32(large.length);
  for (const row of large) out.u32(row - from);
  for (let row = from; row < to; row += 1) low[row - from] = offsets[row + 1] - offsets[row];
  encodeIntegers(out, low, undefined, to - from);
  out.write(arena.subarray(offsets[from], offsets[to]));
}

/** Reads one column of `count` records; what `encodeColumn` wrote, or `page-damaged`. Rows of large references go to `large`. */
export function decodeColumn(
  cursor: PageCursor,
  schema: ColumnSchema,
  count: number,
  base: Column | undefined,
  large: number[],
): Column {
  if (schema.type === "bytes") {
    if (schema.encoding === "front") return decodeFront(cursor, count);
    const mode = cursor.u8();
    if (mode === 0) return decodeBytes(cursor, count, large);
    if (mode === 1 && schema.encoding === "slices") return decodeSlices(cursor, count);
    return cursor.fail(`column ${schema.name} has the unknown layout ${mode}`);
  }
  return {
    values: schema.type === "u32" ? decodeU32(cursor, schema, count, base) : decode64(cursor, schema, count, base),
  };
}

function decodeU32(cursor: PageCursor, schema: ColumnSchema, count: number, base: Column | undefined): Uint32Array {
  const values = new Uint32Array(count);
  if (schema.encoding === "delta") {
    values[0] = cursor.u32();
    decodeIntegers(cursor, values.subarray(1), undefined, count - 1);
    for (let at = 1; at < count; at += 1) values[at] = values[at - 1] + ((values[at] >>> 1) ^ -(values[at] & 1));
    return values;
  }
  decodeIntegers(cursor, values, undefined, count);
  if (schema.encoding !== "plain") {
    const bases = base === undefined ? undefined : (base as { values: Uint32Array }).values;
    for (let at = 0; at < count; at += 1) {
      values[at] = (bases === undefined ? 0 : bases[at]) + ((values[at] >>> 1) ^ -(values[at] & 1));
    }
  }
  return values;
}

function decode64(cursor: PageCursor, schema: ColumnSchema, count: number, base: Column | undefined): Uint32Array {
  const values = new Uint32Array(2 * count);
  const delta = schema.encoding === "delta";
  const first = delta ? 1 : 0;
  if (delta) {
    values[0] = cursor.u32();
    values[1] = cursor.u32();
  }
  low.fill(0, 0, count);
  high.fill(0, 0, count);
  decodeIntegers(cursor, low, high, count - first);
  if (schema.encoding === "plain" && schema.type === "u64") {
    for (let at = 0; at < count; at += 1) {
      values[2 * at] = low[at];
      values[2 * at + 1] = high[at];
    }
    return values;
  }
  const bases = delta ? values : base === undefined ? undefined : (base as { values: Uint32Array }).values;
  for (let at = first; at < count; at += 1) {
    const sign = -(low[at - first] & 1);
    const differenceLow = ((low[at - first] >>> 1) | (high[at - first] << 31)) ^ sign;
    const differenceHigh = (high[at - first] >>> 1) ^ sign;
    const from = delta ? 2 * (at - 1) : 2 * at;
    const sum = (bases === undefined ? 0 : bases[from]) + (differenceLow >>> 0);
    values[2 * at] = sum;
    values[2 * at + 1] = (bases === undefined ? 0 : bases[from + 1]) + differenceHigh + (sum > 0xffffffff ? 1 : 0);
  }
  return values;
}

function decodeBytes(cursor: PageCursor, count: number, large: number[]): BytesColumn {
  const largeCount = cursor.u32();
  if (largeCount > count) cursor.fail("it names more large values than it has records");
  for (let at = 0; at < largeCount; at += 1) {
    const row = cursor.u32();
    if (row >= count) cursor.fail("it names a large value of a record that it does not have");
    large.push(row);
  }
  const offsets = decodeLengths(cursor, count);
  return { offsets, arena: cursor.take(offsets[count]).slice() };
}

/** Lengths as offsets: reads an integer stream and adds up; a sum beyond the page's own size is damage. */
function decodeLengths(cursor: PageCursor, count: number): Uint32Array {
  const offsets = new Uint32Array(count + 1);
  decodeIntegers(cursor, offsets.subarray(1), undefined, count);
  let total = 0;
  for (let at = 1; at <= count; at += 1) {
    total += offsets[at];
    if (total > cursor.bytes.length) cursor.fail("its values are longer than the page");
    offsets[at] = total;
  }
  return offsets;
}
