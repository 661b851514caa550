import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { after, test } from "node:test";
import { CairnError } from "../../src/model/errors.ts";
import type { RedisConnection } from "../../src/protocols/redis/client.ts";
import { connectRedis } from "../../src/protocols/redis/client.ts";
import { Crc64 } from "../../src/protocols/redis/crc64.ts";
import type { FullSync, FullSyncOptions, FullSyncWait } from "../../src/protocols/redis/full-sync.ts";
import { openFullSync } from "../../src/protocols/redis/full-sync.ts";
import { startCutProxy } from "../peers/cut-proxy.ts";
import { redisVersions } from "../peers/redis-programs.ts";
import type { RedisServer } from "../peers/redis.ts";
import { startRedis, startRedisReplica } from "../peers/redis.ts";
import { until } from "../peers/until.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-full-sync-"));
after(() => rmSync(folder, { recursive: true }));

interface Login {
  readonly user?: string;
  readonly password?: string;
}

function connect(port: number, login: Login = {}, signal = new AbortController().signal): Promise<RedisConnection> {
  return connectRedis({ address: { host: "127.0.0.1", port }, signal, ...login });
}

async function sync(port: number, options: Partial<FullSyncOptions> = {}, login: Login = {}): Promise<FullSync> {
  const signal = options.signal ?? new AbortController().signal;
  const connection = await connect(port, login, signal);
  return await openFullSync(connection, { signal, temporaryFolder: folder, memoryBytes: 1 << 20, ...options });
}

/** Keys of 1 kB that no compression makes smaller. */
async function fill(server: RedisServer, count: number): Promise<void> {
  await using connection = await server.connect();
  const value = randomBytes(1000);
  await Promise.all(Array.from({ length: count }, (_, at) => connection.command("SET", `key:${at}`, value)));
}

/** Takes the whole RDB and checks its frame and checksum. */
async function takeAll(from: FullSync, afterPiece?: () => Promise<void>): Promise<number> {
  const pieces: Buffer[] = [];
  for await (const piece of from.chunks()) {
    assert.ok(piece.length > 0 && piece.length <= 256 << 10);
    pieces.push(Buffer.from(piece));
    await afterPiece?.();
  }
  const rdb = Buffer.concat(pieces);
  assert.match(rdb.toString("latin1", 0, 9), /^REDIS\d{4}$/);
  assert.equal(rdb[rdb.length - 9], 0xff);
  assert.equal(from.receivedBytes, rdb.length);
  const sum = new Crc64();
  sum.update(rdb, 0, rdb.length - 8);
  const stored = rdb.subarray(-8);
  assert.ok(
    stored.readBigUInt64LE() === 0n ||
      (stored.readUInt32LE(0) === sum.low >>> 0 && stored.readUInt32LE(4) === sum.high >>> 0),
  );
  return rdb.length;
}

function fails(code: string, message = /./, next = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CairnError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.next ?? "", next);
    assert.equal(error.exit, "sourceUnreachable");
    return true;
  };
}

async function infoOf(server: RedisServer, name: string): Promise<string> {
  const info = await server.command("INFO", "everything");
  return new RegExp(`^${name}:(.*)\r$`, "m").exec(info)?.[1] ?? "";
}

for (const version of redisVersions) {
  for (const disklessSync of [true, false]) {
    const form = disklessSync ? "up to a mark" : "counted";
    test(`Redis ${version}: the state arrives whole, ${form}, and the server keeps no replica`, async () => {
      await using server = await startRedis({ version, disklessSync });
      await fill(server, 20_000);
      await using transfer = await sync(server.port);
      assert.equal(transfer.payloadBytes === undefined, disklessSync);
      assert.equal(transfer.rdbOnly, version !== "6");
      const bytes = await takeAll(transfer);
      assert.ok(bytes > 20_000_000);
      if (transfer.payloadBytes !== undefined) assert.equal(transfer.payloadBytes, bytes);
      assert.match(transfer.replicationId, /^[0-9a-f]{40}$/);
      assert.match(transfer.serverVersion ?? "", /^\d+\./);
      assert.equal(await transfer.read(), undefined);
      await until("no replica", server, async () => (await infoOf(server, "connected_slaves")) === "0");
      assert.equal(await infoOf(server, "sync_full"), "1");
    });
  }
}

