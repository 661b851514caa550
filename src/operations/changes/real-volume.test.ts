import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { systemClock } from "../../std/clock.ts";
import { juicefs } from "../../model/juicefs.ts";
import { openSqliteSource } from "../../engines/juicefs/sqlite/source.ts";
import { openSqliteTarget } from "../../engines/juicefs/sqlite/target.ts";
import { initRepository } from "../../repository/repository.ts";
import { openSnapshot } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { MemoryStore } from "../../repository/stores/memory.ts";
import { errorsOf } from "../../../test/judge/finding.ts";
import type { Finding } from "../../../test/judge/finding.ts";
import { judgeSqliteVolume } from "../../../test/judge/judge-sqlite.ts";
import { backup } from "../backup.ts";
import { restoreHazards } from "../hazards.ts";
import { restore } from "../restore.ts";
import type { RestoreResult } from "../restore.ts";
import { planChanges } from "./plan-changes.ts";
import type { WantedChanges } from "./plan-changes.ts";

const shipped = join(import.meta.dirname, "../../../quickstart/monday.db.zst");
const progress = { report: () => undefined, warn: () => undefined };
const { signal } = new AbortController();
const memoryBytes = 64 << 20;
let folder = "";

before(() => {
  folder = mkdtempSync(join(tmpdir(), "cairn-changes-"));
});
after(() => rmSync(folder, { recursive: true }));

/** A copy of a volume that the real JuiceFS made, damaged by SQL, and backed up. */
async function damaged(name: string, sql: string): Promise<Snapshot> {
  const path = join(folder, `${name}.db`);
  writeFileSync(path, zstdDecompressSync(readFileSync(shipped)));
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
  const repository = await initRepository(new MemoryStore());
  const { manifest } = await backup({
    repository,
    source: openSqliteSource(`sqlite3://${path}`),
    note: "",
    tags: {},
    keepSecrets: false,
    memoryBytes,
    temporaryFolder: folder,
    progress,
    signal,
    clock: systemClock,
    tool: { name: "cairn", version: "test" },
  });
  return openSnapshot(repository, manifest, [juicefs]);
}

async function restored(
  snapshot: Snapshot,
  name: string,
  wanted: Partial<WantedChanges>,
): Promise<{ path: string; result: RestoreResult; findings: Finding[] }> {
  const path = join(folder, `${name}-restored.db`);
  const shared = { memoryBytes, temporaryFolder: folder, progress, signal };
  const changes = await planChanges(snapshot, { repair: [], set: {}, ...wanted }, shared);
  const target = openSqliteTarget(`sqlite3://${path}`);
  const result = await restore({ snapshot, target, changes, secrets: {}, ...shared });
  return { path, result, findings: judgeSqliteVolume(path) };
}

function valueOf(path: string, sql: string): bigint {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    return Object.values(statement.get() ?? {})[0] as bigint;
  } finally {
    database.close();
  }
}

const damage = `
  UPDATE jfs_counter SET value = 900 WHERE name = 'nextInode';
  UPDATE jfs_counter SET value = 5 WHERE name = 'nextChunk';
  UPDATE jfs_counter SET value = 0 WHERE name = 'nextTrash';
  UPDATE jfs_counter SET value = 123 WHERE name IN ('usedSpace', 'totalInodes');
  UPDATE jfs_node SET nlink = nlink + 3 WHERE inode IN (SELECT inode FROM jfs_node WHERE inode < 3000 AND inode % 7 = 0);
  DELETE FROM jfs_dir_stats WHERE inode % 3 = 0;
  UPDATE jfs_dir_stats SET used_inodes = -4 WHERE inode % 5 = 0;
  INSERT INTO jfs_dir_stats (inode, data_length, used_space, used_inodes) VALUES (999999, 1, 4096, 1);
  UPDATE jfs_dir_quota SET used_space = 0;
  INSERT INTO jfs_delfile (inode, length, expire) VALUES (77777, 10, 1700000000);`;

