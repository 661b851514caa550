import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { wipe } from "../../src/engines/juicefs/redis/restore-claim.ts";
import { restoreLockKey, restoreMarkerKey } from "../../src/engines/juicefs/redis/restore-marker.ts";
import { transact } from "../../src/engines/juicefs/redis/transact.ts";
import { CairnError } from "../../src/model/errors.ts";
import type { Target, TargetWriter } from "../../src/model/ports.ts";
import type { Bench, RestoreOptions, TakenSnapshot } from "../end-to-end/bench.ts";
import { assertFsckClean, assertVolumeJudged, openBench } from "../end-to-end/bench.ts";
import type { RedisServer } from "../peers/redis.ts";
import { startRedis, startRedisReplica } from "../peers/redis.ts";
import { startRedisCluster } from "../peers/redis-cluster.ts";
import { startSentinel } from "../peers/redis-sentinel.ts";
import { connectRedis } from "../../src/protocols/redis/client.ts";
import { makeOddVolume } from "../volumes/odd-volume.ts";
import type { OddVolume } from "../volumes/odd-volume.ts";
import { assertSameDump } from "./same-dump.ts";

let bench: Bench;
let volume: OddVolume;
let taken: TakenSnapshot;
let server: RedisServer;

before(async () => {
  bench = await openBench("redis-target");
  volume = await makeOddVolume({ dir: bench.at("odd") });
  bench.hold(volume);
  taken = await bench.backUp(volume.metaUrl);
  // Without an append-only file, the real fsck warns of that.
  server = await startRedis({ config: ["appendonly yes"] });
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

async function assertRestored(url: string): Promise<void> {
  await assertVolumeJudged(url);
  await assertSameDump(volume.metaUrl, url);
}

async function assertRefused(code: string, url: string, options: RestoreOptions = {}): Promise<CairnError> {
  let refusal: unknown;
  await bench.restore(taken.snapshot, url, options).catch((error: unknown) => (refusal = error));
  assert.ok(refusal instanceof CairnError, String(refusal));
  assert.equal(refusal.code, code, refusal.message);
  assert.equal(refusal.exit, "targetRefused");
  assert.ok(refusal.unharmed !== undefined && refusal.next !== undefined);
  return refusal;
}

async function keysOf(redis: RedisServer, database: number): Promise<number> {
  await using connection = await redis.connect(database);
  return Number(await connection.text("DBSIZE"));
}

/** The same target, whose writer is tampered with. */
function tampered(change: (writer: TargetWriter) => Partial<TargetWriter>): (target: Target) => Target {
  return (target) => ({
    engine: target.engine,
    location: target.location,
    async begin(plan, options) {
      const writer = await target.begin(plan, options);
      return { ...writer, ...change(writer), [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() };
    },
  });
}

test("commands: the volume comes back the same, and nothing of the restore stays", async () => {
  const database = await server.newDatabase();
  const result = await bench.restore(taken.snapshot, server.url(database));
  assert.equal(result.restoredRoot, taken.root);
  await assertRestored(server.url(database));
  await assertFsckClean(server.url(database));
  await using connection = await server.connect(database);
  assert.equal(await connection.text("EXISTS", restoreMarkerKey, restoreLockKey), "0");
  // Its own volume is refused like any other.
  await assertRefused("target-not-empty", server.url(database));
});

test("commands over a Unix socket, with a password and TLS", async () => {
  const database = await server.newDatabase();
  await bench.restore(taken.snapshot, server.socketUrl(database));
  await using locked = await startRedis({ password: "open:se%same", tls: true });
  await bench.restore(taken.snapshot, locked.url(3));
  assert.equal(await keysOf(locked, 3), await keysOf(server, database));
});

test("a cluster: every key has the prefix of its slot, and other volumes are left alone", async () => {
  await using cluster = await startRedisCluster();
  for (const database of [0, 5]) {
    assert.equal((await bench.restore(taken.snapshot, cluster.url(database))).restoredRoot, taken.root);
  }
  await assertSameDump(volume.metaUrl, cluster.url(0));
  await assertSameDump(volume.metaUrl, cluster.url(5));
  await assertRefused("target-not-empty", cluster.url(5));
  await assertRefused("target-not-dedicated", cluster.url(6), { choices: { dedicated: true } });
});

test("the fast way: a dedicated server gets the volume through replication", async () => {
  for (const config of [[], ["repl-diskless-load swapdb"], ["appendonly yes"]]) {
    await using own = await startRedis({ password: "open:se%same", config });
    const result = await bench.restore(taken.snapshot, own.url(2), { choices: { dedicated: true } });
    assert.equal(result.restoredRoot, taken.root);
    assert.match(await own.command("INFO", "replication"), /role:master/);
    await assertRestored(own.url(2));
  }
});

test("the fast way refuses a server that is not for this volume alone", async () => {
  const dedicated = { choices: { dedicated: true } };
  await using own = await startRedis();
  await using connection = await own.connect(7);
  await connection.command("SET", "mine", "1");
  await assertRefused("target-not-empty", own.url(2), dedicated);
  assert.equal(await connection.text("GET", "mine"), "1");
  await connection.command("DEL", "mine");
  {
    await using replica = await startRedisReplica(own);
    await assertRefused("target-not-dedicated", own.url(2), dedicated);
    await assertRefused("target-not-master", replica.url(2));
    await using sentinel = await startSentinel(own, [replica]);
    await assertRefused("target-not-dedicated", sentinel.url(2), dedicated);
    // Without the fast way, a server found through sentinels is as good as any.
    assert.equal((await bench.restore(taken.snapshot, sentinel.url(2))).restoredRoot, taken.root);
  }
});

test("an RDB file: a server starts from it", async () => {
  const path = bench.at("dump.rdb");
  const result = await bench.restore(taken.snapshot, path, { choices: { database: 4 } });
  assert.equal(result.restoredRoot, taken.root);
  await using started = await startRedis({ rdbFile: path });
  assert.equal(await keysOf(started, 4), await keysOf(started, 4));
  await assertRestored(started.url(4));
  await assertRefused("target-not-empty", path);
  await assertRefused("target-no-folder", bench.at("not/there.rdb"));
  const leftOver = readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)) && name !== "dump.rdb");
  assert.deepEqual(leftOver, []);
});

