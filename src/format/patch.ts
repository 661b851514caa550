import { ByteWriter } from "../std/byte-writer.ts";
import type { Batch, BytesColumn, Column, IntegerColumn } from "../model/batch.ts";
import { bytesAt } from "../model/batch.ts";
import { joinPieces } from "../model/batch-pieces.ts";
import type { Piece } from "../model/batch-pieces.ts";
import { gather } from "../model/gather.ts";
import { columnIndex } from "../model/schema.ts";
import type { ColumnSchema, TableSchema } from "../model/schema.ts";
import { decodeColumn, encodeColumn } from "./column.ts";
import { decodeIntegers, encodeIntegers } from "./integers.ts";
import { compareKeys } from "./key.ts";
import { pageRecordsMax } from "./limits.ts";
import { PageCursor } from "./page-cursor.ts";

/*
 * A patch: what turns one page's records into another's (docs/format.md, "Patches"). Records are matched by key; what is new is written as
 * columns of its own, what changed column by column. Against zstd with the old page as dictionary this takes a third of the bytes for scattered
 * changes (docs/design/patches.md): a changed time costs its own bytes, not one copy instruction for each byte plane it touches.
 */
const patchVersion = 1;
const columnUnchanged = 0;
const columnAll = 1;
const columnSome = 2;

const writer = new ByteWriter(1 << 16);

interface Difference {
  deleted: number[];
  inserted: number[];
  /** Rows of the new page that the base has too, with other values. */
  modified: number[];
  /** For each of `modified`, its row in the base. */
  modifiedBase: number[];
}

/** The script from one page's records to another's. Both pages hold no large values. */
export function encodePatchScript(schema: TableSchema, base: Batch, target: Batch): Uint8Array<ArrayBuffer> {
  const difference = findDifference(schema, base, target);
  writer.reset();
  writer.u8(patchVersion);
  writer.u32(base.count);
  writer.u32(target.count);
  writePositions(difference.deleted);
  writePositions(difference.inserted);
  writePositions(difference.modified);
  writeInserted(schema, target, difference.inserted);
  writeModified(schema, base, target, difference);
  return writer.finish();
}

function findDifference(schema: TableSchema, base: Batch, target: Batch): Difference {
  const difference: Difference = { deleted: [], inserted: [], modified: [], modifiedBase: [] };
  const baseRows = new Uint32Array(Math.min(base.count, target.count));
  const targetRows = new Uint32Array(baseRows.length);
  let pairs = 0;
  let baseRow = 0;
  let targetRow = 0;
  while (baseRow < base.count && targetRow < target.count) {
    const order = compareKeys(schema, base, baseRow, target, targetRow);
    if (order === 0) {
      baseRows[pairs] = baseRow;
      targetRows[pairs] = targetRow;
      pairs += 1;
    }
    if (order < 0) difference.deleted.push(baseRow);
    if (order > 0) difference.inserted.push(targetRow);
    if (order <= 0) baseRow += 1;
    if (order >= 0) targetRow += 1;
  }
  for (; baseRow < base.count; baseRow += 1) difference.deleted.push(baseRow);
  for (; targetRow < target.count; targetRow += 1) difference.inserted.push(targetRow);
  const changed = new Uint8Array(pairs);
  for (let index = schema.keyCount; index < schema.columns.length; index += 1) {
    markChanged(schema.columns[index], base.columns[index], target.columns[index], baseRows, targetRows, changed);
  }
  for (let pair = 0; pair < pairs; pair += 1) {
    if (changed[pair] === 0) continue;
    difference.modified.push(targetRows[pair]);
    difference.modifiedBase.push(baseRows[pair]);
  }
  return difference;
}

/** Sets `changed[pair]` where the two columns differ. */
function markChanged(
  schema: ColumnSchema,
  base: Column | undefined,
  target: Column | undefined,
  baseRows: ArrayLike<number>,
  targetRows: ArrayLike<number>,
  changed: Uint8Array,
): void {
  if (base === undefined && target === undefined) return;
  if (schema.type === "bytes") {
    for (let pair = 0; pair < changed.length; pair += 1) {
      const before = base === undefined ? none : bytesAt(base as BytesColumn, baseRows[pair]);
      const after = target === undefined ? none : bytesAt(target as BytesColumn, targetRows[pair]);
      if (before.length !== after.length || Buffer.compare(before, after) !== 0) changed[pair] = 1;
    }
    return;
  }
  const before = base === undefined ? undefined : (base as IntegerColumn).values;
  const after = target === undefined ? undefined : (target as IntegerColumn).values;
  const width = schema.type === "u32" ? 1 : 2;
  for (let pair = 0; pair < changed.length; pair += 1) {
    for (let half = 0; half < width; half += 1) {
      const a = before === undefined ? 0 : before[width * baseRows[pair] + half];
      const b = after === undefined ? 0 : after[width * targetRows[pair] + half];
      if (a !== b) changed[pair] = 1;
    }
  }
}

