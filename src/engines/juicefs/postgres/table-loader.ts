import type { Batch } from "../../../model/batch.ts";
import { openCopyWriter } from "../../../protocols/postgres/copy-writer.ts";
import type { CopyIn, Session } from "../../../protocols/postgres/session.ts";
import { quoteName } from "../../../protocols/postgres/sql-text.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import type { SqlTable } from "../sql/tables.ts";
import { rowColumns } from "./row-columns.ts";
import { createTableSql, indexSql, placeOf, serialColumn, setSequenceSql } from "./schema.ts";

/** Fills one table on one connection. */
export interface TableLoader {
  /** Resolves when the rows are on their way and the batch may be released. */
  add(canonical: CanonicalTable, batch: Batch): Promise<void>;
  /** Ends the rows, then builds keys and indexes and commits. `progress` is called after each of these. */
  finish(progress: () => void): Promise<void>;
}

/** Messages under way on one connection: so many wait in the socket while the next is filled. */
const messagesUnderWay = 3;

/** Sessions of a restore: no time limits, more memory for indexes, and one flush in the end instead of one for each table. */
const loadSettings = [
  "statement_timeout = 0",
  "idle_in_transaction_session_timeout = 0",
  "synchronous_commit = off",
  "client_encoding = 'UTF8'",
];

/** What an index is sorted in, where the server has set less. */
const sortMemoryKib = 192 << 10;

export interface LoaderOptions {
  readonly schema: string;
  readonly prefix: string;
  readonly versionNumber: number;
  readonly table: SqlTable;
}

/**
 * Creates the table and begins to fill it, all in one transaction: then the rows are written frozen, and at wal_level = minimal
 * past the log. Nobody sees the table before `finish`.
 */
export async function openTableLoader(session: Session, options: LoaderOptions): Promise<TableLoader> {
  const { schema, prefix, table, versionNumber } = options;
  const settings = [...loadSettings, ...(versionNumber >= 170000 ? ["transaction_timeout = 0"] : [])];
  await session.query(
    [
      "BEGIN",
      ...settings.map((setting) => `SET LOCAL ${setting}`),
      `SELECT set_config('maintenance_work_mem', '${sortMemoryKib}kB', true)
         WHERE (SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem') < ${sortMemoryKib}`,
      createTableSql(schema, prefix, table),
    ].join("; "),
  );
  const columns = table.columns.map(({ name }) => quoteName(name)).join(", ");
  const copy: CopyIn = await session.copyIn(
    `COPY ${placeOf(schema, prefix, table.name)} (${columns}) FROM STDIN (FORMAT binary, FREEZE)`,
  );
  const writer = openCopyWriter();
  const underWay: Promise<void>[] = [];
  let rows = 0;

  async function send(message: Uint8Array): Promise<void> {
    const sent = copy.send(message).then(() => writer.recycle(message));
    // It is thrown where it is waited for.
    sent.catch(() => {});
    underWay.push(sent);
    if (underWay.length >= messagesUnderWay) await underWay.shift();
  }

  return {
    async add(canonical, batch) {
      for (const message of writer.add(rowColumns(table, canonical, batch, rows + 1), batch.count)) await send(message);
      rows += batch.count;
    },
    async finish(progress) {
      await send(writer.end());
      await Promise.all(underWay);
      await copy.finish();
      for (const statement of indexSql(schema, prefix, table)) {
        await session.query(statement, 0);
        progress();
      }
      const serial = serialColumn(table);
      const numbered = serial !== undefined && rows > 0 && table.name !== "acl";
      if (numbered) await session.query(setSequenceSql(schema, prefix, table, serial, rows));
      await session.query("COMMIT", 0);
    },
  };
}
