import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { openSqliteTarget } from "../../src/engines/juicefs/sqlite/target.ts";
import { batchFromRows } from "../../src/model/batch.ts";
import { CairnError } from "../../src/model/errors.ts";
import { juicefs, nodeColumn } from "../../src/model/juicefs.ts";
import { contentsOf, execute, oneValue, settingOf } from "./sqlite-contents.ts";
import type { ReadVolume, WriteOptions } from "./sqlite-copy.ts";
import { copyVolume, planOf, portOptions, readVolume, testFolder, writeVolume } from "./sqlite-copy.ts";
import { quickstartVolume } from "./sqlite-fixtures.ts";

const folder = testFolder("sqlite-target");
after(() => rmSync(folder, { recursive: true }));
const options = portOptions(folder);
let original: string;
let volume: ReadVolume;

before(async () => {
  original = quickstartVolume(folder);
  volume = await readVolume(`sqlite3://${original}`, options);
});

function refused(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CairnError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.exit, "targetRefused");
    assert.ok(error.unharmed !== undefined && error.next !== undefined);
    return true;
  };
}

/** A folder of its own for one test, so that nothing else is in it. */
function place(name: string): { dir: string; path: string; url: string } {
  const dir = join(folder, name);
  mkdirSync(dir);
  const path = join(dir, "meta.db");
  return { dir, path, url: `sqlite3://${path}` };
}

async function tryWrite(url: string, more: WriteOptions = {}): Promise<void> {
  await using writer = await writeVolume(volume, url, options, more);
  await writer.publish();
}

test("what is there is never touched: files, left-overs, missing folders", async () => {
  const { path, url, dir } = place("taken");
  writeFileSync(path, "mine");
  await assert.rejects(tryWrite(url), refused("target-not-empty"));
  assert.equal(readFileSync(path, "utf8"), "mine");
  rmSync(path);
  for (const suffix of ["-wal", "-journal"]) {
    writeFileSync(path + suffix, "left over");
    await assert.rejects(tryWrite(url), refused("target-not-empty"));
    rmSync(path + suffix);
  }
  mkdirSync(path);
  await assert.rejects(tryWrite(url), refused("target-not-empty"));
  rmSync(path, { recursive: true });
  await assert.rejects(tryWrite(`sqlite3://${dir}/not/there.db`), refused("target-no-folder"));
  assert.deepEqual(readdirSync(dir), []);
});

test("an empty file may become the volume", async () => {
  const { path, url, dir } = place("empty");
  writeFileSync(path, "");
  await tryWrite(url);
  assert.deepEqual(contentsOf(path), contentsOf(original));
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.includes("tmp")),
    [],
  );
});

test("nothing is there before it is published, and nothing after it is given up", async () => {
  const { path, url, dir } = place("given-up");
  {
    await using writer = await writeVolume(volume, url, options);
    await using view = await writer.readBack();
    assert.equal(view.volumeId, volume.volumeId);
    assert.equal(existsSync(path), false);
    // What is there is no volume to any client: it has no setting.
    const temporary = join(dir, readdirSync(dir).find((name) => name.endsWith(".tmp")) ?? "");
    assert.equal(oneValue(temporary, "SELECT count(*) FROM jfs_setting"), 0);
  }
  assert.deepEqual(readdirSync(dir), []);
});

test("an aborted restore leaves nothing", async () => {
  const { url, dir } = place("aborted");
  const abort = new AbortController();
  const target = openSqliteTarget(url);
  const writer = await target.begin(planOf(volume, {}), { ...options, signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(writer.finish(), /enough/);
  await writer[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(dir), []);
});

test("a file that appears meanwhile is not overwritten", async () => {
  const { path, url, dir } = place("meanwhile");
  {
    await using writer = await writeVolume(volume, url, options);
    writeFileSync(path, "somebody was faster");
    await assert.rejects(writer.publish(), refused("target-not-empty"));
  }
  assert.equal(readFileSync(path, "utf8"), "somebody was faster");
  assert.deepEqual(readdirSync(dir), ["meta.db"]);
});

test("a published file is one whole database, without a log beside it", async () => {
  const { path, url, dir } = place("whole");
  await tryWrite(url);
  assert.deepEqual(readdirSync(dir), ["meta.db"]);
  assert.equal(statSync(path).nlink, 1);
  assert.equal(settingOf(path), settingOf(original));
});

test("a volume is replaced only by its own kind, and the old file is kept", async () => {
  const { path, url, dir } = place("replaced");
  await tryWrite(url);
  execute(path, "DELETE FROM jfs_node WHERE inode > 100; DELETE FROM jfs_session2");
  const broken = contentsOf(path);
  await assert.rejects(tryWrite(url), refused("target-not-empty"));
  await assert.rejects(
    tryWrite(url, { replace: "00000000-0000-0000-0000-000000000000" }),
    refused("target-other-volume"),
  );

  await tryWrite(url, { replace: volume.volumeId });
  assert.deepEqual(contentsOf(path), contentsOf(original));
  const kept = readdirSync(dir).filter((name) => name.startsWith("meta.db.replaced-"));
  assert.equal(kept.length, 1);
  assert.deepEqual(contentsOf(join(dir, kept[0])), broken);
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.includes("tmp")),
    [],
  );
});

