import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import type { SqlValue } from "./read-sql.ts";

/** A database opened for reading. */
export interface SqliteFile {
  /** The file says that it is written through a log (WAL); a `PRAGMA journal_mode` of an immutable connection would not tell. */
  readonly writeAheadLog: boolean;
  readonly all: (sql: string) => SqlValue[][];
  readonly iterate: (sql: string) => Iterable<SqlValue[]>;
  readonly close: () => void;
}

/**
 * Opens a database so that looking at it leaves nothing behind: a file without log or journal beside it is opened as immutable, since a
 * read-only connection to a WAL database would otherwise create `-wal` and `-shm` files and leave them there.
 */
export function openSqliteFile(path: string): SqliteFile {
  const quiet = !existsSync(`${path}-wal`) && !existsSync(`${path}-journal`);
  const url = pathToFileURL(path);
  if (quiet) {
    url.searchParams.set("immutable", "1");
  }
  const database = new DatabaseSync(url, { readOnly: true });
  database.exec("BEGIN");
  function* iterate(sql: string): Generator<SqlValue[]> {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    // With setReturnArrays rows are arrays, which the types do not know.
    const rows: Iterable<unknown> = statement.iterate();
    for (const row of rows) {
      yield toRow(row);
    }
  }
  return {
    writeAheadLog: readFormatVersion(path) === 2,
    all: (sql) => [...iterate(sql)],
    iterate,
    close: () => database.close(),
  };
}

function toRow(row: unknown): SqlValue[] {
  if (!isRow(row)) {
    throw new TypeError("SQLite gave a row that is no array");
  }
  return row;
}

function isRow(row: unknown): row is SqlValue[] {
  return Array.isArray(row);
}

/** The file format write version, byte 18 of SQLite's header: 1 rollback journal, 2 write-ahead log. */
function readFormatVersion(path: string): number {
  const header = Buffer.alloc(19);
  const descriptor = openSync(path, "r");
  try {
    readSync(descriptor, header, 0, header.length, 0);
  } finally {
    closeSync(descriptor);
  }
  return header[18];
}

/** Quotes an identifier for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a text for SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