test("an empty server, and a replica, can be taken too", async () => {
  await using server = await startRedis();
  await using replica = await startRedisReplica(server);
  await using first = await sync(server.port);
  assert.ok((await takeAll(first)) < 1000);
  await using second = await sync(replica.port);
  assert.ok((await takeAll(second)) < 1000);
});

test("a slow reader does not slow the server: what it has not taken goes to a file that leaves no name", async () => {
  await using server = await startRedis();
  await fill(server, 30_000);
  await using transfer = await sync(server.port);
  let pieces = 0;
  await takeAll(transfer, async () => {
    // The transfer is complete long before the reader is.
    if (++pieces === 1) {
      await sleep(1500);
      assert.ok(transfer.receivedBytes > 30_000_000);
      assert.ok(transfer.spilledBytes > 25_000_000);
      assert.deepEqual(readdirSync(folder), []);
    }
  });
});

test("a reader that works synchronously on each piece does not slow the server", async () => {
  await using server = await startRedis();
  await fill(server, 30_000);
  await using transfer = await sync(server.port);
  const start = performance.now();
  await takeAll(transfer, async () => {
    // However slow a busy machine makes the server: the reader stays behind until it is ahead.
    do {
      const end = performance.now() + 5;
      while (performance.now() < end);
      await nextTurn();
    } while (transfer.spilledBytes <= 1_000_000 && performance.now() - start < 30_000);
  });
  assert.ok(performance.now() - start < 60_000);
  assert.ok(transfer.spilledBytes > 1_000_000, `${transfer.spilledBytes}`);
});

test("a synchronisation comes through TLS, and through a socket file", async () => {
  await using server = await startRedis({ tls: true, password: "s3cret" });
  await fill(server, 5000);
  assert.ok(server.tls !== undefined);
  const signal = new AbortController().signal;
  const tls = { caFile: server.tls.authority };
  const addresses = [
    { address: { host: "127.0.0.1", port: server.port }, tls },
    { address: { path: server.socketPath } },
  ];
  for (const address of addresses) {
    const connection = await connectRedis({ ...address, signal, password: "s3cret" });
    await using transfer = await openFullSync(connection, { signal, temporaryFolder: folder, memoryBytes: 1 << 20 });
    assert.ok((await takeAll(transfer)) > 5_000_000);
  }
});

test("waits of the server are told", async () => {
  await using server = await startRedis({ config: ["repl-diskless-sync-delay 2"] });
  await fill(server, 100);
  const waits: FullSyncWait[] = [];
  await using transfer = await sync(server.port, { onWait: (what) => waits.push(what) });
  await takeAll(transfer);
  assert.ok(waits.includes("start"), waits.join());
  assert.ok(transfer.waitedMs > 900);
});

test("a server that loads its data is waited for", async () => {
  const config = ["enable-debug-command yes", "key-load-delay 400", "loading-process-events-interval-bytes 1024"];
  await using server = await startRedis({ config });
  await fill(server, 4000);
  const connection = await connect(server.port);
  await using own = await server.connect();
  const reloaded = own.command("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH").catch(() => own.command("DEBUG", "RELOAD"));
  await sleep(50);
  const waits: FullSyncWait[] = [];
  const signal = new AbortController().signal;
  const options = { signal, temporaryFolder: folder, memoryBytes: 1 << 20 };
  await using transfer = await openFullSync(connection, { ...options, onWait: (what) => waits.push(what) });
  assert.ok((await takeAll(transfer)) > 4_000_000);
  await reloaded;
  assert.ok(waits.includes("loading"), waits.join());
});

test("a link that breaks ends with an error that says where, and is no hang", async () => {
  await using server = await startRedis();
  await fill(server, 20_000);
  await using proxy = await startCutProxy({ port: server.port });
  for (const fault of ["end", "reset", "stall"] as const) {
    for (const afterBytes of [200, 10_000, 5_000_000, 19_999_000]) {
      proxy.plan(undefined);
      const connection = await connect(proxy.port);
      await connection.call("PING");
      proxy.plan({ fault, afterBytes: afterBytes + 6000, direction: "down" });
      const signal = new AbortController().signal;
      const options = { signal, temporaryFolder: folder, memoryBytes: 1 << 20, idleTimeoutMs: 500 };
      const run = async (): Promise<void> => {
        await using transfer = await openFullSync(connection, options);
        await takeAll(transfer);
      };
      await assert.rejects(run(), fails(fault === "stall" ? "engine-timeout" : "connection-lost", /synchronisation/));
    }
  }
  assert.deepEqual(readdirSync(folder), []);
});

