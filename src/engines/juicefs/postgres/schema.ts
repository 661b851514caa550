import { quoteName, quoteText } from "../../../protocols/postgres/sql-text.ts";
import type { SqlColumn, SqlTable, SqlType } from "../sql/tables.ts";

/** As JuiceFS' object mapper declares a column in PostgreSQL. Keys follow the data. */
function declarationOf(column: SqlColumn): string {
  const type = typeOf(column.type);
  if (column.key === "serial") return `${type === "bigint" ? "bigserial" : "serial"} NOT NULL`;
  if (column.hasDefault === true) return `${type} DEFAULT 0 NOT NULL`;
  return column.isNullable === true && column.key === undefined ? type : `${type} NOT NULL`;
}

/** The type of a column, in the words of PostgreSQL's catalogue. */
export function typeOf(type: SqlType): string {
  switch (type) {
    case "i64":
    case "u64":
      return "bigint";
    case "blob":
    case "varbinary(255)":
    case "varbinary(4096)":
      return "bytea";
    case "string":
      return "character varying(255)";
    case "varchar(4096)":
      return "character varying(4096)";
    case "text":
      return "text";
    default:
      return "integer";
  }
}

/** A table's name with its schema, quoted. */
export function placeOf(schema: string, prefix: string, table: string): string {
  return `${quoteName(schema)}.${quoteName(prefix + table)}`;
}

/** The statement that creates a table without its keys. */
export function createTableSql(schema: string, prefix: string, table: SqlTable): string {
  const columns = table.columns.map((column) => `${quoteName(column.name)} ${declarationOf(column)}`);
  return `CREATE TABLE ${placeOf(schema, prefix, table.name)} (${columns.join(", ")})`;
}

/** The statements that give a table its primary key and its indexes, by the names that the real client gives them. */
export function indexSql(schema: string, prefix: string, table: SqlTable): string[] {
  const place = placeOf(schema, prefix, table.name);
  const key = table.primaryKey ?? table.columns.filter((column) => column.key !== undefined).map(({ name }) => name);
  const list = (names: readonly string[]): string => names.map(quoteName).join(", ");
  return [
    `ALTER TABLE ${place} ADD CONSTRAINT ${quoteName(`${prefix}${table.name}_pkey`)} PRIMARY KEY (${list(key)})`,
    ...table.indexes.map(({ name, unique, columns }) => {
      const indexName = quoteName(`${unique ? "UQE" : "IDX"}_${prefix}${table.name}_${name}`);
      return `CREATE ${unique ? "UNIQUE " : ""}INDEX ${indexName} ON ${place} (${list(columns)})`;
    }),
  ];
}

/** The column that the database numbers, if the table has one. */
export function serialColumn(table: SqlTable): string | undefined {
  return table.columns.find((column) => column.key === "serial")?.name;
}

/** The statement that lets the numbering go on after `last`. */
export function setSequenceSql(schema: string, prefix: string, table: SqlTable, column: string, last: number): string {
  const place = quoteText(placeOf(schema, prefix, table.name));
  return `SELECT setval(pg_get_serial_sequence(${place}, ${quoteText(column)}), ${last})`;
}
