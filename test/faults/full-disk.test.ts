import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { counts } from "../counts.ts";
import { faultyFiles, quickFiles, spreadPoints } from "../support/faulty-files.ts";
import { backUpRows, openSnapshots, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";

const monday = volumeRows(3, 2000);
const tuesday = changedRows(monday, 4, 0.02);

async function unfinishedFiles(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((name) => name.includes(".tmp-"));
}

test("a disk that is full at any write ends the backup by name, and nothing is left of it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cairn-full-"));
  const base = new FolderStore(join(folder, "base"), quickFiles);
  const { root } = (await backUpRows(base, monday)).manifest;
  await base.close();
  const copy = async (name: string): Promise<string> => {
    await cp(join(folder, "base"), join(folder, name), { recursive: true });
    return join(folder, name);
  };
  const count = faultyFiles({ kind: "full" });
  const counting = new FolderStore(await copy("count"), count);
  await backUpRows(counting, tuesday);
  await counting.close();
  for (const point of spreadPoints(count.points(), counts.killPoints)) {
    const path = await copy(`at-${point}`);
    const store = new FolderStore(path, faultyFiles({ kind: "full", at: point }));
    await assert.rejects(backUpRows(store, tuesday), { code: "store-full", unharmed: /unchanged/, next: /free space/ });
    await store.close();
    assert.deepEqual(await unfinishedFiles(path), [], `point ${point}`);
    const after = new FolderStore(path, quickFiles);
    const snapshots = await openSnapshots(after);
    assert.equal(snapshots.length, 1, `point ${point}`);
    assert.equal((await verify(snapshots[0])).root, root);
    await backUpRows(after, tuesday);
    await after.close();
    await rm(path, { recursive: true });
  }
  await rm(folder, { recursive: true });
});

/** Mounts a file system of so many KiB; undefined, with the reason, where this machine does not let us. */
function mountSmall(folder: string, kib: number): string | undefined {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k,mode=700`, "cairn-test", folder], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error).trim();
  }
}

test("a backup onto a small file system that fills up says so, and leaves what was there", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cairn-small-"));
  const mounted = join(folder, "small");
  await mkdir(mounted);
  const reason = mountSmall(mounted, 1024);
  if (reason !== undefined) {
    await rm(folder, { recursive: true });
    context.skip(`cannot mount a tmpfs here: ${reason}`);
    return;
  }
  const path = join(mounted, "repository");
  const store = new FolderStore(path);
  try {
    const { root } = (await backUpRows(store, monday)).manifest;
    await assert.rejects(backUpRows(store, volumeRows(9, 40_000)), { code: "store-full" });
    assert.deepEqual(await unfinishedFiles(path), []);
    await writeFile(join(mounted, "ballast"), new Uint8Array(4 << 20)).catch(() => undefined);
    await assert.rejects(backUpRows(store, tuesday), { code: "store-full" });
    const snapshots = await openSnapshots(store);
    assert.equal(snapshots.length, 1);
    assert.equal((await verify(snapshots[0])).root, root);
    await rm(join(mounted, "ballast"));
    await backUpRows(store, tuesday);
    for (const snapshot of await openSnapshots(store)) await verify(snapshot);
  } finally {
    await store.close();
    execFileSync("umount", [mounted]);
    await rm(folder, { recursive: true });
  }
});
