import type { SqlColumn, SqlTable, SqlType } from "../sql/tables.ts";
import { quoted } from "./session.ts";

/** How JuiceFS' object mapper declares a Go type in MySQL. */
const declarations: Readonly<Record<SqlType, string>> = {
  u8: "INT",
  u16: "INT",
  u32: "INT",
  i16: "INT",
  i32: "INT",
  i64: "BIGINT(20)",
  u64: "BIGINT(20)",
  "varbinary(255)": "VARBINARY(255)",
  "varbinary(4096)": "VARBINARY(4096)",
  blob: "BLOB",
  string: "VARCHAR(255)",
  "varchar(4096)": "VARCHAR(4096)",
  text: "TEXT",
};

/** The statement that creates a table without its indexes, as the real client's (`pkg/meta/sql.go` through xorm). */
export function createTableSql(prefix: string, table: SqlTable): string {
  const parts = table.columns.map((column) => `${quoted(column.name)} ${declarationOf(column)}`);
  if (table.primaryKey !== undefined) parts.push(`PRIMARY KEY ( ${table.primaryKey.map(quoted).join(",")} )`);
  return `CREATE TABLE ${quoted(prefix + table.name)} (${parts.join(", ")})`;
}

function declarationOf({ type, key, isNullable, hasDefault }: SqlColumn): string {
  const keyed = key === undefined ? "" : ` PRIMARY KEY${key === "serial" ? " AUTO_INCREMENT" : ""}`;
  return `${declarations[type]}${keyed}${hasDefault === true ? " DEFAULT 0" : ""} ${isNullable === true ? "NULL" : "NOT NULL"}`;
}

/** The statement that adds all indexes of a table at once, by their names in the schema; nothing where it has none. */
export function addIndexesSql(prefix: string, table: SqlTable): string | undefined {
  if (table.indexes.length === 0) return undefined;
  const clauses = table.indexes.map(({ name, unique, columns }) => {
    const index = quoted(`${unique ? "UQE" : "IDX"}_${prefix}${table.name}_${name}`);
    return `ADD ${unique ? "UNIQUE INDEX" : "INDEX"} ${index} (${columns.map(quoted).join(",")})`;
  });
  return `ALTER TABLE ${quoted(prefix + table.name)} ${clauses.join(", ")}`;
}
