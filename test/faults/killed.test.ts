import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { counts } from "../counts.ts";
import { faultyFiles, quickFiles, spreadPoints } from "../support/faulty-files.ts";
import { assertSameRows, backUpRows, openSnapshots, readRows, steppingClock, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";

const monday = volumeRows(3, 2000);
const tuesday = changedRows(monday, 4, 0.02);
const tuesdayMs = Date.UTC(2026, 10, 24, 9);

let folder = "";
let firstRoot = "";
let secondRoot = "";
let killPoints = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cairn-killed-"));
  const base = new FolderStore(join(folder, "base"), quickFiles);
  firstRoot = (await backUpRows(base, monday, {}, { clock: steppingClock() })).manifest.root;
  await base.close();
  const files = faultyFiles({ kind: "killed" });
  const undisturbed = new FolderStore(await copyOfBase("undisturbed"), files);
  secondRoot = (await backUpRows(undisturbed, tuesday, {}, { clock: steppingClock(tuesdayMs) })).manifest.root;
  await undisturbed.close();
  killPoints = files.points();
});

after(() => rm(folder, { recursive: true }));

async function copyOfBase(name: string): Promise<string> {
  const path = join(folder, name);
  await cp(join(folder, "base"), path, { recursive: true });
  return path;
}

async function runKilledAt(path: string, point: number, withPowerCut: boolean): Promise<void> {
  const files = faultyFiles({ kind: "killed", at: point });
  const store = new FolderStore(path, files);
  await assert.rejects(backUpRows(store, tuesday, { seed: point }, { clock: steppingClock(tuesdayMs) }));
  assert.ok(files.hasStruck());
  await store.close();
  if (withPowerCut) await files.cutPower();
}

for (const withPowerCut of [false, true]) {
  const what = withPowerCut ? "power is cut" : "backup is killed";
  test(`a repository is whole when a ${what} at any write, and the next backup goes on from there`, async () => {
    assert.ok(killPoints > 20, `${killPoints} points`);
    let wentOn = 0;
    let published = 0;
    for (const point of spreadPoints(killPoints, counts.killPoints)) {
      const path = await copyOfBase(`at-${point}`);
      await runKilledAt(path, point, withPowerCut);
      const store = new FolderStore(path, quickFiles);
      const found = await openSnapshots(store);
      assert.ok(found.length === 1 || found.length === 2, `point ${point}: ${found.length} snapshots`);
      for (const [at, snapshot] of found.entries()) {
        assert.equal((await verify(snapshot)).root, [firstRoot, secondRoot][at], `point ${point}`);
      }
      published += found.length - 1;
      const again = await backUpRows(store, tuesday, {}, { clock: steppingClock(tuesdayMs + 86_400_000) });
      assert.equal(again.manifest.root, secondRoot, `point ${point}`);
      if (found.length === 1 && again.pagesWritten + again.pagesPatched === 0) wentOn += 1;
      const snapshots = await openSnapshots(store);
      for (const snapshot of snapshots) await verify(snapshot);
      assertSameRows(await readRows(snapshots[0]), monday);
      assertSameRows(await readRows(snapshots[snapshots.length - 1]), tuesday);
      await store.close();
      await rm(path, { recursive: true });
    }
    assert.ok(wentOn > 0, "some backup reuses all pages of the one that was killed before");
    // The flush of the manifest's folder is the last thing that a backup does: before it, power can take the name away again.
    if (withPowerCut) assert.equal(published, 0);
    else assert.ok(published > 0, "some kill comes after the manifest stands");
  });
}

test("a repository that was killed while it was made can be made again", async () => {
  const count = faultyFiles({ kind: "killed" });
  const whole = new FolderStore(join(folder, "new"), count);
  const { root } = (await backUpRows(whole, monday)).manifest;
  await whole.close();
  for (const point of spreadPoints(count.points(), counts.killPoints)) {
    const path = join(folder, `new-${point}`);
    const store = new FolderStore(path, faultyFiles({ kind: "killed", at: point }));
    await assert.rejects(backUpRows(store, monday));
    await store.close();
    const again = new FolderStore(path, quickFiles);
    assert.equal((await backUpRows(again, monday)).manifest.root, root, `point ${point}`);
    for (const snapshot of await openSnapshots(again)) await verify(snapshot);
    await again.close();
    await rm(path, { recursive: true });
  }
});

test("a process that is killed at any moment leaves the repository whole", async () => {
  const path = await copyOfBase("sigkill");
  const worker = join(import.meta.dirname, "backup-worker.ts");
  let killed = 0;
  for (let round = 0; round < (counts.killPoints === "all" ? 30 : 6); round += 1) {
    const child = spawn(process.execPath, [worker, path, String(round)], { stdio: ["ignore", "pipe", "inherit"] });
    const exit = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    await once(child.stdout, "data");
    setTimeout(() => child.kill("SIGKILL"), 20 + round * 40);
    const [, signal] = await exit;
    if (signal === "SIGKILL") killed += 1;
    const store = new FolderStore(path, quickFiles);
    for (const [at, snapshot] of (await openSnapshots(store)).entries()) {
      const { root } = await verify(snapshot);
      if (at === 0) assert.equal(root, firstRoot);
    }
    await store.close();
  }
  assert.ok(killed > 0);
  const store = new FolderStore(path, quickFiles);
  assert.equal((await backUpRows(store, tuesday)).manifest.root, secondRoot);
  for (const snapshot of await openSnapshots(store)) await verify(snapshot);
  await store.close();
});
