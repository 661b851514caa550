import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CairnError } from "../../model/errors.ts";
import { openAndCloseLast, openReadConnection } from "./connection.ts";
import { openView } from "./open-view.ts";
import { queryRows, runSql, scanAll, scratchFolder, startClient } from "./testing.ts";
import type { Client } from "./testing.ts";
import type { DatabaseView, ViewOptions } from "./view.ts";

interface Place {
  folder: string;
  path: string;
  options: ViewOptions;
}

function place(context: TestContext): Place {
  const folder = scratchFolder(context);
  mkdirSync(join(folder, "tmp"));
  mkdirSync(join(folder, "db"));
  return { folder, path: join(folder, "db", "a.db"), options: { temporaryFolder: join(folder, "tmp") } };
}

/**
 * Names, bytes and times of all files of the database. Of log and journal no change time, since SQLite gives them their owner
 * again when it runs as root; of the wal-index, which readers write their marks to, the name only.
 */
function traces({ folder, path }: Place): unknown {
  return [
    readdirSync(join(folder, "tmp")),
    ...readdirSync(join(path, "..")).map((name) => {
      if (name.endsWith("-shm")) return [name];
      const file = join(path, "..", name);
      const { mtimeNs, ctimeNs, ino } = statSync(file, { bigint: true });
      const hash = createHash("sha256").update(readFileSync(file)).digest("hex");
      return [name, ino, hash, mtimeNs, /-(wal|journal)$/.test(name) ? "" : ctimeNs];
    }),
  ];
}

const rowsOf = (view: DatabaseView): unknown[][] => scanAll(view.database, "t", { a: "i64", b: "bytes" });
const expectedRows = (path: string): unknown[][] => queryRows(path, "SELECT a, b FROM t ORDER BY a");
const create = "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)";
const insertMany = (count: number, bytes = 50): string =>
  `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${count}) INSERT INTO t (b) SELECT randomblob(${bytes}) FROM c`;

async function readUntouched(at: Place, method: string, expected: unknown[][]): Promise<DatabaseView> {
  const before = traces(at);
  const view = await openView(at.path, at.options);
  assert.equal(view.method, method);
  assert.equal(view.position["method"], method);
  assert.deepEqual(rowsOf(view), expected);
  view.verifyUnchanged();
  view.close();
  view.close();
  assert.deepEqual(traces(at), before, "nothing was changed and nothing left behind");
  assert.throws(() => rowsOf(view), { code: "sqlite-view-closed" });
  return view;
}

test("reads a WAL database that nobody has open as it is, also through a symbolic link", async (context) => {
  const at = place(context);
  runSql(at.path, "PRAGMA journal_mode = WAL", create, insertMany(1000));
  const expected = expectedRows(at.path);
  await readUntouched(at, "idle-file", expected);
  mkdirSync(join(at.folder, "links"));
  symlinkSync(at.path, join(at.folder, "links", "link.db"));
  await readUntouched({ ...at, path: join(at.folder, "links", "link.db") }, "idle-file", expected);
});

test("reads below the log of connected clients: whole, partly copied, fully copied, begun anew", async (context) => {
  const at = place(context);
  const client = await startClient(context, at.path);
  await client.run(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; ${create}; ${insertMany(3000)}`);
  const whole = await readUntouched(at, "wal-transaction", expectedRows(at.path));
  assert.equal(whole.position["walBackfilled"], 0);

  // A reader of an older state lets the checkpoint copy no frame after it.
  const old = await startClient(context, at.path);
  await old.run("BEGIN; SELECT * FROM t LIMIT 1");
  await client.run(
    `UPDATE t SET b = randomblob(40) WHERE a % 3 = 0; ${insertMany(500)}; DELETE FROM t WHERE a % 7 = 0`,
  );
  await client.run("PRAGMA wal_checkpoint(PASSIVE)");
  const part = await readUntouched(at, "wal-transaction", expectedRows(at.path));
  const { walBackfilled, walFrame } = part.position as { walBackfilled: number; walFrame: number };
  assert.ok(walBackfilled > 0 && walBackfilled < walFrame, `${walBackfilled} of ${walFrame} frames`);

  await old.run("COMMIT");
  await client.run("PRAGMA wal_checkpoint(PASSIVE)");
  const full = await readUntouched(at, "wal-transaction", expectedRows(at.path));
  assert.equal(full.position["walBackfilled"], full.position["walFrame"]);

  await client.run("UPDATE t SET b = x'01' WHERE a < 100");
  const anew = await readUntouched(at, "wal-transaction", expectedRows(at.path));
  assert.ok((anew.position["walFrame"] as number) < walFrame, "the log was begun anew");
  assert.notEqual(anew.position["walSalt"], full.position["walSalt"]);

  await client.run("PRAGMA wal_checkpoint(TRUNCATE)");
  await readUntouched(at, "wal-transaction", expectedRows(at.path));
});

test("a view keeps its state while clients write, checkpoint and vacuum", async (context) => {
  const at = place(context);
  const client = await startClient(context, at.path);
  await client.run(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; ${create}; ${insertMany(3000)}`);
  for (const checkpointed of [false, true]) {
    if (checkpointed) await client.run("PRAGMA wal_checkpoint(PASSIVE)");
    const expected = expectedRows(at.path);
    const view = await openView(at.path, at.options);
    for (let round = 0; round < 5; round++) {
      await client.run(
        `UPDATE t SET b = randomblob(60); DELETE FROM t WHERE a % 50 = ${round}; ${insertMany(200)}; PRAGMA wal_checkpoint(PASSIVE)`,
      );
      assert.deepEqual(rowsOf(view), expected);
      view.verifyUnchanged();
    }
    await client.run("VACUUM; CREATE TABLE more (x); DROP TABLE more");
    assert.deepEqual(rowsOf(view), expected);
    view.verifyUnchanged();
    view.close();
    await client.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }
});

