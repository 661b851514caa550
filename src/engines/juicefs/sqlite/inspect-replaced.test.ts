import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, linkSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { CairnError } from "../../../model/errors.ts";
import { prepareReplacement } from "./inspect-replaced.ts";
import { openSyncDatabase, scalar } from "./sync-database.ts";
import { publishInPlaceOf } from "./target-file.ts";

const uuid = "547a2fd6-7fb7-4392-afc5-92ad32c6b918";

function makeDatabase(path: string, journalMode: string, name: string): void {
  const database = openSyncDatabase(path);
  database.exec(
    `PRAGMA journal_mode = ${journalMode}; CREATE TABLE jfs_setting (name TEXT, value BLOB);
     INSERT INTO jfs_setting VALUES ('format', '{"Name":"${name}","UUID":"${uuid}"}')`,
  );
  database.close();
}

function place(context: TestContext, journalMode: string): { folder: string; path: string; temporary: string } {
  const folder = mkdtempSync(join(tmpdir(), "cairn-replaced-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "meta.db");
  const temporary = join(folder, "new.tmp");
  makeDatabase(path, journalMode, "old");
  makeDatabase(temporary, "WAL", "new");
  return { folder, path, temporary };
}

/** What another process gets from a statement, without waiting. */
function elsewhere(path: string, sql: string): string {
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(process.argv[1], { timeout: 0 });
    try { database.exec(process.argv[2]); process.stdout.write("done"); } catch (error) { process.stdout.write(error.message); }`;
  return spawnSync(process.execPath, ["-e", script, path, sql], { encoding: "utf8" }).stdout;
}

for (const journalMode of ["WAL", "DELETE"]) {
  test(`no client reads or writes between the last look and the rename (${journalMode})`, (context) => {
    const { folder, path, temporary } = place(context, journalMode);
    const kept = join(folder, "kept.db");
    prepareReplacement(path, "jfs_", uuid, 0, () => {
      assert.match(elsewhere(path, "SELECT * FROM jfs_setting"), /locked/);
      assert.match(elsewhere(path, "DELETE FROM jfs_setting"), /locked/);
      publishInPlaceOf(temporary, path, kept);
      assert.equal(elsewhere(path, "UPDATE jfs_setting SET name = 'format'"), "done");
    });
    for (const [file, name] of [
      [path, "new"],
      [kept, "old"],
    ] as const) {
      const database = openSyncDatabase(file);
      assert.match(String(scalar(database, "SELECT value FROM jfs_setting")), new RegExp(`"Name":"${name}"`));
      database.close();
    }
    assert.deepEqual(readdirSync(folder).toSorted(), ["kept.db", "meta.db"]);
  });
}

test("the log of a new file's first client is not taken away with the old one's", (context) => {
  const { folder, path, temporary } = place(context, "WAL");
  prepareReplacement(path, "jfs_", uuid, 0, () => {
    linkSync(path, join(folder, "kept.db"));
    rmSync(`${path}-wal`, { force: true });
    renameSync(temporary, path);
    writeFileSync(`${path}-wal`, "of the new file");
  });
  assert.ok(existsSync(`${path}-wal`));
});

test("a log that says something keeps the file from being replaced", (context) => {
  const { folder, path, temporary } = place(context, "WAL");
  writeFileSync(`${path}-wal`, "somebody's");
  assert.throws(
    () => publishInPlaceOf(temporary, path, join(folder, "kept.db")),
    (error: unknown) => error instanceof CairnError && error.code === "target-in-use" && error.exit === "targetRefused",
  );
  assert.deepEqual(readdirSync(folder).toSorted(), ["meta.db", "meta.db-wal", "new.tmp"]);
});
