import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import { markerTable } from "../sql/volume-schema.ts";
import type { EngineContext } from "./engine-error.ts";
import type { MadeNames, MadeTables } from "./made-tables.ts";
import { literal, quoted } from "./session.ts";

const noSuchColumn = 1054;
const noSuchTable = 1146;

/** What an unfinished restore says of itself. */
export interface Marker {
  /** Names the restore; no other has it. */
  readonly restore: string;
  readonly volumeId: string;
  readonly started: string;
  /** Tables that it made or was about to make. */
  readonly tables: readonly string[];
}

/**
 * Makes the table that says that a restore is under way, before any other: DDL commits by itself, so that only this tells a killed restore's tables
 * from a user's. Made twice, so that all rights that are needed later are known to be there.
 */
export async function putMarker(
  connection: MysqlConnection,
  prefix: string,
  marker: Marker,
  made: MadeTables,
): Promise<void> {
  const table = quoted(prefix + markerTable);
  const create = `CREATE TABLE ${table} (restore VARCHAR(64) PRIMARY KEY NOT NULL, volume VARCHAR(64) NOT NULL, started VARCHAR(64) NOT NULL, tables TEXT NOT NULL)`;
  await made.create(markerTable, () => connection.run(create));
  await connection.run(`DROP TABLE ${table}`);
  await connection.run(create);
  await connection.run(`ALTER TABLE ${table} ADD INDEX started (started)`);
  const { restore, volumeId, started, tables } = marker;
  const values = [restore, volumeId, started, JSON.stringify(tables)].map(literal).join(", ");
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
    rows = await connection.query(`SELECT restore, volume, started, tables FROM ${quoted(prefix + markerTable)}`);
  } catch (error) {
    if (error instanceof MysqlServerError && error.number === noSuchTable) return undefined;
    if (error instanceof MysqlServerError && error.number === noSuchColumn) throw notOurs(context, prefix);
    throw error;
  }
  const row = rows[0];
  // Killed before it was written: nothing else was made by then.
  if (row === undefined) return { restore: "", volumeId: "", started: "", tables: [] };
  const tables = parsedNames(String(row[3]));
  if (tables === undefined) throw notOurs(context, prefix);
  return { restore: String(row[0]), volumeId: String(row[1]), started: String(row[2]), tables };
}

function parsedNames(text: string): string[] | undefined {
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch {
    return undefined;
  }
  return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : undefined;
}
function notOurs({ location }: EngineContext, prefix: string): CairnError {
  return new CairnError(
    "target-not-empty",
    `${location}: table ${prefix}${markerTable} is not of this Cairn's making`,
    {
      unharmed: "nothing was written",
      next: "use an empty database or another table_prefix",
      exit: "targetRefused",
    },
  );
}

/** Removes what an unfinished restore of before made, as its marker says: its tables, and the marker last. */
export async function dropUnfinished(connection: MysqlConnection, prefix: string, marker: Marker): Promise<void> {
  await dropTables(
    connection,
    marker.tables.filter((name) => name.startsWith(prefix)),
  );
  await dropTables(connection, [prefix + markerTable]);
}

/**
 * Removes what this restore made, and nothing else: nothing where the marker is another's. A table of which the answer to its CREATE was lost may be
 * somebody else's when it has rows.
 */
export async function dropMade(
  connection: MysqlConnection,
  context: EngineContext,
  prefix: string,
  restore: string,
  { names, uncertain }: MadeNames,
): Promise<void> {
  const marker = await readMarker(connection, context, prefix);
  if (marker === undefined) return;
  const isOurs =
    marker.restore === restore || (marker.restore === "" && (names.includes(markerTable) || uncertain === markerTable));
  if (!isOurs) return;
  const own = names.filter((name) => name !== markerTable).map((name) => prefix + name);
  if (uncertain !== undefined && uncertain !== markerTable && (await isEmpty(connection, prefix + uncertain)))
    own.push(prefix + uncertain);
  await dropTables(connection, own);
  await dropTables(connection, [prefix + markerTable]);
}

async function dropTables(connection: MysqlConnection, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  // An ended connection's statement may hold its tables for a moment.
  await connection.run("SET SESSION lock_wait_timeout = 20");
  await connection.run(`DROP TABLE IF EXISTS ${names.map(quoted).join(", ")}`);
}

async function isEmpty(connection: MysqlConnection, table: string): Promise<boolean> {
  try {
    return (await connection.query(`SELECT 1 FROM ${quoted(table)} LIMIT 1`)).length === 0;
  } catch (error) {
    if (error instanceof MysqlServerError && error.number === noSuchTable) return false;
    throw error;
  }
}
