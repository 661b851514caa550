import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openRepository } from "../../src/repository/repository.ts";
import { listSnapshots } from "../../src/repository/snapshots.ts";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { quickFiles } from "../support/faulty-files.ts";
import { assertSameRows, backUpRows, openSnapshots, readRows, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";

const monday = volumeRows(5, 3000);

test("two backups of one volume at once both stand, with and without a snapshot before them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cairn-at-once-"));
  for (const withParent of [false, true]) {
    const path = join(folder, String(withParent));
    const stores = [1, 2].map(() => new FolderStore(path, quickFiles));
    await backUpRows(stores[0], withParent ? monday : volumeRows(1, 1), withParent ? {} : { volume: "another-volume" });
    const states = [changedRows(monday, 1, 0.01), changedRows(monday, 2, 0.01)];
    const results = await Promise.all(stores.map((store, at) => backUpRows(store, states[at], { seed: at })));
    const snapshots = await openSnapshots(stores[0]);
    assert.equal(snapshots.length, 3);
    for (const snapshot of snapshots) await verify(snapshot);
    for (const [at, { manifest }] of results.entries()) {
      const own = snapshots.find((snapshot) => snapshot.manifest.id === manifest.id);
      assert.ok(own !== undefined);
      assertSameRows(await readRows(own), states[at]);
    }
    for (const store of stores) await store.close();
  }
  await rm(folder, { recursive: true });
});

test("several volumes share a repository, and none sees another's snapshots", async () => {
  const store = new MemoryStore();
  const volumes = [
    "11111111-aaaa-4444-8888-000000000001",
    "11111111-AAAA-4444-8888-000000000002",
    "Ein Volume/mit Zeichen ..",
    "",
  ];
  for (let round = 0; round < 2; round += 1) {
    for (const [at, volume] of volumes.entries()) await backUpRows(store, volumeRows(at + round, 800), { volume });
  }
  const repository = await openRepository(store);
  assert.equal((await listSnapshots(repository)).length, 8);
  for (const [at, volume] of volumes.entries()) {
    const snapshots = await openSnapshots(store, volume);
    assert.equal(snapshots.length, 2, volume);
    for (const [round, snapshot] of snapshots.entries()) {
      assert.equal(snapshot.manifest.volume, volume);
      await verify(snapshot);
      assertSameRows(await readRows(snapshot), volumeRows(at + round, 800));
    }
    assert.equal(snapshots[1].manifest.parent, snapshots[0].manifest.id);
  }
});
