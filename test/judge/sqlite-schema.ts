import type { Report } from "./finding.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import { quoteText } from "./sqlite-file.ts";
import type { ExpectedTable, Line } from "./sqlite-tables.ts";
import { EXPECTED_TABLES, exists } from "./sqlite-tables.ts";

/** The schema of a volume's tables as the database has it; the names are without their prefix. */
export interface SqliteSchema {
  readonly tables: ReadonlyMap<string, SqliteTable>;
  /** Settings that the file keeps: `page_size`, …, and whether it is in the mode `write_ahead_log` */
  readonly pragmas: ReadonlyMap<string, string>;
}

export interface SqliteTable {
  readonly columns: ReadonlyMap<string, SqliteColumn>;
  /** By their columns and uniqueness, as `unique parent,name`; the primary key is in the columns. */
  readonly indexes: ReadonlyMap<string, string>;
  readonly generated: boolean;
  readonly withoutRowid: boolean;
}

export interface SqliteColumn {
  /** Type, NULL rule, default and place in the primary key, in one text to compare. */
  readonly definition: string;
  readonly primaryKeyPlace: number;
}

const PRAGMAS = ["page_size", "auto_vacuum", "encoding", "user_version", "application_id"];

/** The prefix of a volume's tables: `jfs_`, or with the URL option `table_prefix=abc` `jfs_abc_`. */
export function tablePrefixOf(option: string | undefined): string {
  return option === undefined || option === "" ? "jfs_" : `jfs_${option}_`;
}

/** Reads the schema of all tables that have the prefix. */
export function readSqliteSchema(file: SqliteFile, prefix: string): SqliteSchema {
  const tables = new Map<string, SqliteTable>();
  for (const [name, sql] of file.all("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")) {
    const full = String(name);
    if (full.startsWith(prefix)) {
      tables.set(full.slice(prefix.length), readTable(file, full, prefix, String(sql)));
    }
  }
  const pragmas = new Map<string, string>();
  for (const name of PRAGMAS) {
    pragmas.set(name, String(file.all(`PRAGMA ${name}`)[0]?.[0]));
  }
  pragmas.set("write_ahead_log", String(file.writeAheadLog));
  return { tables, pragmas };
}

function readTable(file: SqliteFile, name: string, prefix: string, sql: string): SqliteTable {
  const quoted = quoteText(name);
  const columns = new Map<string, SqliteColumn>();
  const info = file.all(`SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(${quoted})`);
  for (const [column, type, notNull, defaultValue, place] of info) {
    const parts = [String(type).toUpperCase(), notNull === 1n ? "NOT NULL" : "NULL", `DEFAULT ${String(defaultValue)}`];
    columns.set(String(column), {
      definition: `${parts.join(" ")} KEY ${String(place)}`,
      primaryKeyPlace: Number(place),
    });
  }
  const indexes = new Map<string, string>();
  const list = file.all(`SELECT name, "unique", partial, origin FROM pragma_index_list(${quoted})`);
  for (const [index, unique, partial, origin] of list) {
    if (origin === "pk") {
      continue;
    }
    const key = file.all(
      `SELECT name, "desc", coll FROM pragma_index_xinfo(${quoteText(String(index))}) WHERE "key" ORDER BY seqno`,
    );
    const names = key.map(([column, descending, collation]) => {
      const order = descending === 1n ? " desc" : "";
      return `${String(column)}${order}${collation === "BINARY" ? "" : ` ${String(collation)}`}`;
    });
    const kind = `${unique === 1n ? "unique" : "plain"}${partial === 1n ? " partial" : ""}`;
    // Names of indexes hold the name of their table, prefix and all.
    indexes.set(`${kind} ${names.join(",")}`, String(index).replace(name, name.slice(prefix.length)));
  }
  return {
    columns,
    indexes,
    generated: /\bAUTOINCREMENT\b/i.test(sql),
    withoutRowid: /\bWITHOUT\s+ROWID\b/i.test(sql),
  };
}

/** The release line a schema belongs to, told by the columns of its node table. */
function lineOf(schema: SqliteSchema): Line {
  const node = schema.tables.get("node")?.columns;
  if (node?.has("tier_id") === true) {
    return "1.4";
  }
  if (node?.has("access_acl_id") === true) {
    return "1.2";
  }
  return node?.has("atimensec") === true ? "1.1" : "1.0";
}

