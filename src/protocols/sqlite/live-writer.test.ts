import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { integer64Sink } from "../../std/column-sink.ts";
import { openView } from "./open-view.ts";
import { openTableScan } from "./scan-table.ts";
import { scratchFolder, startClient, valueAt } from "./testing.ts";
import type { DatabaseView } from "./view.ts";

const accounts = 2000;
const total = BigInt(accounts) * 1000n;

/**
 * Moves amounts between accounts, and for each move adds a row to `moved` and raises `counter`, all in one transaction; at
 * times it makes room and many pages, so that pages are freed and used again.
 */
const work = `
  db.exec("PRAGMA busy_timeout = 5000");
  if (WAL) db.exec("PRAGMA wal_autocheckpoint = 30");
  const take = db.prepare("UPDATE account SET amount = amount - ? WHERE id = ?");
  const give = db.prepare("UPDATE account SET amount = amount + ? WHERE id = ?");
  const note = db.prepare("INSERT INTO moved (id, amount, filler) VALUES (?, ?, randomblob(?))");
  const count = db.prepare("UPDATE counter SET value = value + 1");
  let moves = 0;
  for (let round = 1; !state.stopped; round++) {
    db.exec("BEGIN IMMEDIATE");
    for (let step = 0; step < 1 + round % 7; step++) {
      const amount = 1 + Math.floor(Math.random() * 5);
      take.run(amount, 1 + Math.floor(Math.random() * ${accounts}));
      give.run(amount, 1 + Math.floor(Math.random() * ${accounts}));
      moves++;
      note.run(moves, amount, round % 50 === 0 ? 20000 : 10);
      count.run();
    }
    if (round % 40 === 0) { db.exec("DELETE FROM moved; UPDATE counter SET value = 0"); moves = 0; }
    if (round % 97 === 0) db.exec("ROLLBACK"), moves = db.prepare("SELECT value FROM counter").get().value;
    else db.exec("COMMIT");
    await sleep(round % 5 === 0 ? 1 : 0);
  }
  return "fine";
`;

/** Reads all three tables in small batches, giving the writer time between them, and checks what every commit keeps. */
async function checkState(view: DatabaseView): Promise<void> {
  const sums: Record<string, bigint> = {};
  const counts: Record<string, number> = {};
  for (const [table, column] of Object.entries({ counter: "value", account: "amount", moved: "id" })) {
    const sink = integer64Sink(200);
    const scan = openTableScan(view.database, table, { columns: { [column]: sink }, bufferBytes: 4096 });
    let sum = 0n;
    for (let count = scan.next(); count > 0; count = scan.next()) {
      for (let row = 0; row < count; row++) sum += valueAt(sink, row) as bigint;
      await nextTurn();
    }
    sums[table] = sum;
    counts[table] = scan.rowCount;
  }
  assert.equal(sums["account"], total);
  assert.equal(counts["account"], accounts);
  assert.equal(BigInt(counts["moved"]), sums["counter"], "as many rows as counted");
}

async function raceWriter(context: TestContext, mode: "WAL" | "DELETE", milliseconds: number): Promise<void> {
  const folder = scratchFolder(context);
  const path = join(folder, "a.db");
  const temporaryFolder = join(folder, "tmp");
  mkdirSync(temporaryFolder);
  const client = await startClient(context, path);
  await client.run(`PRAGMA page_size = 1024; PRAGMA journal_mode = ${mode}; PRAGMA synchronous = OFF;
    CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, filler BLOB);
    CREATE TABLE moved (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, filler BLOB);
    CREATE TABLE counter (value INTEGER NOT NULL);
    INSERT INTO counter VALUES (0);
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${accounts})
      INSERT INTO account SELECT i, 1000, randomblob(i % 100) FROM c`);
  client.begin(`const WAL = ${mode === "WAL"};${work}`);
  const methods = new Set<string>();
  const positions = new Set<unknown>();
  const partly = new Set<boolean>();
  let views = 0;
  for (const end = performance.now() + milliseconds; performance.now() < end; views++) {
    using view = await openView(path, { temporaryFolder });
    await checkState(view);
    view.verifyUnchanged();
    methods.add(view.method);
    positions.add(view.position["walChangeCounter"] ?? view.position["changeCounter"]);
    partly.add(view.position["walBackfilled"] === view.position["walFrame"]);
  }
  assert.equal(await client.stop(), "fine", "the writer met no error");
  assert.deepEqual([...methods], [mode === "WAL" ? "wal-transaction" : "copy-under-lock"]);
  assert.ok(positions.size >= 20, `${views} views of ${positions.size} states`);
  if (mode === "WAL") assert.equal(partly.size, 2, "with frames to overlay and without");
  assert.deepEqual(readdirSync(temporaryFolder), []);
  context.diagnostic(`${views} views of ${positions.size} states`);
  await client.end();
}

test("sees whole transactions only, beside a writer of a WAL database", async (context) =>
  await raceWriter(context, "WAL", 4000));
test("sees whole transactions only, beside a writer with a rollback journal", async (context) =>
  await raceWriter(context, "DELETE", 3000));
