import type { Batch } from "../../../model/batch.ts";
import { openCopyReader } from "../../../protocols/postgres/copy-reader.ts";
import type { CopyColumn, CopyReader } from "../../../protocols/postgres/copy-reader.ts";
import { quoteName } from "../../../protocols/postgres/sql-text.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import { nodeTable } from "../sql/canonical-tables.ts";
import { nodeTimes } from "../sql/node-times.ts";
import { arenaBytesMax, completeKeys, sinksFor, takeColumns } from "../take-columns.ts";
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
  const times = table === nodeTable ? nodeTimes((name) => schema.hasColumn("node", name)) : undefined;
  const columns: CopyColumn[] = [
    ...sunk.map(({ name, sink }) => ({ name: `${table.table}.${name}`, sink })),
    ...Object.entries(times?.sinks ?? {}).map(([name, sink]) => ({ name: `${table.table}.${name}`, sink })),
  ];
  const reader = openCopyReader({
    columns,
    arenaBytesMax,
    onRows(count) {
      const taken = takeColumns(canonical, sunk, count);
      times?.add(taken, count);
      completeKeys(canonical, taken, count);
      onBatch({ table: canonical, count, columns: taken });
    },
  });
  const names = columns.map(({ name }) => quoteName(name.slice(table.table.length + 1)));
  const place = `${quoteName(schemaName)}.${quoteName(schema.prefix + table.table)}`;
  return { sql: `COPY ${place} (${names.join(", ")}) TO STDOUT (FORMAT binary)`, reader };
}
