import type { SqlColumn, SqlTable } from "../sql/tables.ts";

/** As JuiceFS' object mapper declares a column in SQLite. */
function declarationOf(column: SqlColumn): string {
  const type = typeOf(column);
  if (column.key === "serial") return `${type} PRIMARY KEY AUTOINCREMENT NOT NULL`;
  if (column.key === "primary") return `${type} PRIMARY KEY NOT NULL`;
  if (column.hasDefault === true) return `${type} DEFAULT 0 NOT NULL`;
  return `${type} ${column.isNullable === true ? "NULL" : "NOT NULL"}`;
}

function typeOf({ type }: SqlColumn): string {
  if (type === "blob" || type.startsWith("varbinary")) return "BLOB";
  return type === "string" || type === "text" || type.startsWith("varchar") ? "TEXT" : "INTEGER";
}

/** The statement that creates a table, letter for letter as the real client's. */
export function createTableSql(prefix: string, candidate: SqlTable): string {
  const parts = candidate.columns.map((column) => `\`${column.name}\` ${declarationOf(column)}`);
  if (candidate.primaryKey !== undefined)
    parts.push(`PRIMARY KEY ( ${candidate.primaryKey.map((name) => `\`${name}\``).join(",")} )`);
  return `CREATE TABLE \`${prefix}${candidate.name}\` (${parts.join(", ")})`;
}

/** The statements that create a table's indexes, by their names in the schema. */
export function createIndexSql(prefix: string, candidate: SqlTable): string[] {
  return candidate.indexes.map((entry) => {
    const name = `${entry.unique ? "UQE" : "IDX"}_${prefix}${candidate.name}_${entry.name}`;
    const columns = entry.columns.map((column) => `\`${column}\``).join(",");
    return `CREATE ${entry.unique ? "UNIQUE " : ""}INDEX \`${name}\` ON \`${prefix}${candidate.name}\` (${columns})`;
  });
}
