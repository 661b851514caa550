import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import { sqlTables } from "../sql/tables.ts";
import { volumeTables } from "../sql/volume-schema.ts";
import type { EngineContext } from "./engine-error.ts";
import { grantStatement } from "./engine-error.ts";
import { foldedTableName, quoted } from "./session.ts";

/** One table as the server's catalogue describes it. */
export interface CatalogueTable {
  readonly name: string;
  /** `InnoDB`, …; nothing for a view. */
  readonly engine: string | undefined;
  /** The server's estimate. */
  readonly rows: number;
  readonly bytes: number;
  readonly columns: string[];
}

/** All tables of the database that the account may see, with their columns. */
export async function readCatalogue(connection: MysqlConnection): Promise<CatalogueTable[]> {
  const tables = new Map<string, CatalogueTable>();
  const tableRows = await connection.query(
    `SELECT ${foldedTableName}, engine, table_rows, data_length FROM information_schema.tables WHERE table_schema = DATABASE()`,
  );
  for (const [name, engine, rows, bytes] of tableRows) {
    tables.set(String(name), {
      name: String(name),
      engine: engine === null ? undefined : String(engine),
      rows: Number(rows ?? 0),
      bytes: Number(bytes ?? 0),
      columns: [],
    });
  }
  const columnRows = await connection.query(
    `SELECT ${foldedTableName}, column_name FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position`,
  );
  for (const [table, column] of columnRows) tables.get(String(table))?.columns.push(String(column));
  return [...tables.values()];
}

/** Only InnoDB gives one state of several tables. */
export function requireInnoDb(context: EngineContext, tables: readonly CatalogueTable[]): void {
  const other = tables.find((table) => table.engine?.toLowerCase() !== "innodb");
  if (other === undefined) return;
  const what = other.engine === undefined ? "is a view" : `has the storage engine ${other.engine}`;
  throw new CairnError(
    "engine-not-transactional",
    `${context.location}: table ${other.name} ${what}; only InnoDB gives one consistent state of all tables`,
    {
      unharmed: "the database was only read",
      next: `stop all clients and convert it: ALTER TABLE ${other.name} ENGINE = InnoDB`,
      exit: "sourceUnreachable",
      details: { table: other.name },
    },
  );
}

const accessDenied = new Set([1142, 1143]);
const noSuchTable = 1146;

/**
 * The catalogue shows only what the account has rights on: a table or column that it may not read would be missing from the backup without a word.
 * So every table that is listed is asked for all its columns, and every one that is not, whether it is there. Called before the
 * transaction begins, which would hold what the questions lock. Throws `privilege-missing`.
 */
export async function requireReadable(
  context: EngineContext,
  connection: MysqlConnection,
  prefix: string,
): Promise<void> {
  const names = (await readCatalogue(connection)).map((table) => table.name);
  for (const table of volumeTables(names, prefix)) await requireAllowed(context, connection, table, "*");
  for (const { name, legacy } of sqlTables)
    if (legacy !== true && !names.includes(prefix + name))
      await requireAllowed(context, connection, prefix + name, "1");
}

async function requireAllowed(
  context: EngineContext,
  connection: MysqlConnection,
  table: string,
  what: "*" | "1",
): Promise<void> {
  try {
    await connection.query(`SELECT ${what} FROM ${quoted(table)} LIMIT 0`);
  } catch (error) {
    if (!(error instanceof MysqlServerError)) throw error;
    if (what === "1" && error.number === noSuchTable) return;
    if (!accessDenied.has(error.number)) throw error;
    throw new CairnError(
      "privilege-missing",
      `${context.location}: the account may not read table ${table}, or not see whether it is there: ${error.message}`,
      {
        unharmed: context.role === "source" ? "the database was only read" : "what is there is no volume for a client",
        next: `grant it: ${grantStatement(context)}`,
        exit: context.role === "source" ? "sourceUnreachable" : "targetRefused",
        cause: error,
      },
    );
  }
}
