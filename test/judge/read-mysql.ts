import { clientLines } from "./client-lines.ts";
import type { Report } from "./finding.ts";
import type { MetaPlace } from "./meta-url.ts";
import type { RawVolume } from "./raw-volume.ts";
import { readSqlVolume } from "./read-sql.ts";
import { ServerRows, tableQueries } from "./server-tables.ts";
import type { TableDialect } from "./server-tables.ts";
import type { SqlColumn, SqlSchema, SqlTable } from "./sql-schema.ts";
import { tablePrefixOf } from "./sql-schema.ts";

export type MysqlPlace = Extract<MetaPlace, { engine: "mysql" }>;

const dialect: TableDialect = {
  quoteName: (name) => `\`${name.replaceAll("`", "``")}\``,
  hex: (column, storage) => `HEX(${storage === "text" ? `CONVERT(${column} USING utf8mb4)` : column})`,
};

/** Stands between the tables in what the client prints; no row is it. */
const mark = "end of table";

/** Reads the raw records of a volume in MySQL or MariaDB (§3) through the `mariadb` client, all in one transaction. */
export async function readMysqlVolume(place: MysqlPlace, schema: SqlSchema, report: Report): Promise<RawVolume> {
  const queries = tableQueries(schema, tablePrefixOf(place.tablePrefix), dialect);
  const script = queries.map(({ select }) => `${select};\nSELECT '${mark}';\n`).join("");
  const rows = new ServerRows();
  let at = 0;
  const start =
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nSTART TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;\n";
  for await (const line of mysqlClient(place, `${start}${script}COMMIT;\n`)) {
    if (line === mark) at += 1;
    else rows.add(queries[at], fieldsOf(line));
  }
  if (at !== queries.length) throw new Error(`the client gave ${at} of ${queries.length} tables`);
  return readSqlVolume(rows.rows, report);
}

/** The client prints NULL as that word, which no integer and no hexadecimal number is. */
function fieldsOf(line: string): (string | null)[] {
  return line.split("\t").map((field) => (field === "NULL" ? null : field));
}

/** Runs statements and gives the rows that the client prints: fields between tabs, row by row as they come. */
export function mysqlClient({ host, port, socket, user, password, database }: MysqlPlace, script: string) {
  const where = socket === undefined ? [`--host=${host}`, `--port=${port}`, "--protocol=tcp"] : [`--socket=${socket}`];
  const args = ["--no-defaults", ...where, `--user=${user}`, "--batch", "--raw", "--skip-column-names", "--quick"];
  return clientLines("mariadb", [...args, "--default-character-set=utf8mb4", database], script, {
    MYSQL_PWD: password,
  });
}

async function all(place: MysqlPlace, sql: string): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const line of mysqlClient(place, `${sql};\n`)) rows.push(fieldsOf(line));
  return rows;
}

/** Reads the schema of all tables that have the volume's prefix. */
export async function readMysqlSchema(place: MysqlPlace): Promise<SqlSchema> {
  const prefix = tablePrefixOf(place.tablePrefix);
  const columns = await all(
    place,
    `SELECT c.table_name, c.column_name, c.column_type, c.is_nullable, c.column_default, c.extra, t.engine,
       coalesce((SELECT s.seq_in_index FROM information_schema.statistics s WHERE s.table_schema = c.table_schema
         AND s.table_name = c.table_name AND s.column_name = c.column_name AND s.index_name = 'PRIMARY'), 0)
     FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
     WHERE c.table_schema = database() ORDER BY c.table_name, c.ordinal_position`,
  );
  const indexes = await all(
    place,
    `SELECT table_name, index_name, min(non_unique), group_concat(column_name ORDER BY seq_in_index), max(sub_part)
     FROM information_schema.statistics WHERE table_schema = database() AND index_name <> 'PRIMARY' GROUP BY table_name, index_name`,
  );
  interface Building extends SqlTable {
    columns: Map<string, SqlColumn>;
    indexes: Map<string, string>;
    generated: boolean;
  }
  const tables = new Map<string, Building>();
  for (const [table, column, type, nullable, value, extra, engine, place] of columns) {
    if (!String(table).startsWith(prefix)) continue;
    const own = tables.getOrInsertComputed(String(table).slice(prefix.length), () => ({
      columns: new Map(),
      indexes: new Map(),
      generated: false,
      storage: String(engine),
    }));
    own.generated ||= extra === "auto_increment";
    own.columns.set(String(column), {
      definition: `${type} ${nullable === "NO" ? "NOT NULL" : "NULL"} DEFAULT ${value} ${extra} KEY ${place}`,
      primaryKeyPlace: Number(place),
    });
  }
  for (const [table, index, notUnique, key, part] of indexes) {
    const name = String(table).slice(prefix.length);
    const kind = `${notUnique === "0" ? "unique" : "plain"}${part === null ? "" : " of a part"}`;
    tables.get(name)?.indexes.set(`${kind} ${key}`, String(index).replace(String(table), name));
  }
  return { tables, pragmas: new Map() };
}

/** Checks that tables are InnoDB's, and that the server finds them and their indexes in order. */
export async function checkMysqlStorage(place: MysqlPlace, schema: SqlSchema, report: Report): Promise<void> {
  const prefix = tablePrefixOf(place.tablePrefix);
  for (const [name, { storage }] of schema.tables) {
    if (storage !== "InnoDB") report("schema-table-definition", `table ${name}`, `is of the engine ${storage}`);
  }
  const tables = [...schema.tables.keys()].map((name) => dialect.quoteName(prefix + name));
  if (tables.length === 0) return;
  // Columns: Table, Op, Msg_type, Msg_text.
  for (const [table, , kind, text] of await all(place, `CHECK TABLE ${tables.join(", ")}`)) {
    if (kind !== "status" || text !== "OK") report("integrity", `table ${table}`, `${kind}: ${text}`);
  }
}