test("a damaged volume is what JuiceFS would have made of it after all repairs", async () => {
  const snapshot = await damaged("all", damage);
  const codes = (await restoreHazards(snapshot, { repair: [] })).map(({ code }) => code);
  for (const code of ["next-inode-too-low", "next-chunk-too-low", "next-trash-too-low", "usage-lags"])
    assert.ok(codes.includes(code), code);
  assert.deepEqual(await restoreHazards(snapshot, { repair: ["counters", "usage"] }), []);

  const asItIs = await restored(snapshot, "as-it-is", {});
  assert.equal(asItIs.result.restoredRoot, snapshot.manifest.root);
  assert.ok(errorsOf(asItIs.findings).length > 100, "the damage is restored as it was");

  const { path, result, findings } = await restored(snapshot, "all", { repair: ["counters", "usage", "nlink"] });
  assert.notEqual(result.restoredRoot, result.root);
  assert.deepEqual(
    [...new Set(result.changes.map(({ name }) => name))],
    ["repair-counters", "repair-usage", "repair-nlink"],
  );
  for (const { description, records } of result.changes) assert.ok(records > 0, description);
  const usual = ["slice-ref-pending", "chunk-beyond-length", "sustained-session"];
  assert.deepEqual(
    findings.filter(({ code }) => !usual.includes(code)),
    [],
  );
  // The statistics of a directory that never was refer to an inode, too.
  assert.equal(valueOf(path, "SELECT value FROM jfs_counter WHERE name = 'nextInode'"), 1_000_000n);
});

test("repairing what was repaired finds nothing", async () => {
  const snapshot = await damaged("twice", damage);
  const { path } = await restored(snapshot, "twice", { repair: ["counters", "usage", "nlink"] });
  const again = await damaged(
    "again",
    `ATTACH '${path}' AS repaired;
    DELETE FROM jfs_counter; INSERT INTO jfs_counter SELECT * FROM repaired.jfs_counter;
    DELETE FROM jfs_node; INSERT INTO jfs_node SELECT * FROM repaired.jfs_node;
    DELETE FROM jfs_dir_stats; INSERT INTO jfs_dir_stats SELECT * FROM repaired.jfs_dir_stats;
    DELETE FROM jfs_dir_quota; INSERT INTO jfs_dir_quota SELECT * FROM repaired.jfs_dir_quota;
    DELETE FROM jfs_user_group_quota; INSERT INTO jfs_user_group_quota SELECT * FROM repaired.jfs_user_group_quota;
    INSERT INTO jfs_delfile (inode, length, expire) VALUES (77777, 10, 1700000000);`,
  );
  const shared = { memoryBytes, temporaryFolder: folder, progress, signal };
  assert.deepEqual(await planChanges(again, { repair: ["counters", "usage", "nlink"], set: {} }, shared), []);
});

test("a moved and advanced copy keeps everything else", async () => {
  const snapshot = await damaged("moved", "");
  const next = valueOf(join(folder, "moved.db"), "SELECT value FROM jfs_counter WHERE name = 'nextInode'");
  const { path, result, findings } = await restored(snapshot, "moved", {
    advanceIds: 1_000_000,
    set: { Bucket: "/elsewhere", AccessKey: "key", StorageClass: "STANDARD_IA" },
  });
  assert.deepEqual(errorsOf(findings), []);
  assert.deepEqual(result.changes.map(({ name }) => name).toSorted(), ["advance-ids", "set"]);
  assert.equal(valueOf(path, "SELECT value FROM jfs_counter WHERE name = 'nextInode'"), next + 1_000_000n);
  const setting = JSON.parse(String(valueOf(path, "SELECT value FROM jfs_setting"))) as Record<string, unknown>;
  assert.equal(setting["Bucket"], "/elsewhere/");
  assert.equal(setting["AccessKey"], "key");
  assert.deepEqual((setting["Tiers"] as Record<string, unknown>)["0"], { ID: 0, StorageClass: "STANDARD_IA", Tag: "" });
});
