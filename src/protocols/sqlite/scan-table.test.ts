import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import fc from "fast-check";

import { bytesSink, integer64Sink, unsigned32Sink } from "../../std/column-sink.ts";
import { openTableScan } from "./scan-table.ts";
import { queryRows, runSql, scanAll, scratchFolder } from "./testing.ts";
import { openPrivateView } from "./view-of-private-file.ts";

/** Rows with integers of every width and sign, and bytes from none to several overflow pages; a third of them deleted again. */
function fill(pageSize: number): string[] {
  return [
    "CREATE TABLE other (x)",
    'CREATE TABLE t (`id` INTEGER PRIMARY KEY, [small] INTEGER, wide BIGINT, "name" TEXT, data BLOB, last INTEGER NOT NULL)',
    `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1500)
     INSERT INTO t SELECT
       CASE i % 5 WHEN 0 THEN -i * 1000 WHEN 1 THEN i ELSE (i % 60 + 3) * (1 << (i % 40)) + i END,
       i % 256, ((i * 7919) % 3 - 1) * ((1 << (i % 63)) - i % 2), substr(hex(randomblob(20)), 1, i % 40),
       CASE i % 97 WHEN 0 THEN randomblob(${pageSize} * 3 + i) WHEN 1 THEN randomblob(${pageSize} - i % 60) ELSE randomblob(i % 200) END, -i
     FROM c WHERE true ON CONFLICT DO NOTHING`,
    "INSERT INTO other SELECT randomblob(300) FROM t",
    "INSERT INTO t VALUES (9223372036854775807, 0, 9223372036854775807, '', x'', 1), (-9223372036854775808, 1, -9223372036854775808, 'é', x'00', 0)",
    "DELETE FROM t WHERE abs(last) % 3 = 0",
    "DELETE FROM other WHERE rowid % 2 = 0",
  ];
}

const allColumns = { id: "i64", small: "u32", wide: "i64", name: "bytes", data: "bytes", last: "i64" } as const;
const allQuery = "SELECT id, small, wide, CAST(name AS BLOB), data, last FROM t ORDER BY id";

for (const pageSize of [512, 1024, 4096, 8192, 65536]) {
  for (const vacuum of ["NONE", "FULL", "INCREMENTAL"]) {
    test(`reads what SQLite reads: pages of ${pageSize}, auto_vacuum ${vacuum}`, (context) => {
      const path = join(scratchFolder(context), "a.db");
      runSql(path, `PRAGMA page_size = ${pageSize}`, `PRAGMA auto_vacuum = ${vacuum}`, ...fill(pageSize));
      using view = openPrivateView(path);
      assert.equal(view.database.header.pageSize, pageSize);
      assert.deepEqual(scanAll(view.database, "t", allColumns), queryRows(path, allQuery));
      const rows = scanAll(view.database, "t", allColumns, { bufferBytes: 1, arenaBytesMax: 1, sinkRows: 3 });
      assert.deepEqual(rows, queryRows(path, allQuery), "in the smallest batches");
    });
  }
}

test("respects bytes that a database reserves on every page", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(path, "PRAGMA page_size = 1024", "PRAGMA user_version = 1");
  const bytes = readFileSync(path);
  bytes[20] = 48;
  bytes.writeUInt16BE(1024 - 48, 100 + 5);
  writeFileSync(path, bytes);
  runSql(path, ...fill(1024));
  assert.deepEqual(queryRows(path, "PRAGMA integrity_check"), [["ok"]]);
  using view = openPrivateView(path);
  assert.equal(view.database.header.reservedBytes, 48);
  assert.deepEqual(scanAll(view.database, "t", allColumns), queryRows(path, allQuery));
});

