import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { namedKeys } from "../../src/engines/juicefs/redis/key-kinds.ts";
import { openRedisSite } from "../../src/engines/juicefs/redis/connect.ts";
import { scanVolume } from "../../src/engines/juicefs/redis/scan-reader.ts";
import type { ScanProgress } from "../../src/engines/juicefs/redis/scan-reader.ts";
import { parseRedisUrl } from "../../src/engines/juicefs/redis/url.ts";
import { CairnError } from "../../src/model/errors.ts";
import type { RedisSink } from "../../src/protocols/redis/rdb-sink.ts";
import { redisType } from "../../src/protocols/redis/rdb-sink.ts";
import { startRedisCluster } from "../peers/redis-cluster.ts";
import type { RedisConnection } from "../peers/redis-connection.ts";
import { startRedis } from "../peers/redis.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-scan-"));
after(() => rmSync(folder, { recursive: true }));
const signal = new AbortController().signal;

/** What a sink was given: by key the type and the contents as text, in order. */
interface Taken {
  readonly type: number;
  readonly values: string[];
}

function collectingSink(): { sink: RedisSink; keys: Map<string, Taken> } {
  const keys = new Map<string, Taken>();
  let open: Taken | undefined;
  const text = (bytes: Uint8Array, start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString("latin1");
  const put = (value: string): void => {
    assert.ok(open !== undefined);
    open.values.push(value);
  };
  const sink: RedisSink = {
    begin(type, bytes, start, end) {
      assert.equal(open, undefined);
      const name = text(bytes, start, end);
      assert.ok(!keys.has(name), `${name} came twice`);
      if (!/^(?:\{\d+\})?[a-z]+\d+(?:_\d+)?$/.test(name) && !namedKeys.has(name.replace(/^\{\d+\}/, ""))) {
        // Of others: named, and not read.
        keys.set(name, { type, values: [] });
        return false;
      }
      open = { type, values: [] };
      keys.set(name, open);
      return true;
    },
    string: (bytes, start, end) => put(text(bytes, start, end)),
    element: (bytes, start, end) => put(text(bytes, start, end)),
    field: (name, nameStart, nameEnd, value, valueStart, valueEnd) =>
      put(`${text(name, nameStart, nameEnd)}=${text(value, valueStart, valueEnd)}`),
    member: (bytes, start, end, score) => put(`${text(bytes, start, end)}=${score}`),
    end() {
      open = undefined;
    },
  };
  return { sink, keys };
}

async function scan(
  url: string,
  onStep?: (step: ScanProgress, taken: ReadonlyMap<string, Taken>) => Promise<void>,
): Promise<Map<string, Taken>> {
  const site = await openRedisSite(parseRedisUrl(url), { signal });
  const { sink, keys } = collectingSink();
  let bytes = 0;
  const pacer = { pass: async (count: number) => void (bytes += count) };
  for await (const step of scanVolume(site, sink, { signal, temporaryFolder: folder, pacer }))
    await onStep?.(step, keys);
  assert.ok(bytes > 0);
  assert.deepEqual(readdirSync(folder), []);
  return keys;
}

async function all(connection: RedisConnection, commands: readonly (string | number | Uint8Array)[][]): Promise<void> {
  await Promise.all(commands.map((command) => connection.command(...command)));
}

/** Several elements a command, so that many are quickly made. */
function bulk(
  command: string,
  key: string,
  count: number,
  one: (at: number) => (string | number)[],
): (string | number)[][] {
  const commands: (string | number)[][] = [];
  for (let at = 0; at < count; at += 500) {
    const parts = Array.from({ length: Math.min(500, count - at) }, (_, offset) => one(at + offset));
    commands.push([command, key, ...parts.flat()]);
  }
  return commands;
}

function sorted(values: readonly string[]): string[] {
  return values.toSorted();
}

test("every type is read whole, short and long, and bytes stay as they are", async () => {
  await using server = await startRedis();
  await using own = await server.connect(2);
  const binary = Buffer.from([0, 13, 10, 255, 128, 65]);
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
  await all(own, [
    ["SET", "i1", binary],
    ["SET", "s9", ""],
    ["SET", binary, "foreign"],
    ["HSET", "x5", binary, binary],
    ["RPUSH", "c1_0", "one", binary, "three"],
    ["SADD", "session7", 1, 2, 3],
    ["ZADD", "delfiles", 1763700000, "5:4096", 12.5, "6:0"],
    ["XADD", "stream", "*", "a", "b"],
    ...bulk("HSET", "d1", 20_000, (at) => [`name-${at}`, `value-${at}`]),
    ...bulk("RPUSH", "c2_0", 20_001, (at) => [`slice-${at}`]),
    ...bulk("SADD", "session8", 20_000, (at) => [`m${at}`]),
    ...bulk("ZADD", "detachedNodes", 20_000, (at) => [at + 0.5, `z${at}`]),
  ]);
  await own.command("SELECT", 1);
  await own.command("SET", "elsewhere", "x");
  const keys = await scan(server.url(2));
  const bytes = binary.toString("latin1");
  const expected: [string, Taken][] = [
    ["i1", { type: redisType.string, values: [bytes] }],
    ["s9", { type: redisType.string, values: [""] }],
    [bytes, { type: redisType.string, values: [] }],
    ["x5", { type: redisType.hash, values: [`${bytes}=${bytes}`] }],
    ["c1_0", { type: redisType.list, values: ["one", bytes, "three"] }],
    ["session7", { type: redisType.set, values: ["1", "2", "3"] }],
    ["delfiles", { type: redisType.zset, values: ["5:4096=1763700000", "6:0=12.5"] }],
    ["d1", { type: redisType.hash, values: numbers(20_000).map((at) => `name-${at}=value-${at}`) }],
    ["c2_0", { type: redisType.list, values: numbers(20_001).map((at) => `slice-${at}`) }],
    ["session8", { type: redisType.set, values: numbers(20_000).map((at) => `m${at}`) }],
    ["detachedNodes", { type: redisType.zset, values: numbers(20_000).map((at) => `z${at}=${at + 0.5}`) }],
  ];
  assert.deepEqual(sorted([...keys.keys()]), sorted(expected.map(([name]) => name)));
  for (const [name, { type, values }] of expected) {
    const taken = keys.get(name);
    assert.equal(taken?.type, type, name);
    if (type === redisType.list) assert.deepEqual(taken.values, values, name);
    else assert.deepEqual(sorted(taken.values), sorted(values), name);
  }
});

test("what stays comes once while tables shrink and grow under the scan", async () => {
  await using server = await startRedis();
  await using own = await server.connect();
  const stable = 10_000;
  const extra = 300_000;
  await all(
    own,
    Array.from({ length: stable }, (_, at) => ["SET", `i${at}`, `v${at}`]),
  );
  await all(
    own,
    Array.from({ length: extra / 500 }, (_, from) => [
      "MSET",
      ...Array.from({ length: 500 }, (_, at) => [`s${from * 500 + at}`, "x"]).flat(),
    ]),
  );
  await all(
    own,
    bulk("HSET", "d1", stable, (at) => [`f${at}`, at]),
  );
  await all(
    own,
    bulk("HSET", "d1", extra, (at) => [`extra${at}`, 1]),
  );
  let stepsInHash = 0;
  const keys = await scan(server.url(), async ({ phase, done }, taken) => {
    if (phase === "names") {
      // A table that has become much too large is made smaller: SCAN then names keys twice.
      if (Math.floor(done / 1000) === 100) {
        await all(
          own,
          bulk("UNLINK", "s0", extra, (at) => [`s${at}`]),
        );
        await sleep(500);
      }
    }
    if (taken.has("d1") && stepsInHash++ === 40) {
      await all(
        own,
        bulk("HDEL", "d1", extra, (at) => [`extra${at}`]),
      );
      await all(
        own,
        bulk("HSET", "d1", 100_000, (at) => [`later${at}`, 1]),
      );
    }
  });
  assert.ok(stepsInHash > 40);
  for (let at = 0; at < stable; at++) assert.deepEqual(keys.get(`i${at}`)?.values, [`v${at}`]);
  const fields = keys.get("d1")?.values ?? [];
  assert.equal(new Set(fields.map((field) => field.split("=")[0])).size, fields.length);
  const kept = new Set(fields);
  for (let at = 0; at < stable; at++) assert.ok(kept.has(`f${at}=${at}`));
});

test("keys that vanish are left out, and a key of another type is handed over with its own", async () => {
  await using server = await startRedis();
  await using own = await server.connect();
  await all(
    own,
    Array.from({ length: 3000 }, (_, at) => ["SET", `i${at}`, `v${at}`]),
  );
  await own.command("RPUSH", "d5", "a list where a hash should be");
  const keys = await scan(server.url(), async ({ phase, done }) => {
    if (phase === "names" && done >= 3001) await own.command("DEL", "i1", "i2", "i2999");
  });
  assert.equal(keys.size, 2998);
  assert.deepEqual(keys.get("d5"), { type: redisType.list, values: ["a list where a hash should be"] });
});

test("in a cluster only the keys of the volume's database number are read", async () => {
  await using cluster = await startRedisCluster();
  for (const database of [0, 1]) {
    const site = await openRedisSite(parseRedisUrl(cluster.url(database)), { signal });
    await using connection = await site.connect();
    await connection.call("SET", `{${database}}i1`, `of ${database}`);
    await connection.call("HSET", `{${database}}d1`, "name", "entry");
  }
  const keys = await scan(cluster.url(1));
  assert.deepEqual(sorted([...keys.keys()]), ["{1}d1", "{1}i1"]);
  assert.deepEqual(keys.get("{1}i1")?.values, ["of 1"]);
});

test("a user who may not read names the right that is missing", async () => {
  await using server = await startRedis({ users: ["reader on >pw %R~* +scan +get +dbsize +select +type"] });
  await using own = await server.connect();
  await own.command("HSET", "d1", "a", "b");
  await assert.rejects(scan(server.url(0, { user: "reader", password: "pw" })), (error) => {
    assert.ok(error instanceof CairnError);
    assert.equal(error.code, "privilege-missing");
    assert.match(error.next ?? "", /ACL SETUSER reader \+hscan/);
    return true;
  });
});
