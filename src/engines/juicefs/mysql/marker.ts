import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import { markerTable } from "../sql/volume-schema.ts";
import type { EngineContext } from "./engine-error.ts";
import { literal, quoted } from "./session.ts";

/** What an unfinished restore says of itself. */
export interface Marker {
  readonly volumeId: string;
  readonly started: string;
  /** Tables that it made or was about to make. */
  readonly tables: readonly string[];
}

/**
 * Makes the table that says that a restore is under way, before any other: DDL commits by itself, so that only this tells a killed restore's tables
 * from a user's. Made twice, so that all rights that are needed later are known to be there.
 */
export async function putMarker(connection: MysqlConnection, prefix: string, marker: Marker): Promise<void> {
  const table = quoted(prefix + markerTable);
  const create = `CREATE TABLE ${table} (volume VARCHAR(64) PRIMARY KEY NOT NULL, started VARCHAR(64) NOT NULL, tables TEXT NOT NULL)`;
  await connection.run(create);
  await connection.run(`DROP TABLE ${table}`);
  await connection.run(create);
  await connection.run(`ALTER TABLE ${table} ADD INDEX started (started)`);
  const { volumeId, started, tables } = marker;
  const values = [volumeId, started, JSON.stringify(tables)].map(literal).join(", ");
  await connection.run(`INSERT INTO ${table} VALUES (${values})`);
}

/** The marker of a restore, when there is one. */
export async function readMarker(
  connection: MysqlConnection,
  context: EngineContext,
  prefix: string,
): Promise<Marker | undefined> {
  let rows: Awaited<ReturnType<MysqlConnection["query"]>>;
  try {
    rows = await connection.query(`SELECT volume, started, tables FROM ${quoted(prefix + markerTable)}`);
  } catch (error) {
    if (error instanceof MysqlServerError && error.number === 1146) return undefined;
    throw error;
  }
  const row = rows[0];
  // Killed before it was written: nothing else was made by then.
  if (row === undefined) return { volumeId: "", started: "", tables: [] };
  const tables: unknown = JSON.parse(String(row[2]));
  if (!Array.isArray(tables) || !tables.every((name) => typeof name === "string")) {
    throw new CairnError(
      "target-not-empty",
      `${context.location}: table ${prefix}${markerTable} is not of this Cairn's making`,
      {
        unharmed: "nothing was written",
        next: "use an empty database or another table_prefix",
        exit: "targetRefused",
      },
    );
  }
  return { volumeId: String(row[0]), started: String(row[1]), tables };
}

/** Removes what a restore made: its tables, and its marker last. */
export async function dropRestored(connection: MysqlConnection, prefix: string, marker: Marker): Promise<void> {
  const own = marker.tables.filter((name) => name.startsWith(prefix));
  // An ended connection's statement may hold its tables for a moment.
  await connection.run("SET SESSION lock_wait_timeout = 20");
  if (own.length > 0) await connection.run(`DROP TABLE IF EXISTS ${own.map(quoted).join(", ")}`);
  await connection.run(`DROP TABLE IF EXISTS ${quoted(prefix + markerTable)}`);
}
