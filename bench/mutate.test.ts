import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { mutateVolume } from "./mutate.ts";
import { benchVolume, copyVolume } from "./volumes.ts";

const files = 2_000;
const aligned = "CASE WHEN type = 1 AND length > 0 THEN (length + 4095) / 4096 * 4096 ELSE 4096 END";

/** What must be 0 in a volume whose counters, statistics and references are right. */
const faults = {
  "usedSpace is the sum over the nodes": `SELECT (SELECT value FROM jfs_counter WHERE name = 'usedSpace')
    - (SELECT sum(${aligned}) FROM jfs_node WHERE inode <> 1 AND inode < 9e18)`,
  "totalInodes is their number": `SELECT (SELECT value FROM jfs_counter WHERE name = 'totalInodes')
    - (SELECT count(*) FROM jfs_node WHERE inode <> 1 AND inode < 9e18)`,
  "nextInode is free": `SELECT count(*) FROM jfs_node WHERE inode < 9e18
    AND inode >= (SELECT value FROM jfs_counter WHERE name = 'nextInode')`,
  "nextChunk is free": `SELECT count(*) FROM jfs_chunk_ref
    WHERE chunkid >= (SELECT value FROM jfs_counter WHERE name = 'nextChunk')`,
  "directory statistics fit the entries": `SELECT count(*) FROM jfs_dir_stats s WHERE
    s.used_inodes <> (SELECT count(*) FROM jfs_edge e WHERE e.parent = s.inode)
    OR (s.data_length, s.used_space) <> (SELECT coalesce(sum(CASE n.type WHEN 1 THEN n.length ELSE 0 END), 0),
      coalesce(sum(${aligned.replaceAll("type", "n.type").replaceAll("length", "n.length")}), 0)
      FROM jfs_edge e JOIN jfs_node n ON n.inode = e.inode WHERE e.parent = s.inode)`,
  "every entry has a node": `SELECT count(*) FROM jfs_edge e LEFT JOIN jfs_node n ON n.inode = e.inode
    WHERE n.inode IS NULL OR n.type <> e.type`,
  "every file with data has chunks": `SELECT count(*) FROM jfs_node n WHERE type = 1 AND length > 0
    AND (SELECT count(*) FROM jfs_chunk c WHERE c.inode = n.inode) <> (length + 67108863) / 67108864`,
};

test("a generated volume and its changed version are consistent, and as much changed as asked for", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const original = join(folder, "original.db");
  const changed = join(folder, "changed.db");
  const volume = await benchVolume(files);
  copyVolume(volume, original);
  copyVolume(volume, changed);
  const summary = mutateVolume(changed, { change: 0.01, add: 30, seed: 1 });
  assert.equal(summary.added, 30);
  assert.ok(Math.abs(summary.changed - files * 0.01) <= 1);

  const database = new DatabaseSync(changed);
  t.after(() => database.close());
  database.exec(`ATTACH '${original}' AS original`);
  for (const schema of ["original", "main"]) {
    for (const [name, query] of Object.entries(faults)) {
      const inSchema = query.replaceAll("jfs_", `${schema}.jfs_`);
      assert.equal(Object.values(database.prepare(inSchema).get() ?? {})[0], 0, `${name} (${schema})`);
    }
  }
  const differing = database
    .prepare(
      `SELECT count(*) AS n FROM main.jfs_node a JOIN original.jfs_node b ON a.inode = b.inode
       WHERE a.type = 1 AND (a.ctime, a.mode, a.mtime) <> (b.ctime, b.mode, b.mtime)`,
    )
    .get();
  assert.equal(differing?.["n"], summary.changed);
});