test("recovers the log of a client that died, and of a copied database, without a wal-index", async (context) => {
  const at = place(context);
  const client = await startClient(context, at.path);
  await client.run(`PRAGMA journal_mode = WAL; ${create}; ${insertMany(500)}; BEGIN; DELETE FROM t`);
  const expected = expectedRows(at.path);
  await client.end("kill");
  await readUntouched(at, "wal-transaction", expected);
  rmSync(`${at.path}-shm`);
  const view = await readUntouched(at, "idle-log", expected);
  assert.ok((view.position["walFrame"] as number) > 0);
  writeFileSync(`${at.path}-wal`, "");
  await assert.rejects(readUntouched(at, "idle-file", expected), "without the log the rows are others");
});

test("tells that an idle database was written to, replaced or opened while it was being read", async (context) => {
  const at = place(context);
  runSql(at.path, "PRAGMA journal_mode = WAL", create, insertMany(100));
  const changed = { code: "source-changed" };

  const written = await openView(at.path, at.options);
  runSql(at.path, "UPDATE t SET b = x'00'");
  assert.throws(() => written.verifyUnchanged(), changed);
  written.close();

  const joined = await openView(at.path, at.options);
  const client = await startClient(context, at.path);
  await client.run("UPDATE t SET b = x'02'");
  assert.throws(() => joined.verifyUnchanged(), changed);
  joined.close();
  await client.end();

  const replaced = await openView(at.path, at.options);
  copyFileSync(at.path, `${at.path}.new`);
  rmSync(at.path);
  copyFileSync(`${at.path}.new`, at.path);
  assert.throws(() => replaced.verifyUnchanged(), changed);
  replaced.close();
});

test("looks again when a client comes and goes while the file is being opened", async (context) => {
  const changes = {
    "idle-file": insertMany(5000),
    "copy-under-lock": "PRAGMA journal_mode = DELETE",
  };
  for (const [method, change] of Object.entries(changes)) {
    const at = place(context);
    runSql(at.path, "PRAGMA journal_mode = WAL", create, insertMany(100));
    // A file of this very moment is waited for; this one is half a second ahead, so that opening certainly waits.
    const soon = Date.now() / 1000 + 0.5;
    utimesSync(at.path, soon, soon);
    const opening = openView(at.path, at.options);
    runSql(at.path, change);
    using view = await opening;
    assert.equal(view.method, method);
    assert.deepEqual(rowsOf(view), expectedRows(at.path));
  }
});

test("copies a rollback-journal database under a lock, and lets writers go on at once", async (context) => {
  const at = place(context);
  runSql(at.path, create, insertMany(2000));
  const expected = expectedRows(at.path);
  await readUntouched(at, "copy-under-lock", expected);
  const client = await startClient(context, at.path);
  await client.run("PRAGMA busy_timeout = 0");
  using view = await openView(at.path, at.options);
  await client.run("DELETE FROM t");
  assert.deepEqual(rowsOf(view), expected);
  assert.equal(
    statSync(join(at.options.temporaryFolder, readdirSync(at.options.temporaryFolder)[0])).mode & 0o777,
    0o600,
  );
});

test("refuses to keep writers waiting longer than allowed, unless told to", async (context) => {
  const at = place(context);
  runSql(at.path, create, insertMany(5000, 2000));
  const before = traces(at);
  await assert.rejects(openView(at.path, { ...at.options, copyMsMax: 0 }), (error: unknown) => {
    assert.ok(error instanceof CairnError);
    assert.equal(error.code, "source-would-block");
    assert.match(error.next ?? "", /--allow-block/);
    return true;
  });
  assert.deepEqual(traces(at), before, "the copy is gone");
  runSql(at.path, "UPDATE t SET b = x'00' WHERE a = 1");
  using view = await openView(at.path, { ...at.options, copyMsMax: 0, allowBlock: true });
  assert.equal(rowsOf(view).length, 5000);
});

