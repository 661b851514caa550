import { DatabaseSync } from "node:sqlite";

import type { SqlValue } from "./record.ts";

/** A read-only connection of SQLite itself, held for its locks. The only place that names the class, which is to be renamed. */
export interface ReadConnection {
  execute(sql: string): void;
  /** Rows as arrays, integers as bigints. */
  rows(sql: string): SqlValue[][];
  close(): void;
}

/** Opens a read-only connection; `path` must be absolute. A locked database is waited for in steps of `timeoutMs`. */
export function openReadConnection(path: string, timeoutMs: number): ReadConnection {
  const connection = new DatabaseSync(path, { readOnly: true, timeout: timeoutMs });
  return {
    execute: (sql) => connection.exec(sql),
    rows(sql) {
      const statement = connection.prepare(sql);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      return statement.all() as unknown as SqlValue[][];
    },
    close: () => connection.close(),
  };
}

/** Opens a WAL database as a client that may write, looks at it, and closes it: the last one to do so takes the side files away. */
export function openAndCloseLast(path: string): void {
  const connection = new DatabaseSync(path);
  try {
    connection.exec("SELECT count(*) FROM sqlite_schema");
  } finally {
    connection.close();
  }
}

/** SQLite's result code of an error that a connection threw, with its extended part (https://sqlite.org/rescode.html). */
export function sqliteResultCode(error: unknown): number | undefined {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  return typeof code === "number" ? code : undefined;
}

const sqliteBusy = 5;
export const sqliteReadOnlyRollback = 776;

/** Whether somebody else's lock is the reason of an error. */
export function isBusy(error: unknown): boolean {
  const code = sqliteResultCode(error);
  return code !== undefined && (code & 0xff) === sqliteBusy;
}