test("an RDB file that was not proven never gets its name", async () => {
  const path = bench.at("broken.rdb");
  const stop = tampered(() => ({ readBack: () => Promise.reject(new Error("stopped")) }));
  await assert.rejects(bench.restore(taken.snapshot, path, { wrap: stop }), /stopped/);
  assert.deepEqual(
    readdirSync(bench.folder).filter((name) => name.startsWith("broken")),
    [],
  );
  // Somebody else's file appears meanwhile.
  const late = tampered((writer) => ({
    async finish() {
      writeFileSync(path, "mine");
      await writer.finish();
    },
  }));
  await assertRefused("target-not-empty", path, { wrap: late });
  assert.ok(existsSync(path));
});

test("refused before anything is written: other keys, lines that cannot hold it, --replace", async () => {
  const database = await server.newDatabase();
  const url = server.url(database);
  await using connection = await server.connect(database);
  await connection.command("SET", "mine", "1");
  await assertRefused("target-not-empty", url);
  await assertRefused("target-not-empty", url, { discardUnfinished: true });
  assert.equal(await connection.text("GET", "mine"), "1");
  assert.equal(await keysOf(server, database), 1);
  await connection.command("DEL", "mine");
  await assertRefused("does-not-fit", url, { line: "1.3" });
  await assertRefused("replace-unsupported", url, { replace: "other" });
  assert.equal(await keysOf(server, database), 0);
});

test("a missing right is named with its remedy, and nothing is written", async () => {
  await using guarded = await startRedis({
    users: [
      "nohash on >pw ~* +@all -hset",
      "nokeys on >pw ~i* ~cairn* +@all",
      "nosync on >pw ~* +@all -psync -replconf",
      "nofollow on >pw ~* +@all -replicaof -slaveof",
    ],
  });
  const url = (user: string): string => guarded.url(0, { user, password: "pw" });
  const noHash = await assertRefused("privilege-missing", url("nohash"));
  assert.match(noHash.next ?? "", /ACL SETUSER nohash \+hset/);
  await assertRefused("privilege-missing", url("nokeys"));
  assert.equal(await keysOf(guarded, 0), 0);
  const noFollow = await assertRefused("privilege-missing", url("nofollow"), { choices: { dedicated: true } });
  assert.match(noFollow.next ?? "", /ACL SETUSER nofollow \+replicaof/);
  assert.equal(await keysOf(guarded, 0), 0);
  // Reading back needs no right to replicate: what nobody else writes to can be read key by key.
  assert.equal((await bench.restore(taken.snapshot, url("nosync"))).restoredRoot, taken.root);
});