const none = new Uint8Array(0);

/** Rising positions as a count and their gaps. */
function writePositions(positions: readonly number[]): void {
  writer.u32(positions.length);
  const gaps = Uint32Array.from(positions, (position, at) => (at === 0 ? position : position - positions[at - 1] - 1));
  encodeIntegers(writer, gaps, undefined, gaps.length);
}

function readPositions(cursor: PageCursor, limit: number): Uint32Array {
  const count = cursor.u32();
  if (count > limit) cursor.fail("it names more rows than there are");
  const positions = new Uint32Array(count);
  decodeIntegers(cursor, positions, undefined, count);
  for (let at = 0; at < count; at += 1) {
    const position = positions[at] + (at === 0 ? 0 : positions[at - 1] + 1);
    if (position >= limit) cursor.fail("it names a row that is not there");
    positions[at] = position;
  }
  return positions;
}

function writeInserted(schema: TableSchema, target: Batch, inserted: readonly number[]): void {
  if (inserted.length === 0) return;
  const rows = gather(schema, target, Uint32Array.from(inserted), 0, inserted.length);
  schema.columns.forEach((column, index) => {
    const data = rows.columns[index];
    writer.u8(data === undefined ? 0 : 1);
    if (data !== undefined) encodeColumn(writer, column, data, 0, rows.count, baseOf(schema, index, rows), []);
  });
}

function readInserted(cursor: PageCursor, schema: TableSchema, table: number, count: number): Batch {
  const columns: (Column | undefined)[] = [];
  const rows = { table, count, columns };
  if (count === 0) return { table, count, columns: schema.columns.map(() => undefined) };
  schema.columns.forEach((column, index) => {
    const present = cursor.u8() !== 0;
    if (!present && index < schema.keyCount) cursor.fail("it inserts records without a key");
    columns.push(present ? readColumn(cursor, column, count, baseOf(schema, index, rows)) : undefined);
  });
  return rows;
}

function readColumn(cursor: PageCursor, column: ColumnSchema, count: number, base: Column | undefined): Column {
  const large: number[] = [];
  const data = decodeColumn(cursor, column, count, base, large);
  if (large.length > 0) cursor.fail("it holds a large value");
  return data;
}

function baseOf(schema: TableSchema, index: number, batch: Batch): Column | undefined {
  const { encoding } = schema.columns[index];
  return typeof encoding === "object" ? batch.columns[columnIndex(schema, encoding.from)] : undefined;
}

function writeModified(schema: TableSchema, base: Batch, target: Batch, { modified, modifiedBase }: Difference): void {
  const count = modified.length;
  if (count === 0) return;
  const after = gather(schema, target, Uint32Array.from(modified), 0, count);
  const before = gather(schema, base, Uint32Array.from(modifiedBase), 0, count);
  const rows = Uint32Array.from({ length: count }, (_, at) => at);
  for (let index = schema.keyCount; index < schema.columns.length; index += 1) {
    const column = schema.columns[index];
    const changed = new Uint8Array(count);
    markChanged(column, before.columns[index], after.columns[index], rows, rows, changed);
    const some = Array.from(rows).filter((row) => changed[row] === 1);
    if (some.length === 0) {
      writer.u8(columnUnchanged);
      continue;
    }
    const all = some.length > count / 2;
    writer.u8(all ? columnAll : columnSome);
    if (!all) writePositions(some);
    const part = all ? after : gather(schema, after, Uint32Array.from(some), 0, some.length);
    const data = part.columns[index] ?? defaultColumn(column, part.count);
    encodeColumn(writer, column, data, 0, part.count, baseOf(schema, index, part), []);
  }
}

function defaultColumn(column: ColumnSchema, count: number): Column {
  if (column.type === "bytes") return { offsets: new Uint32Array(count + 1), arena: none };
  return { values: new Uint32Array(column.type === "u32" ? count : 2 * count) };
}

