import type { SqlColumn, SqlSchema, SqlTable } from "./sql-schema.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import { quoteText } from "./sqlite-file.ts";

const PRAGMAS = ["page_size", "auto_vacuum", "encoding", "user_version", "application_id"];

/** Reads the schema of all tables that have the prefix. */
export function readSqliteSchema(file: SqliteFile, prefix: string): SqlSchema {
  const tables = new Map<string, SqlTable>();
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

function readTable(file: SqliteFile, name: string, prefix: string, sql: string): SqlTable {
  const quoted = quoteText(name);
  const columns = new Map<string, SqlColumn>();
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
    storage: /\bWITHOUT\s+ROWID\b/i.test(sql) ? "WITHOUT ROWID" : "",
  };
}
