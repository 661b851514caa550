import { clientLines } from "./client-lines.ts";
import type { Report } from "./finding.ts";
import type { MetaPlace } from "./meta-url.ts";
import type { RawVolume } from "./raw-volume.ts";
import { readSqlVolume } from "./read-sql.ts";
import { ServerRows, tableQueries } from "./server-tables.ts";
import type { TableDialect } from "./server-tables.ts";
import type { SqlColumn, SqlSchema, SqlTable } from "./sql-schema.ts";
import { tablePrefixOf } from "./sql-schema.ts";

export type PostgresPlace = Extract<MetaPlace, { engine: "postgres" }>;

const dialect: TableDialect = {
  quoteName: (name) => `"${name.replaceAll('"', '""')}"`,
  hex: (column, storage) => `encode(${storage === "text" ? `convert_to(${column}, 'UTF8')` : column}, 'hex')`,
};

/** Stands between the tables in what the client prints; no row is it. */
const mark = "end-of-table";

/** Reads the raw records of a volume in PostgreSQL (§3) through `psql`, all in one transaction. */
export async function readPostgresVolume(place: PostgresPlace, schema: SqlSchema, report: Report): Promise<RawVolume> {
  const queries = tableQueries(schema, tablePrefixOf(place.tablePrefix), dialect);
  const script = queries.map(({ select }) => `COPY (${select}) TO STDOUT;\n\\echo ${mark}\n`).join("");
  const rows = new ServerRows();
  let at = 0;
  for await (const line of psql(place, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n${script}COMMIT;\n`)) {
    if (line === mark) at += 1;
    else rows.add(queries[at], fieldsOf(line));
  }
  if (at !== queries.length) throw new Error(`psql gave ${at} of ${queries.length} tables`);
  return readSqlVolume(rows.rows, report);
}

/** The fields of a line of COPY's text form. */
function fieldsOf(line: string): (string | null)[] {
  return line.split("\t").map((field) => (field === "\\N" ? null : field));
}

/** Runs statements and gives what `psql` prints; rows of queries as fields between tabs. */
export function psql({ host, port, socket, user, password, database, schema, options }: PostgresPlace, script: string) {
  const words = Object.entries({ host: socket ?? host, port, user, dbname: database, ...Object.fromEntries(options) });
  const quoted = words.map(([name, value]) => `${name}='${String(value).replace(/[\\']/g, "\\$&")}'`);
  const path = schema === undefined ? "" : `SET search_path TO ${dialect.quoteName(schema)};\n`;
  const args = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t", "--pset=null=\\N"];
  return clientLines("psql", [...args, "--set=ON_ERROR_STOP=1", quoted.join(" ")], path + script, {
    PGPASSWORD: password,
    PGCLIENTENCODING: "UTF8",
    PGTZ: "UTC",
  });
}

async function all(place: PostgresPlace, sql: string): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const line of psql(place, `${sql};\n`)) rows.push(fieldsOf(line));
  return rows;
}

/** Only tables that the search path finds, as JuiceFS does. */
const ours = "pg_table_is_visible(c.oid) AND c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace";

/** Reads the schema of all tables that have the volume's prefix. */
export async function readPostgresSchema(place: PostgresPlace): Promise<SqlSchema> {
  const prefix = tablePrefixOf(place.tablePrefix);
  const columns = await all(
    place,
    `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
       coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0), c.relpersistence
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
       LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     WHERE ${ours} ORDER BY c.relname, a.attnum`,
  );
  const indexes = await all(
    place,
    `SELECT c.relname, x.relname, i.indisunique, i.indpred IS NOT NULL,
       (SELECT string_agg(pg_get_indexdef(i.indexrelid, k::int, true), ',' ORDER BY k) FROM generate_series(1, i.indnkeyatts) k)
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
     WHERE ${ours} AND NOT i.indisprimary`,
  );
  interface Building extends SqlTable {
    columns: Map<string, SqlColumn>;
    indexes: Map<string, string>;
    generated: boolean;
  }
  const tables = new Map<string, Building>();
  for (const [table, column, type, notNull, value, key, persistence] of columns) {
    if (!String(table).startsWith(prefix)) continue;
    const own = tables.getOrInsertComputed(String(table).slice(prefix.length), () => ({
      columns: new Map(),
      indexes: new Map(),
      generated: false,
      storage: persistence === "p" ? "" : `persistence ${persistence}`,
    }));
    const generated = value?.startsWith("nextval(") === true;
    own.generated ||= generated;
    own.columns.set(String(column), {
      definition: `${type} ${notNull === "t" ? "NOT NULL" : "NULL"} DEFAULT ${generated ? "generated" : value} KEY ${key}`,
      primaryKeyPlace: Number(key),
    });
  }
  for (const [table, index, unique, partial, key] of indexes) {
    const name = String(table).slice(prefix.length);
    const kind = `${unique === "t" ? "unique" : "plain"}${partial === "t" ? " partial" : ""}`;
    tables.get(name)?.indexes.set(`${kind} ${key}`, String(index).replace(String(table), name));
  }
  const [[encoding]] = await all(
    place,
    "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()",
  );
  return { tables, pragmas: new Map([["encoding", String(encoding)]]) };
}

/** Checks that no sequence gives an id again, and that every index can be used. */
export async function checkPostgresStorage(place: PostgresPlace, schema: SqlSchema, report: Report): Promise<void> {
  const prefix = tablePrefixOf(place.tablePrefix);
  const generated = [...schema.tables].filter(([, table]) => table.generated).map(([name]) => name);
  // All in one question: starting the client takes longer than the answer.
  const questions = generated.map((name) => {
    const full = dialect.quoteName(prefix + name);
    const sequence = `pg_get_serial_sequence('${full.replaceAll("'", "''")}', 'id')`;
    return `SELECT '${name}', ${sequence}, pg_sequence_last_value(${sequence}), (SELECT max(id) FROM ${full})`;
  });
  for (const [name, sequence, last, highest] of await all(place, questions.join(" UNION ALL ") || "SELECT 1 LIMIT 0")) {
    // One that gave nothing yet has no last value.
    if (sequence === null) {
      report("sequence-missing", `sequence of ${name}`, `does not exist, the highest id is ${highest}`);
    } else if (highest !== null && BigInt(last ?? 0) < BigInt(highest)) {
      report("sequence-low", `sequence of ${name}`, `gave ${last} last, the highest id is ${highest}`);
    }
  }
  const broken = `SELECT x.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE ${ours} AND NOT (i.indisvalid AND i.indisready AND i.indislive)`;
  for (const [index] of await all(place, broken)) {
    if (index?.includes(prefix)) report("integrity", `index ${index}`, "is not valid");
  }
}
