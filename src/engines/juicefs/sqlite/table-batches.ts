import type { Batch } from "../../../model/batch.ts";
import type { Database } from "../../../protocols/sqlite/database.ts";
import { openTableScan } from "../../../protocols/sqlite/scan-table.ts";
import type { ScanExtras } from "../sql/node-times.ts";
import type { ColumnMap } from "../take-columns.ts";
import { arenaBytesMax, batchRecords, completeKeys, sinksFor, takeColumns } from "../take-columns.ts";

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
  const sunk = sinksFor(canonical, map);
  const scan = openTableScan(database, tableName, {
    columns: { ...Object.fromEntries(sunk.map(({ name, sink }) => [name, sink])), ...extras.sinks },
    rowCountMax: batchRecords,
    arenaBytesMax,
  });
  for (;;) {
    const count = scan.next();
    if (count === 0) return;
    const columns = takeColumns(canonical, sunk, count);
    extras.add?.(columns, count);
    completeKeys(canonical, columns, count);
    yield { table: canonical, count, columns };
  }
}
