/** The only place that names Node's SQLite: the class is about to be renamed there (DEP0210). It is synchronous: use it in a thread. */
import type { SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { DatabaseSync } from "node:sqlite";

export type SqlInput = SQLInputValue;
export type SqlOutput = SQLOutputValue;
export type Statement = StatementSync;
export type SyncDatabase = DatabaseSync;

/** Opens a database for writing; creates it when it is not there. */
export function openSyncDatabase(path: string): SyncDatabase {
  return new DatabaseSync(path, { timeout: 0 });
}

/** Prepares a statement whose results hold 64-bit integers as bigints. Also for inserts: `run()` throws on row ids above 2^53 without. */
export function prepare(database: SyncDatabase, sql: string): Statement {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement;
}

/** The first column of the first row. */
export function scalar(database: SyncDatabase, sql: string, ...values: SqlInput[]): SqlOutput | undefined {
  const row = prepare(database, sql).get(...values);
  return row === undefined ? undefined : Object.values(row)[0];
}