test("a server that dies in the middle is an error", async () => {
  await using server = await startRedis();
  await fill(server, 60_000);
  await using transfer = await sync(server.port);
  await transfer.read();
  process.kill(server.pid, "SIGKILL");
  await assert.rejects(Array.fromAsync(transfer.chunks()), fails("connection-lost", /after \d+ bytes/, /log/));
});

test("a child of the server that fails is an error that points to the log", async () => {
  await using server = await startRedis({ config: ["enable-protected-configs yes", "rdb-key-save-delay 1000"] });
  await fill(server, 20_000);
  await using transfer = await sync(server.port);
  await transfer.read();
  const children = execFileSync("pgrep", ["-P", String(server.pid)], { encoding: "utf8" })
    .trim()
    .split("\n");
  for (const child of children) process.kill(Number(child), "SIGKILL");
  await assert.rejects(
    Array.fromAsync(transfer.chunks()),
    fails("connection-lost", /after \d+ bytes/, /child process/),
  );
  // A folder in which nobody can make a file.
  await server.command("CONFIG", "SET", "repl-diskless-sync", "no");
  await server.command("CONFIG", "SET", "dir", "/proc");
  await assert.rejects(sync(server.port), fails("connection-lost", /before the synchronisation began/, /save/));
  assert.equal(await server.command("PING"), "PONG");
});

test("the output buffer limit of replicas does not cut a reader that is slow", async () => {
  await using server = await startRedis({ config: ["client-output-buffer-limit replica 1mb 1mb 1"] });
  await fill(server, 20_000);
  await using writer = await server.connect();
  await using transfer = await sync(server.port);
  await transfer.read();
  // Changes during the transfer, which a replica would be sent afterwards.
  await Promise.all(Array.from({ length: 5000 }, (_, at) => writer.command("SET", `more:${at}`, "y".repeat(1000))));
  await sleep(1500);
  for (let piece = await transfer.read(); piece !== undefined; piece = await transfer.read());
  assert.ok(transfer.receivedBytes > 20_000_000);
});

test("an abort ends the transfer at once, before and in the middle", async () => {
  await using server = await startRedis({ config: ["repl-diskless-sync-delay 30"] });
  await fill(server, 1000);
  const before = new AbortController();
  const opening = sync(server.port, { signal: before.signal });
  await sleep(200);
  before.abort(new Error("interrupted"));
  await assert.rejects(opening, /interrupted/);
  await server.command("CONFIG", "SET", "repl-diskless-sync-delay", 0);
  const middle = new AbortController();
  await using transfer = await sync(server.port, { signal: middle.signal });
  await transfer.read();
  middle.abort(new Error("interrupted"));
  await assert.rejects(Array.fromAsync(transfer.chunks()), /interrupted/);
});

test("the least rights suffice, and a missing one is named with its remedy", async () => {
  const users = [
    "least on >pw resetkeys +psync +replconf",
    "nosync on >pw ~* +replconf +info",
    "noconf on >pw ~* +psync +info",
  ];
  await using server = await startRedis({ users });
  await fill(server, 10);
  await using transfer = await sync(server.port, {}, { user: "least", password: "pw" });
  await takeAll(transfer);
  assert.equal(transfer.serverVersion, undefined);
  for (const user of ["nosync", "noconf"]) {
    const next = new RegExp(`ACL SETUSER ${user} \\+psync \\+replconf`);
    await assert.rejects(
      sync(server.port, {}, { user, password: "pw" }),
      fails("privilege-missing", /replicate/, next),
    );
  }
});

test("a server without replication says so", async () => {
  for (const command of ["PSYNC", "REPLCONF"]) {
    await using server = await startRedis({ config: [`rename-command ${command} ""`] });
    await assert.rejects(sync(server.port), fails("replication-forbidden", /unknown command/, /--scan/));
  }
});

test("a replica that has lost its master is refused", async () => {
  await using master = await startRedis();
  await using replica = await startRedisReplica(master);
  await master[Symbol.asyncDispose]();
  await sleep(200);
  await assert.rejects(sync(replica.port), fails("replica-not-linked", /not in step/));
});
