import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import fc from "fast-check";

import { parseCreateTable } from "./create-table.ts";
import type { SqlValue } from "./record.ts";

interface Seen {
  names: string[];
  types: string[];
  notNull: boolean[];
  generated: string[];
  rowidColumn: number;
  defaults: (SqlValue | undefined)[];
}

/** What SQLite itself makes of a statement; defaults as the rows that are older than the column get them. */
function seenBySqlite(sql: string): Seen {
  const connection = new DatabaseSync(":memory:");
  try {
    connection.exec(sql);
    const [{ name }] = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as {
      name: string;
    }[];
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const columns = connection.prepare(`PRAGMA table_xinfo(${quoted})`).all() as {
      name: string;
      type: string;
      notnull: number;
      hidden: number;
      dflt_value: string | null;
    }[];
    return {
      names: columns.map((column) => column.name),
      types: columns.map((column) => column.type.toUpperCase().replaceAll(/\s+/g, "")),
      notNull: columns.map((column) => column.notnull === 1),
      generated: columns.map((column) => ["no", "?", "virtual", "stored"][column.hidden]),
      rowidColumn: aliasOf(connection, quoted, columns),
      defaults: columns.map((column) => defaultOf(connection, column)),
    };
  } finally {
    connection.close();
  }
}

/** The column that SQLite answers with when it is asked for the row id, found by the name that the query plan gives. */
function aliasOf(connection: DatabaseSync, table: string, columns: { name: string; hidden: number }[]): number {
  const statement = connection.prepare(
    `SELECT ${["rowid", "_rowid_", "oid"].find((name) => !columns.some((column) => column.name.toLowerCase() === name)) ?? "rowid"} FROM ${table}`,
  );
  const [{ column }] = statement.columns() as unknown as { column: string | null }[];
  return columns.findIndex(({ name }) => name === column);
}

function defaultOf(
  connection: DatabaseSync,
  column: { type: string; dflt_value: string | null },
): SqlValue | undefined {
  if (column.dflt_value === null) return null;
  try {
    connection.exec(
      `CREATE TEMP TABLE x (a); INSERT INTO x VALUES (1); ALTER TABLE temp.x ADD COLUMN b ${column.type} DEFAULT ${column.dflt_value}`,
    );
    const statement = connection.prepare("SELECT b FROM temp.x");
    statement.setReadBigInts(true);
    return statement.get()?.["b"];
  } catch {
    return undefined;
  } finally {
    connection.exec("DROP TABLE IF EXISTS temp.x");
  }
}

function seenByUs(sql: string): Seen {
  const table = parseCreateTable(sql);
  assert.ok(table, sql);
  return {
    names: table.columns.map((column) => column.name),
    types: table.columns.map((column) => column.type.replaceAll(/\s+/g, "")),
    notNull: table.columns.map((column) => column.notNull),
    generated: table.columns.map((column) => column.generated),
    rowidColumn: table.rowidColumn,
    defaults: table.columns.map((column) => (column.default.kind === "value" ? column.default.value : undefined)),
  };
}

const statements = [
  "CREATE TABLE `jfs_node` (`inode` INTEGER PRIMARY KEY NOT NULL, `type` INTEGER NOT NULL, `atimensec` INTEGER DEFAULT 0 NOT NULL, `rdev` INTEGER NULL)",
  "CREATE TABLE IF NOT EXISTS `jfs_edge` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `parent` INTEGER NOT NULL, `name` BLOB NOT NULL)",
  "CREATE TABLE IF NOT EXISTS `s` (`name` TEXT PRIMARY KEY NOT NULL, `value` VARCHAR(4096) NOT NULL)",
  "CREATE TABLE main.t(a INTEGER PRIMARY KEY DESC, b)",
  "CREATE TABLE t(a INTEGER PRIMARY KEY ASC, b)",
  "CREATE TABLE t(a INT PRIMARY KEY, b)",
  "CREATE TABLE t(a INTEGER, b, PRIMARY KEY(a DESC))",
  "CREATE TABLE t(a INTEGER, b, CONSTRAINT pk PRIMARY KEY(`A` AUTOINCREMENT))",
  "CREATE TABLE t(a INTEGER, b INTEGER, PRIMARY KEY(a, b))",
  "CREATE TABLE t(a INTEGER, b INTEGER, CHECK (a > b), UNIQUE (a, b), FOREIGN KEY (b) REFERENCES t(a), PRIMARY KEY (b))",
  "CREATE TABLE t(a INTEGER, b TEXT PRIMARY KEY(a))".replace("TEXT ", "TEXT, "),
  "CREATE TABLE t(a \"INTEGER\" PRIMARY KEY, b 'odd type', c [big int], d unsigned big int)",
  "CREATE TABLE [a ] (b -- comment, with comma\n INTEGER /* (more) */ PRIMARY KEY, c DEFAULT 'x'',)' NOT NULL)",
  "CREATE TABLE t(a DEFAULT -5, b DEFAULT +6.5, c DEFAULT (1 + 2), d DEFAULT x'00ff', e DEFAULT \"word\", f DEFAULT NULL, g DEFAULT true, h DEFAULT 1e3)",
  "CREATE TABLE t(a INTEGER DEFAULT '12', b TEXT DEFAULT 12, c REAL DEFAULT 3, d NUMERIC DEFAULT '4.0', e BLOB DEFAULT 5, f INT DEFAULT 2.0, g DEFAULT 9223372036854775808)",
  "CREATE TABLE t(a, b AS (a || ',') STORED, c INT GENERATED ALWAYS AS (a) VIRTUAL, d GENERATED ALWAYS AS (1), e DEFAULT CURRENT_TIMESTAMP)",
  "CREATE TABLE t(a COLLATE NOCASE UNIQUE ON CONFLICT REPLACE, b REFERENCES t(a) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED NOT NULL, c CHECK (c IN ('(', 1)) DEFAULT 3)",
  "CREATE TABLE t(a INTEGER CONSTRAINT p PRIMARY KEY CONSTRAINT n NOT NULL CONSTRAINT d DEFAULT 4, b) STRICT".replace(
    ", b)",
    ", b ANY)",
  ),
  'CREATE TABLE "we""ird" ("co,l" INTEGER, \'quo\'\'ted\' TEXT, [br)acket] BLOB, `tick``s` INT)',
  "CREATE TABLE t(übung INTEGER PRIMARY KEY, 名前 TEXT, a$b INT)",
  'CREATE TABLE t(a integer primary key autoincrement, key text, "order" int default(7))',
];