/** Checks a schema against what the reference says of the line it belongs to: tables, columns, keys, generated ids. */
export function checkSchema(schema: SqliteSchema, report: Report): void {
  const line = lineOf(schema);
  for (const [name, expected] of Object.entries(EXPECTED_TABLES)) {
    const table = schema.tables.get(name);
    if (table !== undefined) {
      checkTable(name, table, expected, line, report);
    } else if (expected.optional === undefined && exists(expected.since, line)) {
      report("schema-table-missing", `table ${name}`, `does not exist in a schema of line ${line}`);
    }
  }
  for (const name of schema.tables.keys()) {
    if (EXPECTED_TABLES[name] === undefined) {
      report("schema-table-unknown", `table ${name}`, "is not known");
    }
  }
}

function checkTable(name: string, table: SqliteTable, expected: ExpectedTable, line: Line, report: Report): void {
  for (const [column, { since }] of Object.entries(expected.columns)) {
    if (!table.columns.has(column) && exists(since, line)) {
      report("schema-column-missing", `column ${name}.${column}`, `does not exist in a schema of line ${line}`);
    }
  }
  for (const column of table.columns.keys()) {
    if (expected.columns[column] === undefined) {
      report("schema-column-unknown", `column ${name}.${column}`, "is not known");
    }
  }
  const key = [...table.columns].filter(([, { primaryKeyPlace }]) => primaryKeyPlace > 0);
  key.sort(([, a], [, b]) => a.primaryKeyPlace - b.primaryKeyPlace);
  const keyNames = key.map(([column]) => column).join(",");
  if (keyNames !== expected.primaryKey.join(",")) {
    report("schema-column", `table ${name}`, `has the key (${keyNames}) instead of (${expected.primaryKey.join(",")})`);
  }
  if (expected.unique !== undefined && !table.indexes.has(`unique ${expected.unique.join(",")}`)) {
    report("schema-index", `table ${name}`, `has no unique index on (${expected.unique.join(",")})`);
  }
  if (expected.index !== undefined && !(name === "chunk_ref" && line === "1.0")) {
    if (!table.indexes.has(`plain ${expected.index.join(",")}`)) {
      report("schema-index", `table ${name}`, `has no index on (${expected.index.join(",")})`);
    }
  }
  if (table.generated !== (expected.generated === true)) {
    report(
      "schema-table-definition",
      `table ${name}`,
      `${table.generated ? "generates" : "does not generate"} its ids`,
    );
  }
}

/** Compares a schema with one that a real JuiceFS made: every table, column, index and stored setting. */
export function compareSchemas(schema: SqliteSchema, reference: SqliteSchema, report: Report): void {
  compareMaps("schema-table-missing", "schema-table-unknown", schema.tables, reference.tables, "table ", report);
  for (const [name, real] of reference.tables) {
    const table = schema.tables.get(name);
    if (table === undefined) {
      continue;
    }
    compareMaps(
      "schema-column-missing",
      "schema-column-unknown",
      table.columns,
      real.columns,
      `column ${name}.`,
      report,
    );
    for (const [column, { definition }] of real.columns) {
      const own = table.columns.get(column)?.definition;
      if (own !== undefined && own !== definition) {
        report("schema-column", `column ${name}.${column}`, `is ${own}, in the reference database ${definition}`);
      }
    }
    compareMaps("schema-index", "schema-index-unknown", table.indexes, real.indexes, `index ${name}: `, report);
    for (const [key, index] of real.indexes) {
      const own = table.indexes.get(key);
      if (own !== undefined && own !== index) {
        report("schema-index", `index ${name}: ${key}`, `is called ${own}, in the reference database ${index}`);
      }
    }
    if (table.generated !== real.generated || table.withoutRowid !== real.withoutRowid) {
      report("schema-table-definition", `table ${name}`, "has its ids made in another way than the reference database");
    }
  }
  for (const [name, value] of reference.pragmas) {
    const own = schema.pragmas.get(name);
    if (own !== value) {
      report("schema-pragma", `pragma ${name}`, `is ${own}, in the reference database ${value}`);
    }
  }
}

/** Reports keys that only one side has. */
function compareMaps(
  missing: Parameters<Report>[0],
  unknown: Parameters<Report>[0],
  own: ReadonlyMap<string, unknown>,
  real: ReadonlyMap<string, unknown>,
  prefix: string,
  report: Report,
): void {
  for (const key of real.keys()) {
    if (!own.has(key)) {
      report(missing, `${prefix}${key}`, "exists in the reference database only");
    }
  }
  for (const key of own.keys()) {
    if (!real.has(key)) {
      report(unknown, `${prefix}${key}`, "does not exist in the reference database");
    }
  }
}