test("behind a symbolic link the file is kept and replaced, not the link", async () => {
  const { path, url, dir } = place("linked");
  await tryWrite(url);
  execute(path, "DELETE FROM jfs_node WHERE inode > 100; DELETE FROM jfs_session2");
  const broken = contentsOf(path);
  const links = place("links");
  symlinkSync(path, links.path);
  await assert.rejects(tryWrite(links.url), refused("target-not-empty"));
  await tryWrite(links.url, { replace: volume.volumeId });
  assert.ok(lstatSync(links.path).isSymbolicLink());
  assert.deepEqual(readdirSync(links.dir), ["meta.db"]);
  assert.deepEqual(contentsOf(path), contentsOf(original));
  const kept = readdirSync(dir).filter((name) => name.startsWith("meta.db.replaced-"));
  assert.equal(kept.length, 1);
  assert.ok(lstatSync(join(dir, kept[0])).isFile());
  assert.deepEqual(contentsOf(join(dir, kept[0])), broken);
});

test("a volume with a live session, or open in a process, is not replaced", async () => {
  const { path, url } = place("in-use");
  await tryWrite(url);
  const info = `'{"HostName":"node-7","MountPoint":"/mnt/data"}'`;
  execute(path, `INSERT INTO jfs_session2 VALUES (99, unixepoch() + 60, CAST(${info} AS BLOB))`);
  await assert.rejects(tryWrite(url, { replace: volume.volumeId }), (error: unknown) => {
    assert.match(String(error), /number 99 \(node-7, \/mnt\/data\)/);
    return refused("target-in-use")(error);
  });
  execute(
    path,
    "DELETE FROM jfs_session2; CREATE TABLE jfs_session (sid INTEGER PRIMARY KEY, heartbeat INTEGER, info BLOB)",
  );
  execute(path, "INSERT INTO jfs_session VALUES (5, unixepoch() - 20, x'00')");
  await assert.rejects(tryWrite(url, { replace: volume.volumeId }), refused("target-in-use"));
  execute(path, "DROP TABLE jfs_session");

  const other = new DatabaseSync(path);
  other.prepare("SELECT count(*) FROM jfs_node").get();
  await assert.rejects(tryWrite(url, { replace: volume.volumeId }), refused("target-in-use"));
  other.close();
  await tryWrite(url, { replace: volume.volumeId });
});

test("a log that a crashed client left is part of what is kept", async () => {
  const { path, url, dir } = place("with-log");
  await tryWrite(url);
  const crashed = join(folder, "crashed.db");
  const writer = new DatabaseSync(path);
  writer.exec(
    "PRAGMA wal_autocheckpoint = 0; DELETE FROM jfs_session2; UPDATE jfs_counter SET value = 4711 WHERE name = 'nextTrash'",
  );
  for (const suffix of ["", "-wal"]) writeFileSync(crashed + suffix, readFileSync(path + suffix));
  writer.close();
  for (const suffix of ["", "-wal"]) writeFileSync(path + suffix, readFileSync(crashed + suffix));
  await tryWrite(url, { replace: volume.volumeId });
  const kept = readdirSync(dir).find((name) => name.startsWith("meta.db.replaced-")) ?? "";
  assert.equal(oneValue(join(dir, kept), "SELECT value FROM jfs_counter WHERE name = 'nextTrash'"), 4711);
  assert.deepEqual(contentsOf(path), contentsOf(original));
});

test("a database that holds more than the volume is not replaced", async () => {
  const { path, url } = place("shared");
  await tryWrite(url);
  execute(path, "DELETE FROM jfs_session2; CREATE TABLE invoices (id INTEGER)");
  await assert.rejects(tryWrite(url, { replace: volume.volumeId }), refused("target-shared"));
  execute(path, "DROP TABLE invoices; CREATE TABLE jfs_two_setting (name TEXT)");
  await assert.rejects(tryWrite(url, { replace: volume.volumeId }), refused("target-shared"));
});

