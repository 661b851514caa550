import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { RedisSourceOptions } from "../../src/engines/juicefs/redis/source.ts";
import { openRedisSource } from "../../src/engines/juicefs/redis/source.ts";
import { startRedisCluster } from "../peers/redis-cluster.ts";
import { startRedis } from "../peers/redis.ts";
import { writeVolumeKeys } from "../support/redis-volume-keys.ts";
import { portOptions, readRecords, testFolder } from "./sqlite-copy.ts";

const folder = testFolder("redis-rights");
after(() => rmSync(folder, { recursive: true }));
const options = portOptions(folder);

/** The lines of docs/engines/redis.md that an administrator is told, as lines of an ACL file for a user and the password `pw`. */
function documentedUsers(): { sync: string; scan: string } {
  const text = readFileSync(join(import.meta.dirname, "../../docs/engines/redis.md"), "utf8");
  const lines = [...text.matchAll(/^ACL SETUSER cairn (.*)$/gm)].map(([, rights]) =>
    rights.replace(">PASSWORD", ">pw"),
  );
  const [sync, scan] = lines;
  assert.equal(lines.length, 2);
  return { sync: `syncing ${sync}`, scan: `scanning ${scan}` };
}

async function tryAs(url: string, choices: RedisSourceOptions = {}): Promise<number> {
  const source = openRedisSource(url, choices);
  const described = await source.describe(options.signal);
  assert.equal(described.volumeName, "keys");
  assert.deepEqual(
    described.problems.filter(({ next }) => next.includes("ACL")),
    [],
  );
  await using view = await source.open(options);
  return (await readRecords(view)).reduce((sum, rows) => sum + rows.length, 0);
}

test("the documented rights suffice for doctor and backup, and the server is as it was", async () => {
  const users = documentedUsers();
  await using server = await startRedis({ users: Object.values(users) });
  await using own = await server.connect(1);
  await writeVolumeKeys(own);
  const before = await own.text("DEBUG", "DIGEST").catch(() => "");
  const synced = await tryAs(server.url(1, { user: "syncing", password: "pw" }));
  const scanned = await tryAs(server.url(1, { user: "scanning", password: "pw" }), { scan: true });
  assert.ok(synced > 100);
  assert.equal(scanned, synced);
  assert.equal(await own.text("DEBUG", "DIGEST").catch(() => ""), before);
});

test("the documented rights suffice in a cluster", async () => {
  const users = documentedUsers();
  const more = "+cluster|info +cluster|slots";
  await using cluster = await startRedisCluster({
    users: [`${users.sync.replace("%R~setting", "%R~{1}setting")} ${more}`, `${users.scan} ${more}`],
  });
  const addresses = cluster.masters.map(({ port }) => `127.0.0.1:${port}`).join(",");
  // The slot of `{1}`: the master that takes its keys.
  for (const master of cluster.masters) {
    await using own = await master.connect();
    await writeVolumeKeys(own, 10, "{1}").catch((error: unknown) => assert.match(String(error), /MOVED/));
  }
  const synced = await tryAs(`redis://syncing:pw@${addresses}/1`);
  const scanned = await tryAs(`redis://scanning:pw@${addresses}/1`, { scan: true });
  assert.ok(synced > 50);
  assert.equal(scanned, synced);
});