/** The records that a script makes of a base page's, which may share columns with it; throws `page-damaged` on a script that does not fit it. */
export function applyPatchScript(schema: TableSchema, base: Batch, script: Uint8Array): Batch {
  const cursor = new PageCursor(script, `a patch of table ${schema.name}`);
  const version = cursor.u8();
  if (version !== patchVersion) cursor.fail(`its version is ${version}, and this Cairn reads version ${patchVersion}`);
  if (cursor.u32() !== base.count) cursor.fail("it was made for a page with another number of records");
  const count = cursor.u32();
  if (count === 0 || count > pageRecordsMax) cursor.fail(`it claims ${count} records`);
  const deleted = readPositions(cursor, base.count);
  const inserted = readPositions(cursor, count);
  const modified = readPositions(cursor, count);
  if (base.count - deleted.length + inserted.length !== count) cursor.fail("its numbers of records do not add up");
  const insertedRows = readInserted(cursor, schema, base.table, inserted.length);
  const merged = mergeRows(schema, base, insertedRows, deleted, inserted, count);
  const result = modified.length === 0 ? merged : readModified(cursor, schema, merged, modified);
  if (cursor.at !== script.length) cursor.fail("bytes follow its last column");
  return result;
}

/** The base's records without the deleted ones, and the inserted ones in their places; the base's own columns where its records stay as they are. */
function mergeRows(
  schema: TableSchema,
  base: Batch,
  insertedRows: Batch,
  deleted: Uint32Array,
  inserted: Uint32Array,
  count: number,
): Batch {
  if (deleted.length === 0 && inserted.length === 0) return base;
  const pieces: Piece[] = [];
  let baseRow = 0;
  let row = 0;
  let insertedAt = 0;
  let deletedAt = 0;
  while (row < count) {
    while (deletedAt < deleted.length && deleted[deletedAt] === baseRow) {
      deletedAt += 1;
      baseRow += 1;
    }
    const nextInserted = insertedAt < inserted.length ? inserted[insertedAt] : count;
    if (nextInserted === row) {
      pieces.push({ batch: insertedRows, from: insertedAt, to: insertedAt + 1 });
      insertedAt += 1;
      row += 1;
      continue;
    }
    const nextDeleted = deletedAt < deleted.length ? deleted[deletedAt] : base.count;
    const length = Math.min(nextInserted - row, nextDeleted - baseRow);
    pieces.push({ batch: base, from: baseRow, to: baseRow + length });
    baseRow += length;
    row += length;
  }
  return joinPieces(schema, base.table, pieces);
}

function readModified(cursor: PageCursor, schema: TableSchema, batch: Batch, modified: Uint32Array): Batch {
  const columns = [...batch.columns];
  const changing = { ...batch, columns };
  for (let index = schema.keyCount; index < schema.columns.length; index += 1) {
    const mode = cursor.u8();
    if (mode === columnUnchanged) continue;
    if (mode > columnSome) cursor.fail(`a column has the unknown mode ${mode}`);
    const rows = mode === columnAll ? modified : readPositions(cursor, modified.length).map((at) => modified[at]);
    const base = changedBase(schema, index, changing, rows);
    const values = readColumn(cursor, schema.columns[index], rows.length, base);
    columns[index] = replaceRows(schema.columns[index], columns[index], batch.count, rows, values);
  }
  return changing;
}

/** The column that a column is encoded against, at the rows that change. */
function changedBase(schema: TableSchema, index: number, batch: Batch, rows: Uint32Array): Column | undefined {
  const base = baseOf(schema, index, batch);
  if (base === undefined) return undefined;
  const alone = { ...batch, columns: batch.columns.map((column) => (column === base ? column : undefined)) };
  return baseOf(schema, index, gather(schema, alone, rows, 0, rows.length));
}

/** A copy of a column with other values at some rows. */
function replaceRows(
  schema: ColumnSchema,
  column: Column | undefined,
  count: number,
  rows: Uint32Array,
  replacement: Column,
): Column {
  const before = column ?? defaultColumn(schema, count);
  if ("values" in before) {
    const width = schema.type === "u32" ? 1 : 2;
    const values = before.values.slice(0, count * width);
    const from = (replacement as IntegerColumn).values;
    rows.forEach((row, at) => {
      for (let half = 0; half < width; half += 1) values[width * row + half] = from[width * at + half];
    });
    return { values };
  }
  const parts: Uint8Array[] = [];
  const offsets = new Uint32Array(count + 1);
  for (let row = 0, at = 0; row < count; row += 1) {
    const isReplaced = at < rows.length && rows[at] === row;
    const value = isReplaced ? bytesAt(replacement as BytesColumn, at) : bytesAt(before, row);
    if (isReplaced) at += 1;
    parts.push(value);
    offsets[row + 1] = offsets[row] + value.length;
  }
  return { offsets, arena: new Uint8Array(Buffer.concat(parts)) };
}