test("too little memory is refused at the start, and ends a restore cleanly in the middle", async () => {
  await using small = await startRedis({ config: ["maxmemory 1500kb"] });
  await assertRefused("target-no-memory", small.url());
  assert.equal(await keysOf(small, 0), 0);
  await small.command("CONFIG", "SET", "maxmemory", "100mb");
  let batches = 0;
  const tighten = tampered((writer) => ({
    async write(batch) {
      if (++batches === 3) await small.command("CONFIG", "SET", "maxmemory", "1mb");
      await writer.write(batch);
    },
  }));
  await assertRefused("target-no-memory", small.url(), { wrap: tighten });
  assert.equal(await keysOf(small, 0), 0);
});

test("an interrupted restore leaves an empty database", async () => {
  for (const dedicated of [false, true]) {
    await using own = await startRedis();
    const controller = new AbortController();
    const interrupt = tampered((writer) => ({
      async finish() {
        await writer.finish();
        controller.abort(new Error("interrupted"));
      },
    }));
    const options = { wrap: interrupt, signal: controller.signal, choices: { dedicated } };
    await assert.rejects(bench.restore(taken.snapshot, own.url(1), options), /interrupted/);
    assert.equal(await keysOf(own, 1), 0);
    assert.match(await own.command("INFO", "replication"), /role:master/);
  }
});

test("what a killed restore left is refused, and removed when asked for", async () => {
  for (const [way, moment] of [
    ["commands", "finish"],
    ["dedicated", "finish"],
    ["dedicated", "write"],
  ] as const) {
    await using own = await startRedis();
    const url = own.url(1);
    const choices = { dedicated: way === "dedicated" };
    await killedRestore(url, way, moment);
    if (moment === "finish") {
      await assertRefused("target-in-use", url, { choices });
      await assertRefused("target-in-use", url, { choices, discardUnfinished: true });
      await using connection = await own.connect(1);
      assert.ok(Number(await connection.text("DBSIZE")) > 1000);
      assert.equal(await connection.text("EXISTS", "setting"), "0");
      await connection.command("DEL", restoreLockKey);
    } else {
      // It still follows the dead restore.
      assert.match(await own.command("INFO", "replication"), /role:slave/);
      await assertRefused("target-in-use", url, { discardUnfinished: true });
      await own.command("CONFIG", "SET", "replica-read-only", "no");
      await using connection = await own.connect(1);
      await connection.command("DEL", restoreLockKey);
    }
    await assertRefused("target-unfinished", url, { choices });
    const result = await bench.restore(taken.snapshot, url, { choices, discardUnfinished: true });
    assert.equal(result.restoredRoot, taken.root);
    await assertVolumeJudged(url);
  }
});

test("what others wrote beside an unfinished restore is not removed", async () => {
  await using own = await startRedis();
  await killedRestore(own.url(1), "commands", "finish");
  await using connection = await own.connect(1);
  await connection.command("DEL", restoreLockKey);
  await connection.command("SET", "mine", "1");
  await assertRefused("target-not-empty", own.url(1), { discardUnfinished: true });
  assert.equal(await connection.text("GET", "mine"), "1");
});

test("a database that loses its marker is not published", async () => {
  const database = await server.newDatabase();
  const url = server.url(database);
  const lose = tampered((writer) => ({
    async publish() {
      await using connection = await server.connect(database);
      await connection.command("DEL", restoreMarkerKey);
      await writer.publish();
    },
  }));
  await assertRefused("target-lost", url, { wrap: lose });
  await using connection = await server.connect(database);
  assert.equal(await connection.text("EXISTS", "setting"), "0");
});