test("what does not fit is refused before anything is written", async () => {
  const { url, dir } = place("does-not-fit");
  const target = openSqliteTarget(url);
  const plan = planOf(volume, {});
  await assert.rejects(
    target.begin({ ...plan, extremes: { ...plan.extremes, "chunk.inode": "9223372036854775808" } }, options),
    refused("does-not-fit"),
  );
  const older = openSqliteTarget(url, { line: "1.3" });
  await assert.rejects(
    older.begin({ ...plan, extremes: { ...plan.extremes, "node.tier": "1" } }, options),
    refused("does-not-fit"),
  );
  await assert.rejects(
    older.begin({ ...plan, extremes: { ...plan.extremes, "quota.type": "2" } }, options),
    refused("does-not-fit"),
  );
  assert.deepEqual(readdirSync(dir), []);
});

test("sessions and counters leave room for what was handed out", async () => {
  const { path, url } = place("sessions");
  const records = volume.records.map((rows, table) =>
    table === 14
      ? [
          [41n, 5n],
          [41n, 6n],
          [77n, 5n],
        ]
      : rows,
  );
  const facts = { ...volume.summary.facts, nextSession: "50", lastCleanupFiles: "1795254433" };
  await using writer = await writeVolume({ ...volume, records }, url, options, { facts });
  await writer.publish();
  assert.equal(oneValue(path, "SELECT value FROM jfs_counter WHERE name = 'nextSession'"), 77);
  assert.equal(oneValue(path, "SELECT value FROM jfs_counter WHERE name = 'lastCleanupFiles'"), 1795254433);
  assert.equal(oneValue(path, "SELECT group_concat(sid) FROM jfs_session2"), "41,77");
  assert.equal(oneValue(path, "SELECT max(expire) < unixepoch() FROM jfs_session2"), 1);
  assert.equal(oneValue(path, "SELECT seq FROM sqlite_sequence WHERE name = 'jfs_sustained'"), 3);
  assert.ok(Number(oneValue(path, "SELECT seq FROM sqlite_sequence WHERE name = 'jfs_acl'")) >= 1);
});

test("a name that no file system holds gives an error, not a crash", async () => {
  const long = join(folder, `${"x".repeat(300)}.db`);
  await assert.rejects(tryWrite(`sqlite3://${long}`), (error: unknown) => error instanceof Error);
  assert.ok(!readdirSync(folder).some((name) => name.startsWith(basename(long).slice(0, 20))));
});

test("copies of copies stay the same", async () => {
  const { path, url } = place("again");
  await copyVolume(`sqlite3://${original}`, url, options);
  const second = place("and-again");
  await copyVolume(url, second.url, options);
  assert.deepEqual(contentsOf(second.path), contentsOf(path));
});

test("two records that are one in SQLite are refused, and nothing stays behind", async () => {
  const { url, dir } = place("twice");
  const records = volume.records.map((rows, table) => (table === 3 ? [...rows, rows[rows.length - 1]] : rows));
  await assert.rejects(writeVolume({ ...volume, records }, url, options), refused("does-not-fit"));
  assert.deepEqual(readdirSync(dir), []);
});

test("a time that SQLite cannot hold is refused, and nothing stays behind", async () => {
  const { url, dir } = place("far-time");
  const past = -(2n ** 62n);
  const records = volume.records.map((rows, table) =>
    table === 2 ? rows.map((row) => row.map((value, column) => (column === nodeColumn.mtime ? past : value))) : rows,
  );
  await assert.rejects(writeVolume({ ...volume, records }, url, options), refused("does-not-fit"));
  assert.deepEqual(readdirSync(dir), []);
});

test("quotas of users are refused by a line that lacks them, even when nobody said that there are some", async () => {
  const { url, dir } = place("older-line");
  const records = volume.records.map((rows, table) => (table === 10 ? [[1, 501n, 1n, 1n, 0n, 0n]] : rows));
  const target = openSqliteTarget(url, { line: "1.2" });
  const writer = await target.begin({ ...planOf({ ...volume, records }, {}), extremes: {} }, options);
  await writer.write(batchFromRows(juicefs.tables[10], 10, records[10]));
  await assert.rejects(writer.finish(), refused("does-not-fit"));
  await writer[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(dir), []);
});
