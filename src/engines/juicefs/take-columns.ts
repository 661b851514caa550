import type { Column } from "../../model/batch.ts";
import { juicefs } from "../../model/juicefs.ts";
import type { ColumnType } from "../../model/schema.ts";
import type { ColumnSink } from "../../std/column-sink.ts";
import { bytesSink, integer64Sink, unsigned32Sink } from "../../std/column-sink.ts";

/** Records of a batch; fewer where their bytes fill `arenaBytesMax`. */
export const batchRecords = 16384;
export const arenaBytesMax = 4 << 20;
const firstArenaBytes = 64 << 10;

/** A column of an engine that is a canonical one as it stands. */
export type ColumnMap = readonly (readonly [name: string, canonicalIndex: number])[];

/** One column under way: where it goes, and the sink that the reader fills. */
export interface SunkColumn {
  readonly name: string;
  readonly index: number;
  readonly type: ColumnType;
  readonly sink: ColumnSink;
}

/** Sinks for the columns of a map, each for `batchRecords` records. */
export function sinksFor(canonical: number, map: ColumnMap): SunkColumn[] {
  const schema = juicefs.tables[canonical];
  return map.map(([name, index]) => {
    const { type } = schema.columns[index];
    return { name, index, type, sink: newSink(type) };
  });
}

/**
 * Takes `count` records out of the sinks and puts new arrays in. Value columns in which all records have the default are undefined; so are
 * columns that no sink fills. Key columns that an engine's table does not have (the type of a directory quota) are 0: `completeKeys`.
 */
export function takeColumns(canonical: number, sunk: readonly SunkColumn[], count: number): (Column | undefined)[] {
  const schema = juicefs.tables[canonical];
  const columns: (Column | undefined)[] = schema.columns.map(() => undefined);
  for (const { index, type, sink } of sunk) {
    if (index >= schema.keyCount && isAllDefault(sink, count)) continue;
    columns[index] = takeColumn(sink, count, type);
  }
  return columns;
}

/** Puts zeros where a key column is missing. */
export function completeKeys(canonical: number, columns: (Column | undefined)[], count: number): void {
  const { keyCount } = juicefs.tables[canonical];
  for (let index = 0; index < keyCount; index++) columns[index] ??= { values: new Uint32Array(2 * count) };
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
