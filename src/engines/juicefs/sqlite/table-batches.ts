import type { Batch, Column } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { ColumnType } from "../../../model/schema.ts";
import type { ColumnSink } from "../../../protocols/sqlite/column-sink.ts";
import { bytesSink, integer64Sink, unsigned32Sink } from "../../../protocols/sqlite/column-sink.ts";
import type { Database } from "../../../protocols/sqlite/database.ts";
import { openTableScan } from "../../../protocols/sqlite/scan-table.ts";

/** Records of a batch; fewer where their bytes fill 4 MiB. */
export const batchRecords = 16384;
const arenaBytesMax = 4 << 20;
const firstArenaBytes = 64 << 10;

/** A column of SQLite that is a canonical one as it stands. */
export type ColumnMap = readonly (readonly [name: string, canonicalIndex: number])[];

/** What a table needs beside plain columns. */
export interface ScanExtras {
  /** More columns to read, and what becomes of them once a batch is there. */
  readonly sinks?: Readonly<Record<string, ColumnSink>>;
  /** Adds canonical columns made from the extra sinks. */
  readonly add?: (columns: (Column | undefined)[], count: number) => void;
}

/**
 * Reads one table as canonical batches, in the order of row ids. Columns that `map` leaves out, because an older schema lacks them, are
 * undefined: all default.
 */
export function* tableBatches(
  database: Database,
  tableName: string,
  canonical: number,
  map: ColumnMap,
  extras: ScanExtras = {},
): Generator<Batch, void> {
  const schema = juicefs.tables[canonical];
  const plain = map.map(([name, index]) => ({
    name,
    index,
    type: schema.columns[index].type,
    sink: newSink(schema.columns[index].type),
  }));
  const scan = openTableScan(database, tableName, {
    columns: { ...Object.fromEntries(plain.map(({ name, sink }) => [name, sink])), ...extras.sinks },
    rowCountMax: batchRecords,
    arenaBytesMax,
  });
  for (;;) {
    const count = scan.next();
    if (count === 0) return;
    const columns: (Column | undefined)[] = schema.columns.map(() => undefined);
    for (const { index, type, sink } of plain) {
      if (index >= schema.keyCount && isAllDefault(sink, count)) continue;
      columns[index] = takeColumn(sink, count, type);
    }
    extras.add?.(columns, count);
    // A key column that SQLite's table does not have (the type of a directory quota) is 0.
    for (let index = 0; index < schema.keyCount; index++) columns[index] ??= { values: new Uint32Array(2 * count) };
    yield { table: canonical, count, columns };
  }
}

function newSink(type: ColumnType): ColumnSink {
  if (type === "bytes") return bytesSink(batchRecords, firstArenaBytes);
  return type === "u32" ? unsigned32Sink(batchRecords) : integer64Sink(batchRecords);
}

function isAllDefault(sink: ColumnSink, count: number): boolean {
  if (sink.type === "bytes") return sink.offsets[count] === 0;
  const { values } = sink;
  const length = sink.type === "u32" ? count : 2 * count;
  for (let at = 0; at < length; at++) if (values[at] !== 0) return false;
  return true;
}

/** Takes the filled arrays out of a sink, and puts new ones in; large arrays that are mostly empty are cut. */
function takeColumn(sink: ColumnSink, count: number, type: ColumnType): Column {
  if (sink.type === "bytes") {
    const { offsets, arena } = sink;
    const used = offsets[count];
    sink.offsets = new Uint32Array(offsets.length);
    // What was needed once is needed again, and the next batch may be a little larger.
    sink.arena = new Uint8Array(Math.max(firstArenaBytes, used + (used >>> 4)));
    if (2 * used < arena.length) return { offsets: offsets.slice(0, count + 1), arena: arena.slice(0, used) };
    return { offsets, arena };
  }
  const { values } = sink;
  const length = type === "u32" ? count : 2 * count;
  if (2 * length <= values.length) return { values: values.slice(0, length) };
  sink.values = new Uint32Array(values.length);
  return { values };
}
