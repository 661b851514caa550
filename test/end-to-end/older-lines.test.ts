import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { compareMounts } from "../judge/compare-mounts.ts";
import { readDataExtents } from "../judge/data-extents.ts";
import { mountVolume } from "../volumes/juicefs-cli.ts";
import type { MountedVolume } from "../volumes/juicefs-cli.ts";
import { copyDatabase } from "../volumes/odd-volume.ts";
import { dumpWithOlder, makeOlderVolume, olderVolumeFeatures } from "../volumes/older-volume.ts";
import type { OlderVersion } from "../volumes/older-volume.ts";
import { assertFsckClean, assertJudged, copyBucket, openBench } from "./bench.ts";
import type { Bench } from "./bench.ts";

let bench: Bench;

before(async () => {
  bench = await openBench("older-lines");
});

after(() => bench[Symbol.asyncDispose]());

/**
 * A v1.4.1 client adds to an older schema what it lacks, but not when it mounts read-only, and then nothing can be read
 * (docs/engines/sqlite-older-versions.md). So what has an older schema is mounted writable, without background jobs, on a bucket of its own.
 */
async function mountWritable(metaUrl: string, name: string): Promise<MountedVolume> {
  const mount = await mountVolume(metaUrl, bench.at(`mnt-${name}`), {
    workFolder: bench.at(`work-${name}`),
    noBackgroundJobs: true,
    extra: ["--hide-internal"],
  });
  bench.hold(mount);
  return mount;
}

async function mountReadOnly(metaUrl: string, name: string): Promise<MountedVolume> {
  const mount = await mountVolume(metaUrl, bench.at(`mnt-${name}`), {
    workFolder: bench.at(`work-${name}`),
    readOnly: true,
    noBackgroundJobs: true,
  });
  bench.hold(mount);
  return mount;
}

function setBucket(path: string, bucket: string): void {
  const database = new DatabaseSync(path);
  const { changes } = database.prepare("UPDATE jfs_setting SET value = json_set(value, '$.Bucket', ?)").run(bucket);
  database.close();
  assert.equal(changes, 1);
}

/** What that version's own code dumps, but for the number of the next session, which each opening of the volume takes one of. */
async function dumpLines(version: OlderVersion, metaUrl: string): Promise<string[]> {
  const path = bench.at("dump.json");
  await dumpWithOlder(version, metaUrl, path);
  const lines = readFileSync(path, "latin1").split("\n");
  assert.ok(lines.length > 200, `${lines.length} lines`);
  return lines.filter((line) => !/^\s*"nextSession":/.test(line));
}

for (const version of ["1.2", "1.3"] as const) {
  for (const end of ["crashed", "closed"] as const) {
    test(`a ${end} volume of JuiceFS ${version} comes back in its own line's schema and in the newest`, async (context) => {
      for (const feature of await olderVolumeFeatures(version)) context.diagnostic(feature);
      const name = `${version}-${end}`;
      const volume = await makeOlderVolume({ version, dir: bench.at(`volume-${name}`), files: 100, end });
      const taken = await bench.backUp(volume.metaUrl);
      await bench.verify(taken.snapshot);

      const [same, newer] = [bench.at(`same-${name}.db`), bench.at(`newer-${name}.db`)];
      const [sameUrl, newerUrl] = [`sqlite3://${same}`, `sqlite3://${newer}`];
      assert.equal((await bench.restore(taken.snapshot, sameUrl, { line: version })).restoredRoot, taken.root);
      assert.equal((await bench.restore(taken.snapshot, newerUrl)).restoredRoot, taken.root);
      assertJudged(same, { referenceDatabase: volume.databasePath });
      assertJudged(newer);
      assert.equal((await bench.backUp(sameUrl)).root, taken.root, "a backup of the copy in the older schema");
      assert.equal((await bench.backUp(newerUrl)).root, taken.root, "a backup of the copy in the newest schema");

      const right = await mountReadOnly(newerUrl, `newer-${name}`);
      const original = bench.at(`original-${name}.db`);
      await copyDatabase(volume.databasePath, original);
      setBucket(original, copyBucket(volume.bucketDir, bench.at(`bucket-original-${name}`)));
      const upgraded = bench.at(`upgraded-${name}.db`);
      const set = { Bucket: copyBucket(volume.bucketDir, bench.at(`bucket-upgraded-${name}`)) };
      await bench.restore(taken.snapshot, `sqlite3://${upgraded}`, { line: version, changes: { set } });
      for (const path of [original, upgraded]) {
        const left = await mountWritable(`sqlite3://${path}`, basename(path));
        const { differences, entries } = await compareMounts(left.mountpoint, right.mountpoint, {
          dataExtents: readDataExtents([{ path: volume.databasePath }, { path: newer }]),
        });
        assert.deepEqual(differences, [], path);
        assert.ok(entries > 100, `${entries} entries`);
        await left.unmount();
        assertJudged(path);
      }
      await right.unmount();

      assert.deepEqual(await dumpLines(version, sameUrl), await dumpLines(version, volume.metaUrl));
      await assertFsckClean(newerUrl);
    });
  }
}
