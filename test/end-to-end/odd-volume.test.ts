import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { compareDumps } from "../judge/compare-dumps.ts";
import { compareMounts } from "../judge/compare-mounts.ts";
import { readDataExtents } from "../judge/data-extents.ts";
import type { VolumeDatabase } from "../judge/data-extents.ts";
import { peerPath } from "../peers/peers.ts";
import type { MountedVolume } from "../volumes/juicefs-cli.ts";
import { mountVolume } from "../volumes/juicefs-cli.ts";
import { copyDatabase, makeOddVolume } from "../volumes/odd-volume.ts";
import type { OddVolume } from "../volumes/odd-volume.ts";
import { assertFsckClean, assertJudged, openBench } from "./bench.ts";
import type { Bench, TakenSnapshot } from "./bench.ts";

/** At least so many entries has the odd volume of full size, with the 10,000 files of one directory. */
const entriesMin = 11_000;

let bench: Bench;
let volume: OddVolume;

before(async () => {
  bench = await openBench("odd-volume");
  volume = await makeOddVolume({ dir: bench.at("odd"), size: "full", end: "mounted" });
  bench.hold(volume);
});

after(() => bench[Symbol.asyncDispose]());

/** A mount of a copy: it shares the original's bucket, so nothing may be cleaned up. */
async function mountCopy(metaUrl: string, name: string): Promise<MountedVolume> {
  const mount = await mountVolume(metaUrl, bench.at(`mnt-${name}`), {
    workFolder: bench.at(`work-${name}`),
    readOnly: true,
    noBackgroundJobs: true,
  });
  bench.hold(mount);
  return mount;
}

/** What only a mount that does not hide it lists in its root; the trash among it is compared on its own. */
const internalNames = new Set([".accesslog", ".config", ".stats", ".trash"]);

async function assertSameTree(left: string, right: string, databases: readonly VolumeDatabase[]): Promise<void> {
  const dataExtents = readDataExtents(databases);
  const ignore = (path: string, what: string): boolean => what === "listing" && internalNames.has(path);
  const tree = await compareMounts(left, right, { dataExtents, ignore, hidden: [] });
  assert.deepEqual(tree.differences, []);
  assert.ok(tree.entries > entriesMin, `${tree.entries} entries`);
  const trash = await compareMounts(join(left, ".trash"), join(right, ".trash"), { dataExtents, hidden: [] });
  assert.deepEqual(trash.differences, []);
  assert.ok(trash.entries > 10, `${trash.entries} entries of the trash`);
}

async function assertSameDump(left: string, right: string): Promise<void> {
  const { difference, lines } = await compareDumps(peerPath("juicefs-1.4"), left, right);
  assert.equal(difference, "");
  assert.ok(lines > entriesMin, `${lines} lines`);
}

/** Every table of the model has records in the odd volume, so none is restored untested. */
function assertComplete({ snapshot }: TakenSnapshot, except: readonly string[] = []): void {
  const kept = snapshot.manifest.tables.map(({ name }) => name);
  const empty = snapshot.kind.tables.map(({ name }) => name).filter((name) => !kept.includes(name));
  assert.deepEqual(empty, except);
}

test("a mounted volume, with deleted files open and locks held, comes back the same", async () => {
  const taken = await bench.backUp(volume.metaUrl);
  const original = bench.at("original.db");
  await copyDatabase(volume.databasePath, original);
  assertComplete(taken);
  assert.equal(taken.snapshot.manifest.consistency.level, "snapshot");
  await bench.verify(taken.snapshot);

  const restored = bench.at("restored.db");
  const url = `sqlite3://${restored}`;
  const result = await bench.restore(taken.snapshot, url);
  assert.equal(result.restoredRoot, taken.root);
  assertJudged(restored, { referenceDatabase: volume.databasePath });
  assert.equal((await bench.backUp(url)).root, taken.root, "a backup of the restored volume");

  const mount = await mountCopy(url, "restored");
  await assertSameTree(volume.mountpoint, mount.mountpoint, [{ path: original }, { path: restored }]);
  await mount.unmount();
  await assertSameDump(`sqlite3://${original}`, url);
  await assertFsckClean(url);
});

test("after the unmount it comes back the same, into tables with a prefix", async () => {
  await volume.unmount();
  const taken = await bench.backUp(volume.metaUrl);
  assertComplete(taken, ["sustained"]);
  await bench.verify(taken.snapshot);

  const restored = bench.at("prefixed.db");
  const url = `sqlite3://${restored}?table_prefix=second`;
  const result = await bench.restore(taken.snapshot, url);
  assert.equal(result.restoredRoot, taken.root);
  assertJudged(restored, { tablePrefix: "second", referenceDatabase: volume.databasePath });
  assert.equal((await bench.backUp(url)).root, taken.root, "a backup of the restored volume");

  const original = bench.at("original-unmounted.db");
  await copyDatabase(volume.databasePath, original);
  const [left, right] = [await mountCopy(`sqlite3://${original}`, "left"), await mountCopy(url, "right")];
  const databases = [{ path: original }, { path: restored, tablePrefix: "second" }];
  await assertSameTree(left.mountpoint, right.mountpoint, databases);
  await Promise.all([left.unmount(), right.unmount()]);
  await assertSameDump(`sqlite3://${original}`, url);
  await assertFsckClean(url);
});
