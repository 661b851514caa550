import type { Report } from "./finding.ts";
import type { ExpectedTable, Line } from "./sql-tables.ts";
import { EXPECTED_TABLES, exists } from "./sql-tables.ts";

/** The schema of a volume's tables as the database has it; the names are without their prefix. */
export interface SqlSchema {
  readonly tables: ReadonlyMap<string, SqlTable>;
  /** What SQLite's file or the server's database keeps beside the tables: `page_size`, `encoding`, … */
  readonly pragmas: ReadonlyMap<string, string>;
}

export interface SqlTable {
  readonly columns: ReadonlyMap<string, SqlColumn>;
  /** By their columns and uniqueness, as `unique parent,name`; the primary key is in the columns. */
  readonly indexes: ReadonlyMap<string, string>;
  readonly generated: boolean;
  /** How the engine keeps the table where there is a choice: `WITHOUT ROWID`, `InnoDB`, …; or nothing. */
  readonly storage: string;
}

export interface SqlColumn {
  /** Type, NULL rule, default and place in the primary key, in one text to compare. */
  readonly definition: string;
  readonly primaryKeyPlace: number;
}

/** The prefix of a volume's tables: `jfs_`, or with the URL option `table_prefix=abc` `jfs_abc_`. */
export function tablePrefixOf(option: string | undefined): string {
  return option === undefined || option === "" ? "jfs_" : `jfs_${option}_`;
}

/** The release line a schema belongs to, told by the columns of its node table. */
function lineOf(schema: SqlSchema): Line {
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
export function checkSchema(schema: SqlSchema, report: Report): void {
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

function checkTable(name: string, table: SqlTable, expected: ExpectedTable, line: Line, report: Report): void {
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
export function compareSchemas(schema: SqlSchema, reference: SqlSchema, report: Report): void {
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
    if (table.generated !== real.generated || table.storage !== real.storage) {
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