test("waits for a writer's exclusive lock, and says so when it lasts", async (context) => {
  for (const mode of ["DELETE", "WAL"]) {
    const at = place(context);
    runSql(at.path, `PRAGMA journal_mode = ${mode}`, create, insertMany(10));
    const client = await startClient(context, at.path);
    await client.run(mode === "DELETE" ? "BEGIN EXCLUSIVE" : `PRAGMA locking_mode = EXCLUSIVE; ${insertMany(10)}`);
    // In exclusive mode there is no wal-index, so the log is read as it is.
    if (mode === "WAL") {
      await readUntouched(at, "idle-log", [...scanAllBehind(at)]);
      continue;
    }
    const start = performance.now();
    await assert.rejects(openView(at.path, { ...at.options, lockWaitMsMax: 200 }), { code: "source-busy" });
    assert.ok(performance.now() - start < 2000);
    const opening = openView(at.path, at.options);
    await sleep(100);
    await client.run("COMMIT");
    using view = await opening;
    assert.equal(rowsOf(view).length, 10);
  }
});

/** What a copy of database and log holds, read by SQLite. */
function scanAllBehind(at: Place): unknown[][] {
  const copy = join(at.folder, "behind.db");
  copyFileSync(at.path, copy);
  copyFileSync(`${at.path}-wal`, `${copy}-wal`);
  return expectedRows(copy);
}

test("refuses a database with a hot journal, and leaves both as they are", async (context) => {
  const at = place(context);
  runSql(at.path, create, insertMany(2000, 500));
  const client = await startClient(context, at.path);
  // A small cache makes the transaction write pages, after the journal, before it ends.
  await client.run("PRAGMA cache_size = 5; BEGIN; UPDATE t SET b = randomblob(500)");
  await client.end("kill");
  assert.ok(statSync(`${at.path}-journal`).size > 512);
  const before = traces(at);
  await assert.rejects(openView(at.path, at.options), { code: "sqlite-hot-journal" });
  assert.deepEqual(traces(at), before);
});

test("releases everything on abort", async (context) => {
  const at = place(context);
  runSql(at.path, create, insertMany(10));
  const copying = new AbortController();
  using view = await openView(at.path, { ...at.options, signal: copying.signal });
  copying.abort(new Error("enough"));
  assert.deepEqual(readdirSync(at.options.temporaryFolder), []);
  assert.throws(() => rowsOf(view), /enough/);

  runSql(at.path, "PRAGMA journal_mode = WAL");
  const client = await startClient(context, at.path);
  await client.run(insertMany(10));
  const reading = new AbortController();
  using held = await openView(at.path, { ...at.options, signal: reading.signal });
  assert.equal(held.method, "wal-transaction");
  await client.run(insertMany(10));
  await assertCheckpoint(client, false);
  reading.abort();
  await assertCheckpoint(client, true);
  await assert.rejects(openView(at.path, { ...at.options, signal: AbortSignal.abort(new Error("never")) }), /never/);
});

/** Whether a checkpoint that must not be held up by any reader goes through. */
async function assertCheckpoint(client: Client, free: boolean): Promise<void> {
  client.begin("db.exec('PRAGMA busy_timeout = 0'); return db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get().busy");
  assert.equal(await client.stop(), free ? 0 : 1);
}

test("two views of one database do not take each other's locks away", async (context) => {
  const at = place(context);
  const client = await startClient(context, at.path);
  await client.run(`PRAGMA journal_mode = WAL; ${create}; ${insertMany(100)}`);
  const first = await openView(at.path, at.options);
  const second = await openView(at.path, at.options);
  first.close();
  await client.run(insertMany(100));
  await assertCheckpoint(client, false);
  assert.equal(rowsOf(second).length, 100);
  second.verifyUnchanged();
  second.close();
  await assertCheckpoint(client, true);
});

test("takes away the side files of a read-only connection that was the last", (context) => {
  const at = place(context);
  runSql(at.path, "PRAGMA journal_mode = WAL", create, insertMany(10));
  const before = traces(at);
  const connection = openReadConnection(at.path, 0);
  connection.rows("SELECT * FROM t");
  connection.close();
  assert.notDeepEqual(traces(at), before);
  openAndCloseLast(at.path);
  assert.deepEqual(traces(at), before);
});

test("says what is wrong with a path", async (context) => {
  const at = place(context);
  await assert.rejects(openView(at.path, at.options), { code: "source-not-found" });
  await assert.rejects(openView(join(at.path, ".."), at.options), { code: /source-unreadable|sqlite-not-a-database/ });
  if (process.getuid?.() !== 0) {
    runSql(at.path, create);
    chmodSync(at.path, 0);
    await assert.rejects(openView(at.path, at.options), { code: "source-unreadable" });
  }
});
