import type { Batch, Column } from "../../../model/batch.ts";
import { nodeColumn } from "../../../model/juicefs.ts";
import { openCopyReader } from "../../../protocols/postgres/copy-reader.ts";
import type { CopyColumn, CopyReader } from "../../../protocols/postgres/copy-reader.ts";
import { quoteName } from "../../../protocols/postgres/sql-text.ts";
import type { Integer64Sink } from "../../../std/column-sink.ts";
import { integer64Sink } from "../../../std/column-sink.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import { nodeMoments, nodeTable } from "../sql/canonical-tables.ts";
import { arenaBytesMax, batchRecords, completeKeys, sinksFor, takeColumns } from "../take-columns.ts";
import { putTime } from "../times.ts";
import type { VolumeSchema } from "../sql/volume-schema.ts";

/** The way of one table from `COPY` to canonical batches. */
export interface TableCopy {
  /** The statement whose rows `reader` decodes. */
  readonly sql: string;
  readonly reader: CopyReader;
}

/** Columns that an older schema lacks are undefined in the batches: all default. */
export function openTableCopy(
  schema: VolumeSchema,
  schemaName: string,
  table: CanonicalTable,
  onBatch: (batch: Batch) => void,
): TableCopy {
  const canonical = table.canonicalTable;
  const sunk = sinksFor(
    canonical,
    table.columns.filter(([name]) => schema.hasColumn(table.table, name)),
  );
  const moments = table === nodeTable ? openMoments(schema) : [];
  const columns: CopyColumn[] = [
    ...sunk.map(({ name, sink }) => ({ name: `${table.table}.${name}`, sink })),
    ...moments.flatMap(({ name, micros, rests }) => [
      { name: `${table.table}.${name}`, sink: micros },
      ...(rests === undefined ? [] : [{ name: `${table.table}.${name}nsec`, sink: rests }]),
    ]),
  ];
  const reader = openCopyReader({
    columns,
    arenaBytesMax,
    onRows(count) {
      const taken = takeColumns(canonical, sunk, count);
      for (const moment of moments) putMoment(taken, moment, count);
      completeKeys(canonical, taken, count);
      onBatch({ table: canonical, count, columns: taken });
    },
  });
  const names = columns.map(({ name }) => quoteName(name.slice(table.table.length + 1)));
  const place = `${quoteName(schemaName)}.${quoteName(schema.prefix + table.table)}`;
  return { sql: `COPY ${place} (${names.join(", ")}) TO STDOUT (FORMAT binary)`, reader };
}

/** One of the three times of nodes: microseconds, and the nanoseconds' rest that schemas before 1.1 do not have. */
interface Moment {
  readonly name: string;
  readonly index: number;
  readonly micros: Integer64Sink;
  readonly rests: Integer64Sink | undefined;
}

function openMoments(schema: VolumeSchema): Moment[] {
  return nodeMoments.map((name) => ({
    name,
    index: nodeColumn[name],
    micros: integer64Sink(batchRecords),
    rests: schema.hasColumn("node", `${name}nsec`) ? integer64Sink(batchRecords) : undefined,
  }));
}

function putMoment(columns: (Column | undefined)[], { index, micros, rests }: Moment, count: number): void {
  const times = { seconds: new Uint32Array(2 * count), nanoseconds: new Uint32Array(count) };
  const { values } = micros;
  for (let row = 0; row < count; row++) {
    putTime(times, row, values[2 * row], values[2 * row + 1], rests === undefined ? 0 : rests.values[2 * row] | 0);
  }
  columns[index] = times.seconds.some((half) => half !== 0) ? { values: times.seconds } : undefined;
  columns[index + 1] = times.nanoseconds.some((value) => value !== 0) ? { values: times.nanoseconds } : undefined;
}
