import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { CairnError } from "../../model/errors.ts";
import { queryRows, runSql, scanAll, scratchFolder } from "./testing.ts";
import { openPrivateView } from "./view-of-private-file.ts";

const columns = { a: "i64", b: "i64", c: "bytes", d: "bytes" } as const;

function makeDatabase(path: string): void {
  runSql(
    path,
    "PRAGMA page_size = 512",
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT, c TEXT, d BLOB)",
    `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 700)
     INSERT INTO t SELECT i * 3, i * i, 'name ' || i, CASE i % 50 WHEN 0 THEN zeroblob(3000) ELSE zeroblob(i % 30) END FROM c`,
  );
}

/** The error of a read, or `undefined`; any error but the documented ones fails the test. */
function readError(path: string, what: string): CairnError | undefined {
  try {
    using view = openPrivateView(path);
    const rows = scanAll(view.database, "t", columns);
    assert.ok(rows.length <= 700 * 512, what);
    for (const row of rows) {
      assert.equal(typeof row[0], "bigint", what);
      assert.equal(typeof row[2], "string", what);
    }
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CairnError, `${what}: ${String(error)}`);
    assert.ok(error.code.startsWith("sqlite-"), `${what}: ${error.code}`);
    return error;
  }
}

test("answers flipped bytes with an error or rows of the same shape, in bounded time", (context) => {
  const path = join(scratchFolder(context), "a.db");
  makeDatabase(path);
  const bytes = readFileSync(path);
  const fd = openSync(path, "r+");
  context.after(() => closeSync(fd));
  const start = performance.now();
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return seed % below;
  };
  let errors = 0;
  const runs = 1500;
  for (let run = 0; run < runs; run++) {
    // Page headers, cell pointers and interior pages matter most, so half of the flips go there.
    const page = random(bytes.length / 512);
    const at = page * 512 + (run % 2 === 0 ? random(24) : random(512));
    const value = run % 3 === 0 ? random(256) : bytes[at] ^ (1 << random(8));
    writeSync(fd, Uint8Array.of(value), 0, 1, at);
    if (readError(path, `byte ${at} set to ${value}`) !== undefined) errors++;
    writeSync(fd, bytes, at, 1, at);
  }
  assert.ok(errors > runs / 20, `${errors} errors`);
  assert.equal(readError(path, "restored"), undefined);
  const seconds = (performance.now() - start) / 1000;
  assert.ok(seconds < 60, `${seconds} s`);
});

test("names table and page of circles, wild page numbers and pages of another kind", (context) => {
  const path = join(scratchFolder(context), "a.db");
  makeDatabase(path);
  const [[rootPage]] = queryRows(path, "SELECT rootpage FROM sqlite_schema") as [[bigint]];
  const root = (Number(rootPage) - 1) * 512;
  const original = readFileSync(path);
  assert.equal(original[root], 5, "the root is an interior page");
  const cell = root + original.readUInt16BE(root + 12);
  const firstChild = original.readUInt32BE(cell);
  const withWord = (at: number, value: number): string => {
    const bytes = Buffer.from(original);
    bytes.writeUInt32BE(value, at);
    writeFileSync(path, bytes);
    const error = readError(path, `word ${value} at ${at}`);
    assert.equal(error?.code, "sqlite-corrupt");
    return error.message;
  };
  assert.match(withWord(cell, Number(rootPage)), /table t.*(deeper|circle|out of order|above what)/);
  assert.match(withWord(cell, 0), /page 0 is referred to/);
  assert.match(withWord(cell, 0x7fffffff), /page 2147483647 is referred to, but the database has/);
  assert.match(withWord(root + 8, firstChild), /out of order/);
  assert.match(withWord(cell, 1), /table t, page 1: /);

  const bytes = Buffer.from(original);
  bytes[(firstChild - 1) * 512] = 10;
  writeFileSync(path, bytes);
  assert.match(
    readError(path, "an index page")?.message ?? "",
    new RegExp(`table t, page ${firstChild}: a page of type 10`),
  );
});

test("stops at overflow chains that end early, go on, or go in a circle", (context) => {
  const path = join(scratchFolder(context), "a.db");
  runSql(
    path,
    "PRAGMA page_size = 512",
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT, c TEXT, d BLOB)",
    "INSERT INTO t VALUES (1, 2, 'x', randomblob(4000))",
  );
  const original = readFileSync(path);
  const [[rootPage]] = queryRows(path, "SELECT rootpage FROM sqlite_schema") as [[bigint]];
  const leaf = (Number(rootPage) - 1) * 512;
  const cell = leaf + original.readUInt16BE(leaf + 8);
  // The pages after the table's are its overflow pages: their first words are the numbers of the next.
  const chain = [3, 4, 5].map((page) => (page - 1) * 512);
  for (const [value, message] of [
    [0, /ends too early/],
    [3, /circle|goes on/],
    [9999, /page 9999 is referred to/],
  ] as const) {
    const bytes = Buffer.from(original);
    bytes.writeUInt32BE(value, chain[1]);
    writeFileSync(path, bytes);
    assert.match(readError(path, `next ${value}`)?.message ?? "", message);
  }
  const huge = Buffer.from(original);
  Buffer.from([0x87, 0xff, 0xff, 0xff, 0x7f]).copy(huge, cell);
  writeFileSync(path, huge);
  assert.match(
    readError(path, "a huge payload")?.message ?? "",
    /larger than the database|outside|order|cut off|record/,
  );
});

test("says that a file is cut off", (context) => {
  const path = join(scratchFolder(context), "a.db");
  makeDatabase(path);
  const { length } = readFileSync(path);
  truncateSync(path, length - 512 * 3);
  assert.match(readError(path, "cut")?.message ?? "", /the file is cut off: it holds \d+ of \d+ pages/);
  truncateSync(path, 700);
  assert.equal(readError(path, "cut more")?.code, "sqlite-corrupt");
});