test("gives the rows of a range of row ids, and ranges that meet give all rows once", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(path, "PRAGMA page_size = 512", ...fill(512));
  using view = openPrivateView(path);
  const ids = queryRows(path, "SELECT id FROM t ORDER BY id").map(([id]) => id as bigint);
  fc.assert(
    fc.property(
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      fc.nat(ids.length - 1),
      fc.nat(ids.length - 1),
      (any, first, second) => {
        const found = (from?: bigint, to?: bigint): unknown[] =>
          scanAll(
            view.database,
            "t",
            { id: "i64" },
            { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) },
          ).flat();
        const [low, high] = [ids[Math.min(first, second)], ids[Math.max(first, second)]];
        assert.deepEqual(
          found(low, high),
          ids.filter((id) => id >= low && id <= high),
        );
        assert.deepEqual(
          found(any),
          ids.filter((id) => id >= any),
        );
        assert.deepEqual(
          found(undefined, any),
          ids.filter((id) => id <= any),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test("takes defaults for columns that were added later", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(
    path,
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b)",
    "INSERT INTO t VALUES (1, 10), (2, 20)",
    "ALTER TABLE t ADD COLUMN c INTEGER NOT NULL DEFAULT -7",
    "ALTER TABLE t ADD COLUMN `d` TEXT DEFAULT 'it''s'",
    "ALTER TABLE t ADD COLUMN e BLOB",
    "ALTER TABLE t ADD COLUMN f BIGINT DEFAULT '9007199254740993'",
    "ALTER TABLE t ADD COLUMN g INT DEFAULT 0x10",
    "INSERT INTO t VALUES (3, 30, 1, 'x', x'ff', 2, 3)",
  );
  using view = openPrivateView(path);
  assert.deepEqual(
    scanAll(view.database, "t", { a: "u32", b: "i64", c: "i64", d: "bytes", e: "bytes", f: "i64", g: "u32" }),
    queryRows(path, "SELECT a, b, c, CAST(d AS BLOB), coalesce(e, x''), f, g FROM t"),
  );
  const sink = bytesSink(10, 0);
  openTableScan(view.database, "t", { columns: { e: sink } }).next();
  assert.equal(sink.nullCount, 2);
});

test("counts NULLs and puts the sink's value in their place", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(
    path,
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT, c INT)",
    "INSERT INTO t VALUES (1, NULL, NULL), (2, 5, NULL), (3, NULL, 6)",
  );
  using view = openPrivateView(path);
  const columns = { a: unsigned32Sink(2), b: integer64Sink(2, -1n), c: unsigned32Sink(2, 9) };
  const scan = openTableScan(view.database, "t", { columns });
  assert.equal(scan.next(), 2);
  assert.deepEqual([...columns.b.values], [0xffffffff, 0xffffffff, 5, 0]);
  assert.deepEqual([...columns.c.values], [9, 9]);
  assert.equal(scan.next(), 1);
  assert.equal(columns.c.values[0], 6);
  assert.equal(scan.next(), 0);
  assert.equal(scan.rowCount, 3);
  assert.deepEqual([columns.a.nullCount, columns.b.nullCount, columns.c.nullCount], [0, 2, 2]);
});

test("fills arrays that the caller puts in place between two batches, and leaves the old ones alone", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(path, "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('one'), ('two'), ('three')");
  using view = openPrivateView(path);
  const sink = bytesSink(2, 0);
  const rowid = integer64Sink(2);
  const scan = openTableScan(view.database, "t", { columns: { a: sink }, rowid });
  assert.equal(scan.next(), 2);
  const first = { arena: sink.arena, offsets: sink.offsets };
  assert.deepEqual([...rowid.values], [1, 0, 2, 0]);
  sink.arena = new Uint8Array(1);
  sink.offsets = new Uint32Array(3);
  assert.equal(scan.next(), 1);
  assert.equal(Buffer.from(first.arena.subarray(0, first.offsets[2])).toString(), "onetwo");
  assert.equal(Buffer.from(sink.arena.subarray(0, sink.offsets[1])).toString(), "three");
});

test("takes REAL for an integer where it is one, exactly, and names the place where it is not", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(path, "CREATE TABLE t (a REAL, b)", "INSERT INTO t VALUES (3, 9007199254740992.0), (-4.0, 1e18)");
  using view = openPrivateView(path);
  assert.deepEqual(scanAll(view.database, "t", { a: "i64", b: "i64" }), [
    [3n, 9007199254740992n],
    [-4n, 1000000000000000000n],
  ]);
  const refused: [string, "i64" | "u32" | "bytes", RegExp][] = [
    ["1.5", "i64", /table u, column a, row 77: REAL 1\.5 stands where an integer is expected/],
    ["1e300", "i64", /REAL 1e\+300/],
    ["'12'", "i64", /TEXT stands where an integer/],
    ["x'12'", "u32", /BLOB stands where an integer of 0 to 4294967295/],
    ["-1", "u32", /-1 is no number of 0 to 4294967295/],
    ["4294967296", "u32", /4294967296 is no number/],
    ["5", "bytes", /INTEGER stands where TEXT or BLOB/],
    ["2.5", "bytes", /REAL 2\.5 stands where TEXT or BLOB/],
  ];
  for (const [value, type, message] of refused) {
    const other = `${path}${value.length}${type}${value.codePointAt(0)}`;
    runSql(
      other,
      "CREATE TABLE u (a)",
      `INSERT INTO u (rowid, a) VALUES (5, ${type === "bytes" ? "''" : "1"}), (77, ${value})`,
    );
    using bad = openPrivateView(other);
    assert.throws(() => scanAll(bad.database, "u", { a: type }), { code: "sqlite-unexpected-value", message }, value);
  }
});