for (const sql of statements) {
  test(`sees what SQLite sees: ${sql.slice(0, 90).replaceAll("\n", " ")}`, () =>
    assert.deepEqual(seenByUs(sql), seenBySqlite(sql)));
}

test("tells tables without row ids, strict ones, and what is no table", () => {
  assert.equal(parseCreateTable("CREATE TABLE t(a INTEGER PRIMARY KEY) WITHOUT ROWID, STRICT")?.withoutRowid, true);
  assert.equal(parseCreateTable("CREATE TABLE t(a INTEGER PRIMARY KEY) WITHOUT ROWID, STRICT")?.rowidColumn, -1);
  assert.equal(parseCreateTable("CREATE TABLE t(a INT) STRICT")?.strict, true);
  for (const sql of [
    "",
    "CREATE VIRTUAL TABLE t USING fts5(a)",
    "CREATE INDEX i ON t(a)",
    "CREATE TABLE t(",
    "CREATE TABLE t()",
    "SELECT (1)",
  ]) {
    assert.equal(parseCreateTable(sql), undefined, sql);
  }
});

test("sees what SQLite sees in any mixture of quotes, types and constraints (property)", () => {
  const quotes: ((name: string) => string)[] = [
    (name) => `"${name.replaceAll('"', '""')}"`,
    (name) => `\`${name.replaceAll("`", "``")}\``,
    (name) => `[${name.replaceAll("]", "")}]`,
  ];
  const column = fc.record({
    name: fc.string({
      unit: fc.constantFrom("a", "b", " ", ",", "(", ")", "[", '"', "`", "'", "-", "*", "/", "é"),
      minLength: 1,
      maxLength: 6,
    }),
    quote: fc.constantFrom(...quotes),
    type: fc.constantFrom(
      "",
      "INTEGER",
      "integer",
      "INT",
      "VARCHAR(255)",
      "DECIMAL(10, 5)",
      "BLOB",
      "BIG INT UNSIGNED",
      "TEXT",
      "FLOAT",
    ),
    constraints: fc.subarray([
      "NOT NULL",
      "UNIQUE",
      "CHECK (1 <> '),')",
      "COLLATE nocase",
      "REFERENCES other(x) ON DELETE CASCADE",
      "NULL",
    ]),
    value: fc.constantFrom(
      "",
      "DEFAULT 5",
      "DEFAULT -0.5",
      "DEFAULT '7'",
      "DEFAULT 'a,b'",
      "DEFAULT (1)",
      "DEFAULT x'aa'",
      "DEFAULT NULL",
    ),
  });
  const key = fc.constantFrom("none", "column", "descending", "table");
  fc.assert(
    fc.property(
      fc.uniqueArray(column, {
        selector: ({ name }) => name.toLowerCase().replaceAll("]", ""),
        minLength: 1,
        maxLength: 5,
      }),
      key,
      fc.nat(4),
      (columns, how, which) => {
        const keyed = which % columns.length;
        const parts = columns.map(({ name, quote, type, constraints, value }, index) => {
          const primary =
            index !== keyed ? "" : how === "column" ? "PRIMARY KEY" : how === "descending" ? "PRIMARY KEY DESC" : "";
          return [quote(name), type, primary, ...constraints, value].filter((part) => part !== "").join(" ");
        });
        if (how === "table") parts.push(`PRIMARY KEY (${columns[keyed].quote(columns[keyed].name)})`);
        const sql = `CREATE TABLE t(${parts.join(", ")})`;
        let expected: Seen;
        try {
          expected = seenBySqlite(sql);
        } catch {
          return fc.pre(false);
        }
        assert.deepEqual(seenByUs(sql), expected, sql);
      },
    ),
    { numRuns: 300 },
  );
});
