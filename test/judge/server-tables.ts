import type { SqlRows, SqlValue } from "./read-sql.ts";
import type { SqlSchema } from "./sql-schema.ts";
import { EXPECTED_TABLES } from "./sql-tables.ts";

/** How a dialect of SQL is asked for the tables of a volume. */
export interface TableDialect {
  readonly quoteName: (name: string) => string;
  /** An expression that prints the bytes of a column in hexadecimal digits, without a prefix. */
  readonly hex: (column: string, storage: "text" | "blob") => string;
}

/** What is read of one table: its columns, those that the schema has, and the statement. */
export interface TableQuery {
  readonly table: string;
  readonly columns: readonly string[];
  readonly select: string;
}

/** The statements that read all tables of a volume that the schema has; texts and bytes come in hexadecimal. */
export function tableQueries(schema: SqlSchema, prefix: string, dialect: TableDialect): TableQuery[] {
  return Object.entries(EXPECTED_TABLES).flatMap(([table, expected]) => {
    const known = schema.tables.get(table)?.columns;
    if (known === undefined) return [];
    const columns = Object.keys(expected.columns).filter((name) => known.has(name));
    const selected = columns.map((name) => {
      const quoted = dialect.quoteName(name);
      const { storage } = expected.columns[name];
      return storage === "integer" ? quoted : dialect.hex(quoted, storage);
    });
    const select = `SELECT ${selected.join(", ")} FROM ${dialect.quoteName(prefix + table)}`;
    return [{ table, columns, select }];
  });
}

/** Takes the printed rows of all tables in, and gives them to the reader of SQL records. */
export class ServerRows {
  readonly #tables = new Map<string, { columns: readonly string[]; rows: (string | null)[][] }>();

  add({ table, columns }: TableQuery, row: (string | null)[]): void {
    const known = this.#tables.getOrInsertComputed(table, () => ({ columns, rows: [] }));
    if (row.length !== columns.length) throw new Error(`a row of ${table} has ${row.length} values`);
    known.rows.push(row);
  }

  /** The rows of a table, each value as its column needs it; what the schema lacks is NULL. */
  readonly rows: SqlRows = (table, columns) => this.#read(table, columns);

  *#read(table: string, columns: readonly string[]): Generator<SqlValue[]> {
    const known = this.#tables.get(table);
    if (known === undefined) return;
    const places = columns.map((name) => known.columns.indexOf(name));
    const integer = columns.map((name) => EXPECTED_TABLES[table].columns[name].storage === "integer");
    for (const row of known.rows) {
      yield places.map((place, at) => {
        const text = place < 0 ? null : row[place];
        if (text === null) return null;
        return integer[at] ? BigInt(text) : Buffer.from(text, "hex");
      });
    }
  }
}
