import assert from "node:assert/strict";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { readSlices } from "../judge/slices.ts";
import { mountVolume } from "../volumes/juicefs-cli.ts";
import { makeOddVolume } from "../volumes/odd-volume.ts";
import { assertFsckClean, assertJudged, copyBucket, openBench, until } from "./bench.ts";

interface HeldFile {
  readonly inode: bigint;
  /** Beginnings of the names of its blocks in the bucket: slice ids. */
  readonly sliceIds: readonly bigint[];
}

/** Files that were deleted while a client had them open. */
function heldFiles(path: string): HeldFile[] {
  const database = new DatabaseSync(path, { readOnly: true, readBigInts: true });
  try {
    const chunks = database.prepare("SELECT CAST(slices AS BLOB) AS slices FROM jfs_chunk WHERE inode = ?");
    const sustained = database.prepare("SELECT inode FROM jfs_sustained ORDER BY inode").all();
    return sustained.map(({ inode }) => {
      const held = inode as bigint;
      const slices = chunks.all(held).flatMap((row) => [...readSlices(row["slices"] as Uint8Array)]);
      return { inode: held, sliceIds: slices.map(({ id }) => id).filter((id) => id !== 0n) };
    });
  } finally {
    database.close();
  }
}

function count(path: string, sql: string): number {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    return Number(database.prepare(sql).get()?.["n"]);
  } finally {
    database.close();
  }
}

/** Slice ids that have a block in the bucket. */
function slicesInBucket(bucket: string): Set<bigint> {
  const names = readdirSync(bucket, { recursive: true, encoding: "utf8" });
  return new Set(names.flatMap((name) => /\/(\d+)_\d+_\d+$/.exec(name)?.slice(1).map(BigInt) ?? []));
}

test("the first writable mount of a copy frees what was deleted while open, and works on", async () => {
  await using bench = await openBench("sustained");
  const volume = await makeOddVolume({ dir: bench.at("odd"), end: "crashed" });
  const held = heldFiles(volume.databasePath);
  assert.equal(held.length, 3);
  for (const { sliceIds } of held) assert.notEqual(sliceIds.length, 0);

  const { snapshot, root } = await bench.backUp(volume.metaUrl);
  const bucket = copyBucket(volume.bucketDir, bench.at("bucket-copy"));
  const restored = bench.at("restored.db");
  const url = `sqlite3://${restored}`;
  const result = await bench.restore(snapshot, url, { changes: { set: { Bucket: bucket } } });
  assert.notEqual(result.restoredRoot, root, "the bucket is part of the root");
  assertJudged(restored);
  assert.deepEqual(heldFiles(restored), held);
  const sessions = "SELECT count(*) AS n FROM jfs_session2";
  assert.equal(count(restored, `${sessions} WHERE expire >= unixepoch()`), 0, "every session is over");
  assert.ok(count(restored, `${sessions} WHERE sid IN (SELECT sid FROM jfs_sustained)`) > 0);
  const before = slicesInBucket(bucket);
  for (const { sliceIds } of held) assert.ok(sliceIds.every((id) => before.has(id)));

  const mountOptions = { workFolder: bench.at("work"), heartbeatSeconds: 1 };
  const mount = await mountVolume(url, bench.at("mnt"), mountOptions);
  bench.hold(mount);
  await until(
    "the end of the sustained inodes",
    () => count(restored, "SELECT count(*) AS n FROM jfs_sustained") === 0,
  );
  await until("the freeing of their blocks", () => {
    const left = slicesInBucket(bucket);
    return held.every(({ sliceIds }) => sliceIds.every((id) => !left.has(id)));
  });
  for (const { inode } of held) {
    assert.equal(count(restored, `SELECT count(*) AS n FROM jfs_node WHERE inode = ${inode}`), 0);
    assert.equal(count(restored, `SELECT count(*) AS n FROM jfs_chunk WHERE inode = ${inode}`), 0);
  }

  // New numbers come after all that were handed out.
  const greatest = statSync(join(mount.mountpoint, "locked")).ino;
  writeFileSync(join(mount.mountpoint, "made in the copy"), "new data");
  assert.ok(statSync(join(mount.mountpoint, "made in the copy")).ino > greatest);
  rmSync(join(mount.mountpoint, "made in the copy"));
  await mount.unmount();
  assertJudged(restored);
  await assertFsckClean(url);

  // The original and its bucket saw nothing of it.
  assert.deepEqual(heldFiles(volume.databasePath), held);
  assert.ok(held.every(({ sliceIds }) => sliceIds.every((id) => slicesInBucket(volume.bucketDir).has(id))));
});
