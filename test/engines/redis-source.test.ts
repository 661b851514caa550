import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { openPrivateRedisView } from "../../src/engines/juicefs/redis/private-view.ts";
import type { RedisSourceOptions } from "../../src/engines/juicefs/redis/source.ts";
import { openRedisSource } from "../../src/engines/juicefs/redis/source.ts";
import { parseSetting } from "../../src/engines/juicefs/setting.ts";
import { CairnError } from "../../src/model/errors.ts";
import type { Pace, SourceSummary } from "../../src/model/ports.ts";
import type { RedisConnection } from "../peers/redis-connection.ts";
import { startRedisCluster } from "../peers/redis-cluster.ts";
import { redisVersions } from "../peers/redis-programs.ts";
import { startRedis, startRedisReplica, untilInfo } from "../peers/redis.ts";
import type { RedisServer } from "../peers/redis.ts";
import { until } from "../peers/until.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { attribute, volumeSetting, writeVolumeKeys } from "../support/redis-volume-keys.ts";
import type { ViewRows } from "../support/view-rows.ts";
import { takeChecked } from "../support/view-rows.ts";

interface Read {
  rows: ViewRows;
  summary: SourceSummary;
  warnings: string[];
}

async function read(url: string, options: RedisSourceOptions = {}, pace?: Pace): Promise<Read> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-redis-source-"));
  const progress = quietProgress();
  const source = openRedisSource(url, options);
  await using view = await source.open({
    signal: new AbortController().signal,
    temporaryFolder: folder.path,
    memoryBytes: 32 << 20,
    progress,
    ...(pace === undefined ? {} : { pace }),
  });
  const rows = await takeChecked(view);
  return { rows, summary: await view.summary(), warnings: progress.warnings };
}

/** Rows of a table as text, sorted: for comparisons that can be read. */
function textRows(rows: ViewRows, table: string): string[] {
  return (rows.get(table) ?? [])
    .map((row) =>
      row
        .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value)))
        .join("|"),
    )
    .toSorted();
}

function sameRows(a: ViewRows, b: ViewRows): void {
  assert.deepEqual([...a.keys()], [...b.keys()]);
  for (const table of a.keys()) assert.deepEqual(textRows(a, table), textRows(b, table), table);
}

async function refused(reading: Promise<unknown>): Promise<CairnError> {
  try {
    await reading;
  } catch (error) {
    assert.ok(error instanceof CairnError, String(error));
    return error;
  }
  throw new Error("it was accepted");
}

async function volumeOn(server: RedisServer, database = 1, files = 40): Promise<RedisConnection> {
  const connection = await server.connect(database);
  await writeVolumeKeys(connection, files);
  return connection;
}

async function fillVolume(server: RedisServer, database = 1, files = 40): Promise<void> {
  await using connection = await volumeOn(server, database, files);
  await connection.command("PING");
}

test("every kind of record is read as JuiceFS means it", async () => {
  await using server = await startRedis();
  await using connection = await volumeOn(server, 1);
  await connection.command("SET", "i500", attribute({ type: 1, nlink: 1, length: 1, parent: 2 }).subarray(0, 63));
  const { rows, summary } = await read(server.url(1));
  assert.equal(rows.get("node")?.length, 48);
  assert.equal(rows.get("edge")?.length, 45);
  assert.deepEqual(
    textRows(rows, "node").find((row) => row.startsWith("7|")),
    "7|1|0|493|1000|1000|1795264395|0|1795264395|0|1795264395|0|0|9|0|2|0|0|0",
  );
  assert.match(textRows(rows, "node").find((row) => row.startsWith("500|")) ?? "", /\|1\|0\|0\|0\|0\|0$/);
  assert.ok(textRows(rows, "node").some((row) => row.startsWith("9223372032828243968|")));
  assert.deepEqual(textRows(rows, "symlink"), ["3|target"]);
  assert.equal(rows.get("xattr")?.length, 20);
  assert.deepEqual(textRows(rows, "slice_ref"), ["500|7|2", "77|8|0"]);
  assert.equal(rows.get("chunk")?.length, 43);
  assert.deepEqual(textRows(rows, "deleted_file"), ["6|100|1795264395"]);
  assert.deepEqual(textRows(rows, "sustained"), ["5|7"]);
  assert.deepEqual(textRows(rows, "detached_node"), ["8|1795264395"]);
  assert.equal(rows.get("delayed_slice")?.length, 1);
  // Inode 99 lacks two parts, inode 1 and 2 have all.
  assert.deepEqual(textRows(rows, "dir_stat"), ["1|100|4096|1", "2|200|-8192|2"]);
  assert.deepEqual(
    textRows(rows, "quota"),
    [0, 1, 2].flatMap((type) => [`${type}|2|1099511627776|-1|8192|2`, `${type}|3|-1|-1|5|0`]),
  );
  const acl = rows.get("acl")?.[0] ?? [];
  assert.deepEqual(acl.slice(0, 5), [1, 7, 65535, 5, 0]);
  assert.equal(Buffer.from(acl[5] as Uint8Array).toString("hex"), "0000000a0006");
  assert.equal(Buffer.from(acl[6] as Uint8Array).toString("hex"), "0000000b00040000000c0005");
  assert.deepEqual(textRows(rows, "counter"), [
    "nextChunk|4096",
    "nextInode|1024",
    "nextTrash|0",
    "totalInodes|47",
    "usedSpace|409600",
  ]);
  assert.deepEqual(summary.omitted, { session2: 1, flock: 1, delegation_token: 1, change_log: 2 });
  assert.deepEqual(summary.facts, { nextSession: "5", lastCleanupFiles: "1795264395", lastChangelog: "2" });
  assert.equal(summary.consistency.level, "snapshot");
  assert.match(String(summary.position["replicationId"]), /^[0-9a-f]{40}$/);
  const codes = summary.findings.map(({ code, count }) => `${code} ${count}`).toSorted();
  // Slices 501 and 601 are right; inode 500 has no entry, and no parent either.
  assert.deepEqual(codes, ["usage-lags 1"]);
});

