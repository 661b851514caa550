import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import type { EngineContext } from "./engine-error.ts";
import { grantStatement } from "./engine-error.ts";

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
    "SELECT table_name, engine, table_rows, data_length FROM information_schema.tables WHERE table_schema = DATABASE()",
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
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
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

/** A right that a read lacks, with the remedy; nothing when all tables can be read. */
export async function findMissingRights(
  context: EngineContext,
  connection: MysqlConnection,
  tables: readonly string[],
): Promise<{ message: string; next: string }[]> {
  for (const table of tables) {
    try {
      await connection.query(`SELECT 1 FROM \`${table.replaceAll("`", "``")}\` LIMIT 0`);
    } catch (error) {
      if (!(error instanceof Error) || !("number" in error) || (error.number !== 1142 && error.number !== 1143))
        throw error;
      return [{ message: `the account may not read table ${table}: ${error.message}`, next: grantStatement(context) }];
    }
  }
  return [];
}
