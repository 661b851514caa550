import { CairnError } from "../../model/errors.ts";
import { corrupt } from "./corrupt.ts";
import { parseCreateTable, sameName } from "./create-table.ts";
import type { TableDefinition } from "./create-table.ts";
import { headerBytes, parseHeader } from "./header.ts";
import type { DatabaseHeader } from "./header.ts";
import { openPageReader } from "./page-source.ts";
import type { PageSource } from "./page-source.ts";
import { readRows } from "./read-rows.ts";
import type { SqlValue } from "./record.ts";

/** One row of `sqlite_schema`. */
export interface SchemaEntry {
  readonly type: string;
  readonly name: string;
  readonly tableName: string;
  /** 0 for views, triggers and virtual tables. */
  readonly rootPage: number;
  /** Empty for the indexes that SQLite makes by itself. */
  readonly sql: string;
}

/** A table that can be scanned. */
export interface Table extends TableDefinition {
  readonly name: string;
  readonly rootPage: number;
}

/** One state of a database, for reading. */
export interface Database {
  readonly path: string;
  readonly header: DatabaseHeader;
  readonly pages: PageSource;
  readonly schema: readonly SchemaEntry[];
  /** Names of the ordinary tables in the order of the schema; SQLite's own, such as `sqlite_sequence`, among them. */
  readonly tableNames: readonly string[];
  hasTable(name: string): boolean;
  /** A table by name. Errors: `sqlite-no-table`; `sqlite-unsupported` for what is no ordinary row-id table. */
  table(name: string): Table;
}

/** The root page of `sqlite_schema`. */
const schemaRootPage = 1;
/** Far more than any schema that people write; keeps a damaged one from filling memory. */
const schemaEntriesMax = 100_000;

/** Reads header and schema of a database state. */
export function openDatabase(pages: PageSource): Database {
  const { path } = pages;
  const reader = openPageReader(pages, pages.pageSize);
  const start = reader.load(1);
  const header = parseHeader(reader.bytes.subarray(start, start + headerBytes), path);
  if (header.pageSize !== pages.pageSize) {
    throw corrupt(path, `page 1 names a page size of ${header.pageSize}, not ${pages.pageSize}`);
  }
  const rows = readRows(pages, { table: "sqlite_schema", rootPage: schemaRootPage, rowCountMax: schemaEntriesMax });
  const schema = rows.map(({ values }) => schemaEntry(values, path));
  const tables = new Map<string, Table>();

  function entryOf(name: string): SchemaEntry | undefined {
    return schema.find((entry) => entry.type === "table" && sameName(entry.name, name));
  }

  return {
    path,
    header,
    pages,
    schema,
    tableNames: schema.filter((entry) => entry.type === "table" && entry.rootPage !== 0).map((entry) => entry.name),
    hasTable: (name) => entryOf(name) !== undefined,
    table(name) {
      const known = tables.get(name);
      if (known !== undefined) return known;
      const table = tableOf(entryOf(name), name, path);
      tables.set(name, table);
      return table;
    },
  };
}

function tableOf(entry: SchemaEntry | undefined, name: string, path: string): Table {
  if (entry === undefined) {
    throw new CairnError("sqlite-no-table", `${path} has no table ${name}`, {
      unharmed: "the database was only read",
      next: "check that the path is that of the wanted database",
    });
  }
  if (entry.rootPage === 0) throw unsupported(path, name, "a virtual table");
  const definition = parseCreateTable(entry.sql);
  if (definition === undefined)
    throw unsupported(path, name, `declared by a statement that is not understood: ${entry.sql}`);
  if (definition.withoutRowid) throw unsupported(path, name, "a WITHOUT ROWID table");
  return { ...definition, name: entry.name, rootPage: entry.rootPage };
}

function unsupported(path: string, table: string, what: string): CairnError {
  return new CairnError("sqlite-unsupported", `${path}: table ${table} is ${what}, which cannot be scanned`, {
    unharmed: "the database was only read",
    details: { table },
  });
}

function schemaEntry(values: readonly SqlValue[], path: string): SchemaEntry {
  const [type, name, tableName, rootPage, sql] = values;
  if (typeof type !== "string" || typeof name !== "string" || typeof tableName !== "string") {
    throw corrupt(path, "a row of sqlite_schema has no type and name");
  }
  if (rootPage !== null && (typeof rootPage !== "bigint" || rootPage < 0n || rootPage > 0xffffffffn)) {
    throw corrupt(path, `sqlite_schema gives ${type} ${name} an impossible root page`);
  }
  return { type, name, tableName, rootPage: Number(rootPage ?? 0n), sql: typeof sql === "string" ? sql : "" };
}