test("a file, a replica and SCAN give the same records as the server", async () => {
  await using server = await startRedis();
  await using connection = await volumeOn(server, 2, 3000);
  await connection.command(
    "HSET",
    "d2",
    ...Array.from({ length: 3000 }, (_, at) => [`more ${at}`, Buffer.alloc(9, 1)]).flat(),
  );
  await using replica = await startRedisReplica(server);
  const whole = await read(server.url(2));
  await untilInfo(server, "persistence", "rdb_bgsave_in_progress:0");
  await server.command("SAVE");
  using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-redis-file-"));
  const file = join(folder.path, "copy.rdb");
  copyFileSync(join(server.folder, "dump.rdb"), file);
  const fromFile = await read("redis://nowhere.invalid/2", { fromRdb: file });
  sameRows(fromFile.rows, whole.rows);
  assert.match(fromFile.summary.consistency.method, /^an RDB file, .*: 20\d\d-/);
  const fromReplica = await read(server.url(2), { replica: `127.0.0.1:${replica.port}` });
  sameRows(fromReplica.rows, whole.rows);
  assert.match(fromReplica.summary.consistency.method, /replica/);
  const scanned = await read(server.url(2), { scan: true });
  sameRows(scanned.rows, whole.rows);
  assert.equal(scanned.summary.consistency.level, "none");
  const description = await openRedisSource("redis://nowhere.invalid/2", { fromRdb: file }).describe(
    new AbortController().signal,
  );
  assert.equal(description.volumeId, "5c5bd6ae-3b7a-4d0f-9d86-6f6f1f0f3a11");
  assert.equal(description.engine, "Redis RDB file");
  const elsewhere = await refused(read("redis://nowhere.invalid/3", { fromRdb: file }));
  assert.equal(elsewhere.code, "not-formatted");
  assert.match(elsewhere.message, /keys in database 2 \(\d+ keys\)/);
  const bytes = readFileSync(file);
  bytes[bytes.length - 20] ^= 1;
  writeFileSync(file, bytes);
  assert.equal((await refused(read("redis://nowhere.invalid/2", { fromRdb: file }))).code, "rdb-damaged");
  assert.equal((await refused(read("redis://h/2", { fromRdb: join(folder.path, "none") }))).code, "rdb-unreadable");
  // Nobody writes to it: opening it must not wait.
  const pipe = join(folder.path, "pipe");
  execFileSync("mkfifo", [pipe]);
  assert.equal((await refused(read("redis://h/2", { fromRdb: pipe }))).code, "rdb-unreadable");
});

for (const version of redisVersions) {
  test(`Redis ${version}: a synchronisation, with or without a file on the server, and SCAN give the same`, async () => {
    await using server = await startRedis({ version });
    await using withFile = await startRedis({ version, disklessSync: false });
    for (const each of [server, withFile]) await fillVolume(each, 1, 500);
    const { rows, summary } = await read(server.url(1));
    assert.equal(rows.get("node")?.length, 507);
    assert.equal(summary.consistency.level, "snapshot");
    sameRows((await read(withFile.url(1))).rows, rows);
    sameRows((await read(server.url(1), { scan: true })).rows, rows);
  });
}

