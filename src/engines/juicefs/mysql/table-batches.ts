import type { Batch } from "../../../model/batch.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import type { ScanExtras } from "../sql/node-times.ts";
import type { ColumnMap } from "../take-columns.ts";
import { arenaBytesMax, completeKeys, sinksFor, takeColumns } from "../take-columns.ts";
import { quoted } from "./session.ts";

/** A table to read: its name on the server, and what becomes of its columns. */
export interface TableScan {
  readonly table: string;
  readonly canonical: number;
  readonly columns: ColumnMap;
  readonly extras?: ScanExtras;
  /** Columns of the primary key, when rows are wanted in its order: free, for InnoDB keeps them so. */
  readonly orderBy?: readonly string[];
}

/** A batch, and how many bytes of the line it was. */
export interface ReadBatch {
  readonly batch: Batch;
  readonly bytes: number;
}

/**
 * Reads one table as canonical batches. Columns that `columns` leaves out, because an older schema lacks them, are undefined: all
 * default.
 */
export async function* tableBatches(connection: MysqlConnection, scan: TableScan): AsyncGenerator<ReadBatch, void> {
  const { table, canonical, columns: map, extras = {}, orderBy = [] } = scan;
  const sunk = sinksFor(canonical, map);
  const more = Object.entries(extras.sinks ?? {});
  const names = [...sunk.map(({ name }) => name), ...more.map(([name]) => name)];
  const order = orderBy.length === 0 ? "" : ` ORDER BY ${orderBy.map(quoted).join(", ")}`;
  const reader = await connection.scan(`SELECT ${names.map(quoted).join(", ")} FROM ${quoted(table)}${order}`, [
    ...sunk.map(({ sink }) => sink),
    ...more.map(([, sink]) => sink),
  ]);
  let bytesBefore = 0;
  for (;;) {
    const count = await reader.next(arenaBytesMax);
    if (count === 0) return;
    const columns = takeColumns(canonical, sunk, count);
    extras.add?.(columns, count);
    completeKeys(canonical, columns, count);
    const { bytesRead } = reader;
    yield { batch: { table: canonical, count, columns }, bytes: bytesRead - bytesBefore };
    bytesBefore = bytesRead;
  }
}
