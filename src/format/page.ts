import { ByteWriter } from "../std/byte-writer.ts";
import type { Batch, Column } from "../model/batch.ts";
import { columnIndex } from "../model/schema.ts";
import type { TableSchema } from "../model/schema.ts";
import { decodeColumn, encodeColumn, isDefault } from "./column.ts";
import { identityVersion, pageRecordsMax } from "./limits.ts";
import { PageCursor } from "./page-cursor.ts";

/** A value that a page holds only by reference: its record and column, for the reader that fetches it. */
export interface LargeRow {
  column: number;
  row: number;
}

export interface EncodedPage {
  raw: Uint8Array<ArrayBuffer>;
  /** Offsets at which another kind of content begins, for the frame that will hold it. */
  sections: number[];
}

export interface DecodedPage {
  batch: Batch;
  large: LargeRow[];
}

const writer = new ByteWriter(1 << 20);
const none: readonly number[] = [];

/**
 * The bytes of one page (docs/format.md, "Pages"): the records `from` … `to` of a sorted batch.
 * They follow from the records alone. `large` names the rows whose value is a 40-byte reference.
 */
export function encodePage(
  schema: TableSchema,
  batch: Batch,
  from: number,
  to: number,
  large?: readonly LargeRow[],
): EncodedPage {
  writer.reset();
  writer.u8(identityVersion);
  writeName(schema.name);
  writer.u32(to - from);
  const columnCountAt = writer.reserve(1);
  let columnCount = 0;
  schema.columns.forEach((column, index) => {
    const data = batch.columns[index];
    if (data === undefined) return;
    if (index >= schema.keyCount && isDefault(data, column, from, to)) return;
    columnCount += 1;
    writeName(column.name);
    const lengthAt = writer.reserve(4);
    writer.mark();
    const rows = large === undefined ? none : large.filter((one) => one.column === index).map((one) => one.row);
    encodeColumn(writer, column, data, from, to, baseOf(schema, index, batch.columns), rows);
    writer.patchU32(lengthAt, writer.length - lengthAt - 4);
  });
  writer.bytes[columnCountAt] = columnCount;
  return { raw: writer.finish(), sections: writer.marks.slice() };
}

function writeName(name: string): void {
  writer.u8(name.length);
  const at = writer.reserve(name.length);
  for (let index = 0; index < name.length; index += 1) writer.bytes[at + index] = name.charCodeAt(index);
}

function baseOf(schema: TableSchema, index: number, columns: readonly (Column | undefined)[]): Column | undefined {
  const { encoding } = schema.columns[index];
  return typeof encoding === "object" ? columns[columnIndex(schema, encoding.from)] : undefined;
}

/**
 * Decodes a page of a known table. A page of another table, of another identity version, with a column that the schema lacks
 * or with any inconsistency is `page-damaged` (or `page-unknown`, where a newer Cairn may have written it).
 */
export function decodePage(schema: TableSchema, table: number, page: Uint8Array): DecodedPage {
  const cursor = new PageCursor(page, `a page of table ${schema.name}`);
  const version = cursor.u8();
  if (version !== identityVersion)
    cursor.fail(`it has identity version ${version}, and this Cairn reads version ${identityVersion}`);
  const name = cursor.name();
  if (name !== schema.name) cursor.fail("it belongs to another table");
  const count = cursor.u32();
  if (count === 0 || count > pageRecordsMax) cursor.fail(`it claims ${count} records`);
  const columnCount = cursor.u8();
  const columns: (Column | undefined)[] = schema.columns.map(() => undefined);
  const large: LargeRow[] = [];
  let last = -1;
  for (let at = 0; at < columnCount; at += 1) {
    const columnName = cursor.name();
    const index = schema.columns.findIndex((column) => column.name === columnName);
    if (index < 0) cursor.fail(`it has a column "${columnName}" that this Cairn does not know: a newer one wrote it`);
    if (index <= last) cursor.fail("its columns are out of order");
    last = index;
    const length = cursor.u32();
    const end = cursor.at + length;
    const rows: number[] = [];
    columns[index] = decodeColumn(cursor, schema.columns[index], count, baseOf(schema, index, columns), rows);
    if (cursor.at !== end) cursor.fail(`column ${columnName} has another length than it says`);
    for (const row of rows) large.push({ column: index, row });
  }
  if (cursor.at !== page.length) cursor.fail("bytes follow its last column");
  for (let index = 0; index < schema.keyCount; index += 1) {
    if (columns[index] === undefined) cursor.fail(`key column ${schema.columns[index].name} is missing`);
  }
  return { batch: { table, count, columns }, large };
}
