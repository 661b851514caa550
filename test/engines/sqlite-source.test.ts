import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { openSqliteSource } from "../../src/engines/juicefs/sqlite/source.ts";
import { CairnError } from "../../src/model/errors.ts";
import type { Batch, Row } from "../../src/model/batch.ts";
import { nodeColumn } from "../../src/model/juicefs.ts";
import { execute, oneValue } from "./sqlite-contents.ts";
import { copyVolume, portOptions, readVolume, testFolder } from "./sqlite-copy.ts";
import { quickstartVolume } from "./sqlite-fixtures.ts";

const folder = testFolder("sqlite-source");
after(() => rmSync(folder, { recursive: true }));
const options = portOptions(folder);

function fails(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CairnError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.equal(error.exit, "sourceUnreachable");
    return true;
  };
}

test("what is no volume is said to be none, by describe and open alike", async () => {
  const both = async (path: string, check: (error: unknown) => boolean): Promise<void> => {
    const source = openSqliteSource(`sqlite3://${path}`);
    await assert.rejects(source.describe(options.signal), check);
    await assert.rejects(source.open(options), check);
  };
  await both(join(folder, "missing.db"), fails("source-not-found", /does not exist/));
  assert.equal(existsSync(join(folder, "missing.db")), false);
  writeFileSync(
    join(folder, "text.db"),
    "not a database, but long enough to hold a header of a hundred bytes".repeat(4),
  );
  await both(join(folder, "text.db"), fails("sqlite-not-a-database", /not an SQLite 3 database/));
  execute(join(folder, "other.db"), "CREATE TABLE invoices (id INTEGER); CREATE TABLE jfs_two_setting (name TEXT)");
  await both(join(folder, "other.db"), fails("not-a-volume", /no table jfs_setting/));
  const unformatted = quickstartVolume(folder);
  execute(unformatted, "DELETE FROM jfs_setting");
  await both(unformatted, fails("not-formatted", /no setting/));
});

test("tables and columns that we do not know are refused by name", async () => {
  for (const [sql, message] of [
    ["CREATE TABLE jfs_brand_new (id INTEGER)", /table jfs_brand_new/],
    ["ALTER TABLE jfs_node ADD COLUMN birth INTEGER", /column birth of table jfs_node/],
    ["INSERT INTO jfs_setting VALUES ('second', '{}')", /row "second"/],
  ] as const) {
    const path = quickstartVolume(folder);
    execute(path, sql);
    await assert.rejects(readVolume(`sqlite3://${path}`, options), fails("unknown-schema", message));
  }
});

test("other tables, and volumes with a prefix of their own, may stand beside", async () => {
  const path = quickstartVolume(folder);
  const before = await readVolume(`sqlite3://${path}`, options);
  execute(
    path,
    "CREATE TABLE invoices (id INTEGER); CREATE TABLE jfs_two_setting (name TEXT, value TEXT); CREATE TABLE jfs_two_other (x); CREATE VIEW jfs_view AS SELECT 1",
  );
  assert.deepEqual((await readVolume(`sqlite3://${path}`, options)).records, before.records);
});

test("describe tells what is there, without reading it all", async () => {
  const path = quickstartVolume(folder);
  const description = await openSqliteSource(`sqlite3://${path}`).describe(options.signal);
  const nodes = Number(oneValue(path, "SELECT count(*) FROM jfs_node"));
  assert.equal(description.kind, "juicefs");
  assert.equal(description.engine, "SQLite");
  assert.match(description.engineVersion, /^3\.\d+\.\d+$/);
  assert.match(description.system, /^JuiceFS .*1\.4/);
  assert.match(description.volumeId, /^[0-9a-f-]{36}$/);
  assert.ok(
    Math.abs(description.estimates["node"] - nodes) < nodes / 4,
    `${description.estimates["node"]} of ${nodes}`,
  );
  assert.equal(description.consistency.level, "snapshot");
});

test("describe reads a database with a rollback journal in place, and lets go of it", async () => {
  const path = quickstartVolume(folder);
  execute(path, "PRAGMA journal_mode = DELETE");
  const description = await openSqliteSource(`sqlite3://${path}`).describe(options.signal);
  assert.equal(description.facts["journal"], "rollback journal");
  execute(path, "UPDATE jfs_counter SET value = value + 1 WHERE name = 'nextSession'");
});

test("a signal ends a read, wherever it is", async () => {
  const path = quickstartVolume(folder);
  const abort = new AbortController();
  await using view = await openSqliteSource(`sqlite3://${path}`).open({ ...options, signal: abort.signal });
  const batches = view.batches()[Symbol.asyncIterator]();
  assert.equal((await batches.next()).done, false);
  abort.abort(new Error("enough"));
  await assert.rejects(async () => {
    for (let batch = await batches.next(); batch.done !== true; batch = await batches.next());
  }, /enough/);
});

test("a copy of the database goes with the view, however that ends", async () => {
  const path = quickstartVolume(folder);
  execute(path, "PRAGMA journal_mode = DELETE");
  const source = openSqliteSource(`sqlite3://${path}`);
  {
    await using view = await source.open(options);
    assert.equal(readdirSync(options.temporaryFolder, { recursive: true }).length, 2);
    assert.notEqual(view.volumeId, "");
  }
  assert.deepEqual(readdirSync(options.temporaryFolder), []);
  const abort = new AbortController();
  {
    await using view = await source.open({ ...options, signal: abort.signal });
    abort.abort(new Error("enough"));
    await assert.rejects(view.summary(), /enough/);
  }
  assert.deepEqual(readdirSync(options.temporaryFolder), []);
});