test("refuses by name what it cannot scan", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(
    path,
    "CREATE TABLE keyed (a PRIMARY KEY, b) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE words USING fts5(x)",
    "CREATE TABLE computed (a INT, b INT AS (a + 1), c INT AS (a * 2) STORED)",
    "INSERT INTO computed VALUES (5)",
    "CREATE VIEW seen AS SELECT 1",
  );
  using view = openPrivateView(path);
  const scan = (table: string, column: string): unknown => scanAll(view.database, table, { [column]: "i64" });
  assert.throws(() => scan("keyed", "a"), {
    code: "sqlite-unsupported",
    message: /table keyed is a WITHOUT ROWID table/,
  });
  assert.throws(() => scan("words", "x"), { code: "sqlite-unsupported", message: /table words is a virtual table/ });
  assert.throws(() => scan("seen", "x"), { code: "sqlite-no-table", message: /no table seen/ });
  assert.throws(() => scan("computed", "b"), { code: "sqlite-no-column", message: /no stored column b/ });
  assert.deepEqual(scan("COMPUTED", "C"), [[10n]]);
});

test("refuses text that is not UTF-8, and what is no database", (context) => {
  const folder = scratchFolder(context);
  const wide = join(folder, "wide.db");
  runSql(wide, "PRAGMA encoding = 'UTF-16'", "CREATE TABLE t (a)");
  assert.throws(() => openPrivateView(wide), { code: "sqlite-unsupported", message: /UTF-16/ });
  for (const content of ["", "x", "SQLite format 2\0".padEnd(4096, "x")]) {
    writeFileSync(join(folder, "no.db"), content);
    assert.throws(() => openPrivateView(join(folder, "no.db")), { code: "sqlite-not-a-database" });
  }
});

test("reads any rows that SQLite stored (property)", (context) => {
  const folder = scratchFolder(context);
  let runs = 0;
  const integer = fc.oneof(
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    fc.bigInt(-200n, 200n),
    fc.nat(62).chain((bits) => fc.constantFrom(2n ** BigInt(bits), -(2n ** BigInt(bits)), 2n ** BigInt(bits) - 1n)),
  );
  const row = fc.record({
    id: integer,
    number: integer,
    blob: fc.uint8Array({ maxLength: 2500 }),
    text: fc.string({ unit: "grapheme" }),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: 120 }),
      fc.constantFrom(512, 4096),
      (rows, pageSize) => {
        const path = join(folder, `${runs++}.db`);
        const connection = new DatabaseSync(path);
        connection.exec(
          `PRAGMA page_size = ${pageSize}; CREATE TABLE t (number INT, blob, text, id INT, PRIMARY KEY (id)); BEGIN`,
        );
        const insert = connection.prepare("INSERT INTO t (rowid, id, number, blob, text) VALUES (?, ?, ?, ?, ?)");
        // Without it, run() throws on row ids that are no safe integers.
        insert.setReadBigInts(true);
        for (const { id, number, blob, text } of rows) insert.run(id, id, number, blob, text);
        connection.exec("COMMIT");
        connection.close();
        using view = openPrivateView(path);
        const expected = rows
          .toSorted((a, b) => (a.id < b.id ? -1 : 1))
          .map(({ id, number, blob, text }) => [
            Buffer.from(blob).toString("hex"),
            number,
            Buffer.from(text).toString("hex"),
            id,
          ]);
        assert.deepEqual(
          scanAll(view.database, "t", { blob: "bytes", number: "i64", text: "bytes", id: "i64" }),
          expected,
        );
      },
    ),
    { numRuns: 60 },
  );
});
