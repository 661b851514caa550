/** The three judges of a restored volume, on any engine: the independent checker, a read-only mount in which all is read, the real fsck and dump. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { compareDumps } from "../judge/compare-dumps.ts";
import { compareMounts } from "../judge/compare-mounts.ts";
import { dataExtentsOf } from "../judge/data-extents.ts";
import { readVolume } from "../judge/judge-volume.ts";
import type { RawVolume } from "../judge/raw-volume.ts";
import { peerPath } from "../peers/peers.ts";
import { mountVolume } from "../volumes/juicefs-cli.ts";
import type { MountedVolume } from "../volumes/juicefs-cli.ts";
import { assertFsckClean, assertVolumeJudged } from "./bench.ts";
import type { Bench } from "./bench.ts";

/** A volume that copies are compared with: mounted once, for reading. */
export interface Original {
  readonly url: string;
  readonly volume: RawVolume;
  readonly mount: MountedVolume;
}

/** Mounts a volume whose restored copies are to be judged. Nothing is cleaned up, in it or in its bucket. */
export async function openOriginal(bench: Bench, url: string, name: string): Promise<Original> {
  const volume = await readVolume(url);
  return { url, volume, mount: await mountToRead(bench, url, name) };
}

/** Fails unless all three judges accept a copy: it is in order, and nothing tells it from the original. */
export async function assertAccepted(bench: Bench, original: Original, url: string, name: string): Promise<void> {
  await assertVolumeJudged(url);
  const mount = await mountToRead(bench, url, name);
  try {
    const dataExtents = dataExtentsOf([original.volume, await readVolume(url)]);
    const [left, right] = [original.mount.mountpoint, mount.mountpoint];
    const tree = await compareMounts(left, right, { dataExtents, hidden: [], ignore: isBeyondTime });
    assert.deepEqual(tree.differences, []);
    const trash = await compareMounts(join(left, ".trash"), join(right, ".trash"), { dataExtents, hidden: [] });
    assert.deepEqual(trash.differences, []);
    // What is detached, and what is deleted but open, has no name in the tree.
    assert.ok(tree.entries + trash.entries > original.volume.edges.length / 2, `${tree.entries} and ${trash.entries}`);
  } finally {
    await mount.unmount();
  }
  const { difference, lines } = await compareDumps(peerPath("juicefs-1.4"), original.url, url, {
    ignoreLine: (line) => /"mtime":-\d/.test(line),
  });
  assert.equal(difference, "");
  assert.ok(lines > original.volume.edges.length / 2, `${lines} lines`);
  await assertFsckClean(url);
}

/**
 * Times beyond the year 2262 wrap around in JuiceFS' nanoseconds. What a mount and a dump then show differs between Redis and SQL for the very
 * same time, also in volumes that the real client made; the records are compared by their root.
 */
function isBeyondTime(path: string, what: string): boolean {
  return path === "attributes/time-year-2300" && (what === "mtime" || what === "atime");
}

async function mountToRead(bench: Bench, url: string, name: string): Promise<MountedVolume> {
  const mount = await mountVolume(url, bench.at(`mnt-${name}`), {
    workFolder: bench.at(`work-${name}`),
    readOnly: true,
    noBackgroundJobs: true,
  });
  bench.hold(mount);
  return mount;
}