test("a column in which every record has the default is left out", async () => {
  const path = quickstartVolume(folder);
  execute(path, "UPDATE jfs_node SET rdev = NULL, tier_id = 0");
  await using view = await openSqliteSource(`sqlite3://${path}`).open(options);
  const nodes: Batch[] = [];
  for await (const batch of view.batches()) if (batch.table === 2 && batch.count > 0) nodes.push(batch);
  assert.ok(
    nodes.every(
      (batch) => batch.columns[nodeColumn.rdev] === undefined && batch.columns[nodeColumn.tier] === undefined,
    ),
  );
  assert.ok(nodes.every((batch) => batch.columns[nodeColumn.inode] !== undefined));
});

/**
 * Schemas of v1.0 and v1.1, which cannot be built any more, simulated: the tables and columns that came later are taken out of a real
 * database (reference: JuiceFS `pkg/meta/sql.go` at those tags).
 */
const later: Record<"1.0" | "1.1", string> = {
  "1.1": `DROP TABLE jfs_acl; DROP TABLE jfs_delegation_token; DROP TABLE jfs_change_log; DROP TABLE jfs_user_group_quota;
    ALTER TABLE jfs_node DROP COLUMN access_acl_id; ALTER TABLE jfs_node DROP COLUMN default_acl_id; ALTER TABLE jfs_node DROP COLUMN tier_id`,
  "1.0": `DROP TABLE jfs_dir_stats; DROP TABLE jfs_dir_quota; DROP TABLE jfs_detached_node; DROP INDEX IDX_jfs_chunk_ref_refs;
    ALTER TABLE jfs_node DROP COLUMN atimensec; ALTER TABLE jfs_node DROP COLUMN mtimensec; ALTER TABLE jfs_node DROP COLUMN ctimensec;
    CREATE TABLE jfs_session (sid INTEGER PRIMARY KEY NOT NULL, heartbeat INTEGER NOT NULL, info BLOB NULL);
    INSERT INTO jfs_session VALUES (3, 1600000000, x'7b7d')`,
};

for (const line of ["1.1", "1.0"] as const) {
  test(`a simulated schema of JuiceFS ${line} reads as its defaults`, async () => {
    const path = quickstartVolume(folder);
    const whole = await readVolume(`sqlite3://${path}`, options);
    execute(path, later["1.1"]);
    if (line === "1.0") execute(path, later["1.0"]);
    const { records, summary } = await readVolume(`sqlite3://${path}`, options);
    assert.equal(summary.facts["schemaLine"], line);
    const expected = whole.records.map((rows, table) => {
      if (table === 2) return rows.map((row) => simulatedNode(line, row));
      if (table === 8) return [];
      if (table === 10) return line === "1.0" ? [] : rows.filter(([type]) => type === 0);
      return line === "1.0" && (table === 9 || table === 13) ? [] : rows;
    });
    assert.deepEqual(records, expected);
    assert.equal(summary.omitted["session"], line === "1.0" ? 1 : undefined);

    const copy = join(folder, `simulated-${line}.db`);
    await copyVolume(`sqlite3://${path}`, `sqlite3://${copy}`, options);
    assert.deepEqual((await readVolume(`sqlite3://${copy}`, options)).records, expected);
  });
}

/** A node as the older schema holds it: no ACLs, no tier, and before 1.1 microseconds, cut toward 1970. */
function simulatedNode(line: "1.0" | "1.1", row: Row): Row {
  return row.map((value, column) => {
    if (column >= nodeColumn.accessAcl) return 0;
    const isNanoseconds = [nodeColumn.mtimensec, nodeColumn.ctimensec, nodeColumn.atimensec].some(
      (one) => one === column,
    );
    if (line === "1.1" || !isNanoseconds) return value;
    const cut = (row[column - 1] as bigint) < 0n ? Math.ceil : Math.floor;
    return cut(Number(value) / 1000) * 1000;
  });
}

test("columns that were added later are read as their defaults in rows that never had them", async () => {
  const path = quickstartVolume(folder);
  const expected = await readVolume(`sqlite3://${path}`, options);
  const database = new DatabaseSync(path);
  database.exec("ALTER TABLE jfs_node DROP COLUMN tier_id; ALTER TABLE jfs_node ADD COLUMN `tier_id` INTEGER NULL");
  database.close();
  const { records } = await readVolume(`sqlite3://${path}`, options);
  assert.deepEqual(
    records[2],
    expected.records[2].map((row) => row.map((value, column) => (column === nodeColumn.tier ? 0 : value))),
  );
});

test("ids beyond 2^53 keep every digit", async () => {
  const path = quickstartVolume(folder);
  const id = 9007199254740993n;
  execute(
    path,
    `INSERT INTO jfs_symlink VALUES (${id}, x'61'); INSERT INTO jfs_dir_stats VALUES (${id + 2n}, -${id}, ${id}, -1);
     INSERT INTO jfs_delfile VALUES (${id + 4n}, 9223372036854775807, -${id})`,
  );
  const { records } = await readVolume(`sqlite3://${path}`, options);
  assert.ok(records[6].some(([inode]) => inode === id));
  assert.ok(
    records[9].some(
      ([inode, length, space, inodes]) => inode === id + 2n && length === -id && space === id && inodes === -1n,
    ),
  );
  assert.ok(
    records[11].some(([inode, length, expire]) => inode === id + 4n && length === 2n ** 63n - 1n && expire === -id),
  );
  const copy = join(folder, "large-ids.db");
  await copyVolume(`sqlite3://${path}`, `sqlite3://${copy}`, options);
  assert.deepEqual((await readVolume(`sqlite3://${copy}`, options)).records, records);
});
