import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../../src/model/batch.ts";
import { mountVolume, runJuicefs } from "../volumes/juicefs-cli.ts";
import { makeOddVolume } from "../volumes/odd-volume.ts";
import { oneValue } from "./sqlite-contents.ts";
import type { Records } from "./sqlite-copy.ts";
import { portOptions, readVolume, testFolder, writeVolume } from "./sqlite-copy.ts";

const folder = testFolder("sqlite-mount");
after(() => rmSync(folder, { recursive: true }));
const options = portOptions(folder);

function withBucket(records: Records, bucket: string): Records {
  const changed = records[0].map((row): Row => {
    const isBucket = Buffer.from(row[0] as Uint8Array).toString() === "Bucket";
    return isBucket ? [row[0], row[1], Buffer.from(bucket)] : row;
  });
  return records.map((rows, table) => (table === 0 ? changed : rows));
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 60_000; !isSo(); await sleep(250)) {
    assert.ok(performance.now() < deadline, `${what} did not happen in a minute`);
  }
}

test("the first client of a restored copy frees the files that were deleted while open, and works on", async () => {
  const odd = await makeOddVolume({ dir: join(folder, "odd"), end: "crashed" });
  const volume = await readVolume(odd.metaUrl, options);
  const held = volume.records[14].map(([, inode]) => inode as bigint);
  assert.notEqual(held.length, 0);

  // A copy of the bucket: clean-up deletes blocks.
  const bucket = `${join(folder, "bucket-copy")}/`;
  cpSync(odd.bucketDir, bucket, { recursive: true });
  const copy = join(folder, "copy.db");
  {
    await using writer = await writeVolume(
      { ...volume, records: withBucket(volume.records, bucket) },
      `sqlite3://${copy}`,
      options,
    );
    await writer.publish();
  }

  const mountpoint = join(folder, "mnt");
  mkdirSync(mountpoint);
  const mounted = await mountVolume(`sqlite3://${copy}`, mountpoint, {
    workFolder: join(folder, "work"),
    heartbeatSeconds: 1,
  });
  try {
    await until(
      "the clean-up of sustained inodes",
      () => Number(oneValue(copy, "SELECT count(*) FROM jfs_sustained")) === 0,
    );
    for (const inode of held) assert.equal(oneValue(copy, `SELECT count(*) FROM jfs_node WHERE inode = ${inode}`), 0);
    // New numbers come after all that were handed out, trash and sessions too.
    const greatest = BigInt(
      Number(oneValue(copy, "SELECT max(inode) FROM jfs_node WHERE inode < 9223372032828243968")),
    );
    writeFileSync(join(mountpoint, "new file"), "new data");
    rmSync(join(mountpoint, "new file"));
    writeFileSync(join(mountpoint, "another"), "new data");
    const inode = BigInt(
      Number(oneValue(copy, "SELECT max(inode) FROM jfs_edge WHERE name = CAST('another' AS BLOB)")),
    );
    assert.ok(inode > greatest);
    assert.ok(readdirSync(mountpoint).includes("another"));
  } finally {
    await mounted.unmount();
  }
  await runJuicefs(["fsck", `sqlite3://${copy}`]);
});