test("in a cluster the volume is found by its prefix, other keys are others'", async () => {
  await using cluster = await startRedisCluster();
  const url = cluster.url(4);
  const before = await refused(read(url));
  assert.match(before.code, /^not-/);
  for (const master of cluster.masters) {
    await using connection = await master.connect(0);
    await connection.command("SET", "{4}probe", "x").then(
      async () => {
        await connection.command("DEL", "{4}probe");
        await writeVolumeKeys(connection, 20, "{4}");
        await connection.command("SET", "{x}anything", 1).catch(() => undefined);
        await connection.command("SET", `i${"5".repeat(5)}`, "other").catch(() => undefined);
      },
      () => undefined,
    );
  }
  const { rows } = await read(url);
  assert.equal(rows.get("node")?.length, 27);
  using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-redis-cluster-"));
  const held = await Promise.all(
    cluster.masters.map(async (master, at) => {
      await untilInfo(master, "persistence", "rdb_bgsave_in_progress:0");
      await master.command("SAVE");
      const file = join(folder.path, `${at}.rdb`);
      copyFileSync(join(master.folder, "dump.rdb"), file);
      return await read("redis://nowhere.invalid/4", { fromRdb: file }).catch((error: unknown) => {
        assert.ok(error instanceof CairnError, String(error));
        return error.code;
      });
    }),
  );
  // One member has the slot, and so the volume.
  const [fromFile] = held.filter((result) => typeof result !== "string");
  sameRows(fromFile.rows, rows);
  assert.deepEqual(
    held.filter((result) => typeof result === "string"),
    ["not-formatted", "not-formatted"],
  );
});

test("what differs is found by name", async () => {
  await using server = await startRedis();
  await using connection = await volumeOn(server);
  await connection.command("HSET", "sliceRef", "k100_5000", 4, "k7777_1", 2);
  await connection.command("HSET", "p4", 2, 5);
  await connection.command("HDEL", "d2", "file 3 \u00e4\u{1f600}");
  await connection.command("SET", "user:1", "of another application");
  await connection.command("SET", "nextinode", 3);
  const { summary } = await read(server.url(1));
  const samples = new Map(summary.findings.map(({ code, samples: names }) => [code, names]));
  assert.deepEqual(samples.get("slice-ref-differs"), ["slice 100, size 5000: stored 5, 1 mentions"]);
  assert.deepEqual(samples.get("slice-ref-leaked"), ["slice 7777, size 1: stored 3"]);
  assert.deepEqual(samples.get("parents-differ")?.toSorted(), [
    "inode 13 in directory 2: 1 fewer entries than it records",
    "inode 4 in directory 2: 4 fewer entries than it records",
  ]);
  assert.deepEqual(samples.get("other-keys"), ['"user:1"']);
  assert.ok(samples.has("next-inode-too-low"));
});

test("records that JuiceFS does not write, and keys that only a later one may, are refused by name", async () => {
  await using server = await startRedis();
  const cases: [code: string, message: RegExp, command: (string | number | Uint8Array)[]][] = [
    ["unknown-schema", /"dirMagic" \(a hash\)/, ["HSET", "dirMagic", 1, 2]],
    ["unknown-schema", /"w5"/, ["SET", "w5", 1]],
    ["unknown-schema", /key i77 is a list/, ["RPUSH", "i77", "x"]],
    ["unknown-schema", /"delfiles" is a string/, ["SET", "delfiles", "x"]],
    ["record-invalid", /key i77 has 3 bytes/, ["SET", "i77", "abc"]],
    ["record-invalid", /key i77 has \d+ bytes more/, ["SET", "i77", Buffer.alloc(90, 1)]],
    ["record-invalid", /key c9_0 .* slices/, ["RPUSH", "c9_0", "short"]],
    ["record-invalid", /key d9 .* 9 bytes/, ["HSET", "d9", "name", "short"]],
    ["record-invalid", /"sliceRef"/, ["HSET", "sliceRef", "k5", 1]],
    ["record-invalid", /"delfiles"/, ["ZADD", "delfiles", 1, "5"]],
    ["record-invalid", /"acl"/, ["HSET", "acl", 5, "x"]],
    ["counter-invalid", /"usedSpace"/, ["SET", "usedSpace", "much"]],
  ];
  for (const [code, message, [name, ...words]] of cases) {
    const database = await server.newDatabase();
    await using connection = await server.connect(database);
    await writeVolumeKeys(connection, 5);
    if (name !== "ZADD" && name !== "HSET") await connection.command("DEL", words[0]);
    await connection.command(String(name), ...words);
    for (const options of [{}, { scan: true }]) {
      const error = await refused(read(server.url(database), options));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.equal(error.exit, "sourceUnreachable");
    }
  }
});

test("a counter of a later version is a record", async () => {
  await using server = await startRedis();
  await using connection = await volumeOn(server);
  await connection.command("SET", "nextWonder", 12);
  const { rows } = await read(server.url(1));
  assert.ok(textRows(rows, "counter").includes("nextWonder|12"));
});

