/** The test volumes hold what they claim to hold: without this, a volume that lost a feature would test nothing. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { makeOddVolume } from "./odd-volume.ts";
import { makeOlderVolume, olderVolumeFeatures } from "./older-volume.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-volumes-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Rows per table, by the table's name without its prefix. */
function countRows(databasePath: string, prefix: string): Record<string, number> {
  const database = new DatabaseSync(databasePath);
  try {
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'jfs%'").all();
    const counts: Record<string, number> = {};
    for (const table of tables) {
      const name = String(table["name"]);
      counts[name.slice(prefix.length)] = Number(database.prepare(`SELECT count(*) AS n FROM "${name}"`).get()?.["n"]);
    }
    return counts;
  } finally {
    database.close();
  }
}

function emptyTables(counts: Record<string, number>): string[] {
  return Object.keys(counts)
    .filter((name) => counts[name] === 0)
    .toSorted();
}

test("the odd volume has rows in every table, whatever its prefix and journal", async () => {
  const volume = await makeOddVolume({ dir: join(folder, "odd"), journal: "rollback", tablePrefix: "odd" });
  const counts = countRows(volume.databasePath, "jfs_odd_");
  assert.deepEqual(emptyTables(counts), ["delegation_token"]);
  const database = new DatabaseSync(volume.databasePath, { readOnly: true });
  assert.equal(database.prepare("PRAGMA journal_mode").get()?.["journal_mode"], "delete");
  const pending = database.prepare("SELECT count(*) AS n FROM jfs_odd_chunk_ref WHERE refs = 0").get()?.["n"];
  assert.ok(Number(pending) > 0, "some slices wait for their deletion");
  const types = database.prepare("SELECT DISTINCT type FROM jfs_odd_node ORDER BY type").all();
  assert.deepEqual(
    types.map((row) => row["type"]),
    [1, 2, 3, 4, 5, 6, 7],
  );
  const marked = database.prepare("SELECT count(*) AS n FROM jfs_odd_node WHERE tier_id = 1").get()?.["n"];
  assert.ok(Number(marked) > 0, "some files are in a storage tier");
  database.close();
  assert.deepEqual(readdirSync(volume.mountpoint), [], "nothing is mounted any more");
});

test("the odd volume ends in order when told so", async () => {
  const volume = await makeOddVolume({ dir: join(folder, "ended"), end: "mounted" });
  assert.ok(readdirSync(volume.mountpoint).includes("names"));
  await volume.unmount();
  await volume.unmount();
  const counts = countRows(volume.databasePath, "jfs_");
  assert.equal(counts["sustained"], 0);
  assert.equal(counts["flock"], 0);
  assert.deepEqual(readdirSync(volume.mountpoint), []);
});

for (const version of ["1.2", "1.3"] as const) {
  test(`the volume of JuiceFS ${version} has the features that its page lists`, async () => {
    const crashed = await makeOlderVolume({ version, dir: join(folder, `crashed-${version}`), files: 60 });
    assert.deepEqual(emptyTables(countRows(crashed.databasePath, "jfs_")), ["detached_node"]);
    const closed = await makeOlderVolume({ version, dir: join(folder, `closed-${version}`), files: 60, end: "closed" });
    const left = emptyTables(countRows(closed.databasePath, "jfs_"));
    assert.deepEqual(left, ["delfile", "detached_node", "flock", "plock", "session2", "sustained"]);
    const page = readFileSync(join(import.meta.dirname, "../../docs/engines/sqlite-older-versions.md"), "utf8");
    const list = page.slice(page.indexOf("<!-- features -->"), page.indexOf("<!-- /features -->"));
    const listed = [...list.matchAll(/^- (.+)$/gm)].map((match) => match[1]);
    assert.deepEqual(listed, await olderVolumeFeatures(version));
  });
}