test("a restore that another has taken over from removes and publishes nothing", async () => {
  await using own = await startRedis();
  await using connection = await own.connect();
  const address = { host: "127.0.0.1", port: own.port };
  await using link = await connectRedis({ address, signal: new AbortController().signal });
  const claim = { prefix: "", location: "redis://here/0", token: "first" };
  const isInUse = (error: unknown): boolean => error instanceof CairnError && error.code === "target-in-use";
  await connection.command("SET", "i1", "x");
  await connection.command("SET", restoreLockKey, "second");
  await assert.rejects(wipe(link, claim), isInUse);
  await connection.command("SET", restoreLockKey, "first");
  await connection.command("SET", "setting", "{}");
  await assert.rejects(wipe(link, claim), isInUse);
  assert.equal(await connection.text("DBSIZE"), "3");
  await connection.command("DEL", "setting");
  // Taken over between the look at the lock and the removal.
  const late = transact(
    link,
    [restoreLockKey],
    () => connection.command("SET", restoreLockKey, "second").then(() => {}),
    [["UNLINK", "i1"]],
  );
  assert.equal(await late, false);
  assert.equal(await connection.text("EXISTS", "i1"), "1");
  await connection.command("DEL", restoreLockKey);
  await wipe(link, claim);
  assert.equal(await connection.text("DBSIZE"), "0");

  const published = tampered((writer) => ({
    async publish() {
      await connection.command("SET", "setting", "{}");
      await writer.publish();
    },
  }));
  await assertRefused("target-lost", own.url(), { wrap: published });
  assert.equal(await connection.text("GET", "setting"), "{}");
  assert.ok((await keysOf(own, 0)) > 1000);
});

test("what others write or remove while the volume is being restored is noticed, and theirs stays", async () => {
  for (const dedicated of [false, true]) {
    await using own = await startRedis();
    await using connection = await own.connect(1);
    const meddle = (...command: string[]): ((target: Target) => Target) =>
      tampered((writer) => ({
        async readBack() {
          await connection.command(...command);
          return await writer.readBack();
        },
      }));
    const choices = { dedicated };
    await assertRefused("target-lost", own.url(1), { wrap: meddle("SET", "mine", "1"), choices });
    assert.equal(await keysOf(own, 1), 1);
    await connection.command("DEL", "mine");
    for (const command of [
      ["DEL", "i1"],
      ["HDEL", "d1", "project"],
      ["SET", "nextinode", "3"],
    ]) {
      const failed = bench.restore(taken.snapshot, own.url(1), { wrap: meddle(...command), choices });
      await assert.rejects(failed, (error) => error instanceof CairnError && error.code === "proof-failed");
      assert.equal(await keysOf(own, 1), 0);
    }
  }
});

test("a server that answers no more ends the restore, at once when it is interrupted", async () => {
  await using own = await startRedis();
  const controller = new AbortController();
  const freeze = tampered((writer) => ({
    async finish() {
      own.freeze();
      setTimeout(() => controller.abort(new Error("interrupted")), 500);
      await writer.finish();
    },
  }));
  const began = performance.now();
  await assert.rejects(
    bench.restore(taken.snapshot, own.url(), { wrap: freeze, signal: controller.signal }),
    /interrupted/,
  );
  assert.ok(performance.now() - began < 15_000);
  own.thaw();
  assert.ok((await keysOf(own, 0)) > 0);
  assert.equal(await own.command("EXISTS", "setting"), "0");
});

test("a server that stops in the middle ends the restore with the reason", async () => {
  for (const dedicated of [false, true]) {
    const own = await startRedis();
    let batches = 0;
    const crash = tampered((writer) => ({
      async write(batch) {
        if (++batches === 2) await own.crash();
        await writer.write(batch);
      },
    }));
    const refusal = await bench
      .restore(taken.snapshot, own.url(), { wrap: crash, choices: { dedicated } })
      .then(() => assert.fail("it was restored"))
      .catch((error: unknown) => error);
    assert.ok(refusal instanceof CairnError, String(refusal));
    assert.ok(["connection-lost", "replica-not-served", "engine-unreachable"].includes(refusal.code), refusal.code);
    assert.equal(refusal.exit, "targetRefused");
    await own[Symbol.asyncDispose]();
  }
});

/** Runs a restore in a process of its own that is killed when its target is called for that. */
async function killedRestore(url: string, way: "commands" | "dedicated", moment: "write" | "finish"): Promise<void> {
  const worker = join(import.meta.dirname, "redis-killed-worker.ts");
  const child = spawn(process.execPath, [worker], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      RESTORE_REPOSITORY: bench.repositoryFolder,
      RESTORE_FOLDER: bench.at("temporary"),
      RESTORE_URL: url,
      RESTORE_WAY: way,
      RESTORE_MOMENT: moment,
    },
  });
  const signal = await new Promise((done, fail) => child.once("error", fail).once("exit", (_, name) => done(name)));
  assert.equal(signal, "SIGKILL");
}