test("without the right to replicate the error names it, and SCAN is the way that is offered", async () => {
  await using server = await startRedis({ users: ["reader on >s3cret ~* +@read +@connection +select +info"] });
  await fillVolume(server);
  const url = server.url(1, { user: "reader", password: "s3cret" });
  const error = await refused(read(url));
  assert.equal(error.code, "privilege-missing");
  assert.match(error.next ?? "", /psync/i);
  assert.match(error.next ?? "", /--scan/);
  assert.doesNotMatch(`${error.message}${error.next}`, /s3cret/);
  const { rows, summary } = await read(url, { scan: true });
  assert.equal(rows.get("node")?.length, 47);
  assert.equal(summary.consistency.level, "none");
});

test("a synchronisation of a server that serves clients is not slowed down; one of a replica, a file or a scan is", async () => {
  await using server = await startRedis();
  await fillVolume(server, 1, 2000);
  await using replica = await startRedisReplica(server);
  const pace = { bytesPerSecond: 400_000 };
  const error = await refused(read(server.url(1), {}, pace));
  assert.equal(error.code, "pace-unsupported");
  assert.match(error.next ?? "", /--replica/);
  const began = performance.now();
  await read(server.url(1), { replica: `127.0.0.1:${replica.port}` }, pace);
  assert.ok(performance.now() - began > 200, "it takes its time");
  await read(server.url(1), { scan: true }, { ...pace, pauseAboveMs: 1000 });
});

test("a replica that is read slowly is asked for no more than is taken", async () => {
  await using server = await startRedis({ config: ["rdbcompression no"] });
  await using connection = await volumeOn(server, 1);
  for (let at = 0; at < 40; at++) await connection.command("SET", `other:${at}`, randomBytes(1 << 20));
  await using replica = await startRedisReplica(server, { config: ["rdbcompression no"] });
  const sent = async (): Promise<number> =>
    Number(/total_net_repl_output_bytes:(\d+)/.exec(await replica.command("INFO", "stats"))?.[1]);
  const reading = read(server.url(1), { replica: `127.0.0.1:${replica.port}` }, { bytesPerSecond: 10 << 20 });
  await until("half of the time", replica, async () => (await sent()) > 1 << 20);
  await setTimeout(1000);
  // What lies in the kernel's buffers was sent, too.
  assert.ok((await sent()) < 28 << 20, `${await sent()} bytes were sent`);
  const { rows } = await reading;
  assert.equal(rows.get("node")?.length, 47);
  assert.ok((await sent()) > 40 << 20);
});

test("a database that is no volume, and options that exclude each other, are refused", async () => {
  await using server = await startRedis();
  assert.equal((await refused(read(server.url(0)))).code, "not-a-volume");
  await using connection = await server.connect(0);
  await writeVolumeKeys(connection, 2);
  await connection.command("DEL", "setting");
  assert.equal((await refused(read(server.url(0)))).code, "not-formatted");
  assert.throws(() => openRedisSource("redis://h/1", { fromRdb: "a.rdb", scan: true }), /exclude|neither/);
});

test("an aborted read ends at once, and leaves no connection behind", async () => {
  await using server = await startRedis({ config: ["repl-diskless-sync-delay 60"] });
  await fillVolume(server);
  using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-redis-abort-"));
  const controller = new AbortController();
  const opening = openRedisSource(server.url(1)).open({
    signal: controller.signal,
    temporaryFolder: folder.path,
    memoryBytes: 32 << 20,
    progress: quietProgress(),
  });
  void setTimeout(300).then(() => controller.abort(new Error("enough")));
  const began = performance.now();
  await assert.rejects(opening, /enough/);
  assert.ok(performance.now() - began < 3000);
});

test("what a restore wrote is read back with the setting that is held, its own marks are passed over", async () => {
  await using server = await startRedis({ users: ["writer on >s3cret ~* +@all -psync -sync -replconf"] });
  await using connection = await volumeOn(server);
  await connection.command("DEL", "setting");
  await connection.command("HSET", "cairn:restore", "token", "x");
  await connection.command("SET", "cairn:restore-lock", "x");
  const held = parseSetting(volumeSetting);
  for (const url of [server.url(1), server.url(1, { user: "writer", password: "s3cret" })]) {
    using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-redis-back-"));
    await using view = await openPrivateRedisView(
      { url },
      {
        signal: new AbortController().signal,
        temporaryFolder: folder.path,
        memoryBytes: 32 << 20,
        progress: quietProgress(),
      },
      held,
    );
    const rows = await takeChecked(view);
    assert.equal(rows.get("node")?.length, 47);
    assert.ok(textRows(rows, "setting").some((row) => row.startsWith("UUID|")));
    assert.deepEqual(
      (await view.summary()).findings.map(({ code }) => code),
      ["usage-lags"],
    );
  }
});
