import assert from "node:assert/strict";
import { test } from "node:test";
import { describeRedis } from "../../src/engines/juicefs/redis/describe.ts";
import { CairnError } from "../../src/model/errors.ts";
import type { SourceDescription } from "../../src/model/ports.ts";
import { redisVersions } from "../peers/redis-programs.ts";
import type { RedisServer } from "../peers/redis.ts";
import { startRedis, startRedisReplica } from "../peers/redis.ts";

const signal = new AbortController().signal;
const setting = JSON.stringify({
  Name: "vol",
  UUID: "0b7e1a4c-0000-4000-8000-000000000001",
  Storage: "file",
  SecretKey: "s3cret",
});

/** A few keys as JuiceFS writes them. */
async function makeVolume(server: RedisServer, database: number): Promise<void> {
  await using own = await server.connect(database);
  const commands = [
    ["SET", "setting", setting],
    ["SET", "totalInodes", 5000],
    ["SET", "usedSpace", 123],
    ["SET", "nextinode", 9000],
    ["HSET", "sliceRef", "k1_1", 1, "k2_1", 1],
    ["ZADD", "delfiles", 1, "1:1"],
    ...Array.from({ length: 12_000 }, (_, at) => ["SET", `i${at}`, "x"]),
  ];
  await Promise.all(commands.map((command) => own.command(...command)));
}

function texts({ problems }: SourceDescription): string {
  return problems.map(({ message, next }) => `${message} -> ${next}`).join("\n");
}

async function counterOf(server: RedisServer, name: string): Promise<number> {
  const info = await server.command("INFO", "everything");
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
}

test("a volume is described from a handful of keys", async () => {
  await using server = await startRedis({ config: ["save 3600 1"] });
  await makeVolume(server, 3);
  const found = await describeRedis(server.url(3), { signal });
  assert.equal(found.volumeName, "vol");
  assert.equal(found.volumeId, "0b7e1a4c-0000-4000-8000-000000000001");
  assert.equal(found.engine, "Redis");
  assert.match(found.engineVersion, /^7\./);
  assert.equal(found.consistency.level, "snapshot");
  assert.deepEqual(found.problems, []);
  assert.equal(found.estimates["node"], 5002);
  assert.equal(found.estimates["slice_ref"], 2);
  assert.equal(found.estimates["deleted_file"], 1);
  assert.equal(found.facts["nextInode"], "9001");
  assert.equal(found.facts["persistence"], "RDB files");
  assert.ok(found.estimatedBytes > 100_000);
  assert.ok(!JSON.stringify(found).includes("s3cret"));
  const scanned = await describeRedis(server.url(3), { signal, scan: true });
  assert.equal(scanned.consistency.level, "none");
});

test("what holds no volume is said to hold none", async () => {
  await using server = await startRedis();
  const at = (database: number): Promise<unknown> => describeRedis(server.url(database), { signal });
  await assert.rejects(at(1), { code: "not-a-volume", next: /database number/ });
  await using own = await server.connect(2);
  await own.command("SET", "i1", "x");
  await assert.rejects(at(2), { code: "not-formatted" });
  await own.command("SET", "setting", "{");
  await assert.rejects(at(2), { code: "setting-invalid" });
});

for (const version of redisVersions) {
  test(`Redis ${version}: missing rights are named with their remedy, without beginning a synchronisation`, async () => {
    // Version 6 has no rights to read alone.
    const keys = version === "6" ? "~setting ~totalInodes" : "%R~setting %R~totalInodes";
    const mayAsk = version === "6" ? "+multi +discard" : "+acl|dryrun";
    const users = [
      `least on >pw resetkeys ${keys} +psync +replconf +get +select +info`,
      "nosync on >pw ~* +get +select +info",
      `asking on >pw ~* +get +select +info ${mayAsk} +replconf`,
      "blind on >pw resetkeys +psync +replconf +select +info",
    ];
    await using server = await startRedis({ version, users, config: ["save 3600 1"] });
    await makeVolume(server, 1);
    const as = (user: string): Promise<SourceDescription> =>
      describeRedis(server.url(1, { user, password: "pw" }), { signal });
    const least = await as("least");
    assert.equal(texts(least), "");
    assert.equal(least.engine, version === "valkey-8" ? "Valkey" : "Redis");
    assert.equal(least.estimates["node"], 5002);
    assert.match(texts(await as("nosync")), /ACL SETUSER nosync \+psync \+replconf/);
    assert.match(texts(await as("asking")), /ACL SETUSER asking \+psync;/);
    await assert.rejects(as("blind"), (error) => {
      assert.ok(error instanceof CairnError);
      assert.equal(error.code, "privilege-missing");
      assert.match(error.next ?? "", /ACL SETUSER blind (?:\+get|~)/);
      return true;
    });
    assert.equal(await counterOf(server, "sync_full"), 0);
    assert.equal(await counterOf(server, "connected_slaves"), 0);
    assert.equal(await counterOf(server, "rdb_bgsave_in_progress"), 0);
  });
}

test("a server without replication is a problem that names the other ways", async () => {
  await using server = await startRedis({ config: ['rename-command PSYNC ""', "save 3600 1"] });
  await makeVolume(server, 0);
  assert.match(texts(await describeRedis(server.url(), { signal })), /does not offer PSYNC.*--from-rdb/);
  assert.deepEqual((await describeRedis(server.url(), { signal, scan: true })).problems, []);
});

test("settings of the server that endanger metadata or backups are told", async () => {
  await using server = await startRedis({ config: ["maxmemory-policy allkeys-lru"] });
  await makeVolume(server, 0);
  await using own = await server.connect(5);
  await Promise.all(Array.from({ length: 110_000 }, (_, at) => own.command("SET", at, "")));
  const found = texts(await describeRedis(server.url(), { signal }));
  assert.match(found, /allkeys-lru.*noeviction/);
  assert.match(found, /writes nothing to disk/);
  assert.match(found, /110000 keys in other databases/);
  await using replica = await startRedisReplica(server);
  const ofReplica = await describeRedis(server.url(), { signal, replica: `127.0.0.1:${replica.port}` });
  assert.equal(ofReplica.facts["role"], "replica");
  assert.doesNotMatch(texts(ofReplica), /nothing to disk/);
});
