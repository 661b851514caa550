import assert from "node:assert/strict";
import { mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CairnError } from "../../src/model/errors.ts";
import { redisVersions } from "../peers/redis-programs.ts";
import { startRedis } from "../peers/redis.ts";
import type { RedisServer } from "../peers/redis.ts";
import {
  oldEncodings,
  rdbFile,
  rdbKey,
  rdbLength,
  rdbString,
  timedHashes,
  valkeyHashes,
} from "../support/rdb-builder.ts";
import type { RedisContents } from "../support/redis-contents.ts";
import { parseRdb, readContents } from "../support/redis-contents.ts";
import { addFunctions, fillEncodings } from "../support/redis-encodings.ts";

const cuts = [[1 << 20], [1], [7, 1, 3], [100, 1, 1, 4096], [65_536]];

/** What the server saves, as it lies on disk. */
async function savedBy(server: RedisServer): Promise<Buffer> {
  await server.command("SAVE");
  const [, folder] = (await listOf(server, "CONFIG", "GET", "dir")) as [string, string];
  const [, file] = (await listOf(server, "CONFIG", "GET", "dbfilename")) as [string, string];
  return readFileSync(join(folder, file));
}

async function listOf(server: RedisServer, ...words: string[]): Promise<string[]> {
  await using connection = await server.connect();
  return ((await connection.command(...words)) as Buffer[]).map(String);
}

function sorted(contents: RedisContents): RedisContents {
  return new Map([...contents].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const configs = [[], ["rdbcompression no"], ["list-max-ziplist-size 4", "hash-max-ziplist-entries 4"]];
const cases = redisVersions.flatMap((version) =>
  configs.map((config) => ({ version, config, name: `Redis ${version}, ${config.join(", ") || "defaults"}` })),
);

for (const { version, config, name } of cases) {
  test(`every encoding of a real server is read as it answers itself: ${name}`, async () => {
    await using server = await startRedis({ version, config });
    await using connection = await server.connect(0);
    await fillEncodings(connection);
    await addFunctions(connection);
    await using other = await server.connect(2);
    await fillEncodings(other);
    await other.command("SET", "only", "here");
    const expected = sorted(await readContents(connection));
    assert.ok(expected.size > 40);
    const bytes = await savedBy(server);
    for (const cut of cuts) {
      const { contents, facts } = parseRdb(bytes, { cuts: cut });
      assert.deepEqual(sorted(contents), expected, `cut ${cut.join()}`);
      assert.equal(facts.hasChecksum, true);
      assert.equal(facts.bytes, bytes.length);
      assert.equal(facts.keys.get(2), (facts.keys.get(0) ?? 0) + 1);
    }
    const second = parseRdb(bytes, { database: 2 }).contents;
    assert.deepEqual(second.get("only"), { type: "string", values: ["here"] });
    assert.equal(parseRdb(bytes, { database: 7 }).contents.size, 0);
  });
}

test("hashes whose fields have times are read as a real Redis 8 saves them", async () => {
  for (const count of [3, 700]) {
    await using server = await startRedis({ version: "8" });
    await using connection = await server.connect(0);
    const fields = Array.from({ length: count }, (_, at) => [`field ${at}`, `value ${at}`]).flat();
    await connection.command("HSET", "hash", ...fields);
    await connection.command("HEXPIRE", "hash", 100_000_000, "FIELDS", 2, "field 0", "field 2");
    await connection.command("SET", "after", "it");
    const expected = sorted(await readContents(connection));
    const bytes = await savedBy(server);
    for (const cut of cuts) assert.deepEqual(sorted(parseRdb(bytes, { cuts: cut }).contents), expected);
    assert.equal(parseRdb(bytes, { database: 1 }).facts.keys.get(0), 2);
  }
});

test("encodings of before 7.0, made by hand, are read as a real server reads them", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-rdb-"));
  const rdb = oldEncodings();
  const path = join(folder.path, "old.rdb");
  writeFileSync(path, rdb);
  await using server = await startRedis({ rdbFile: path });
  await using connection = await server.connect();
  const expected = sorted(await readContents(connection));
  assert.equal(expected.size, 9);
  for (const cut of cuts) assert.deepEqual(sorted(parseRdb(rdb, { cuts: cut }).contents), expected);
});

test("hashes whose fields have times are read with all their fields, and passed over when nobody wants them", () => {
  const fields = { type: "hash", values: ["a=1", "b=2"] };
  for (const cut of cuts) {
    const { contents } = parseRdb(timedHashes(), { cuts: cut });
    for (const key of ["metadata before", "listpack before", "metadata", "listpack"]) {
      assert.deepEqual(contents.get(key), fields, key);
    }
    assert.deepEqual(contents.get("plain"), { type: "hash", values: ["a=1"] });
    assert.equal(parseRdb(timedHashes(), { cuts: cut, database: 1 }).facts.keys.get(0), 5);
    assert.deepEqual(parseRdb(valkeyHashes(), { cuts: cut }).contents.get("hash"), fields);
    assert.equal(parseRdb(valkeyHashes(), { cuts: cut, database: 1 }).facts.isValkey, true);
  }
});

function codeOf(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof CairnError, String(error));
    return `${error.code}: ${error.message}`;
  }
  return "accepted";
}

test("what is damaged or unknown is refused, with its place and the key", async () => {
  const list = rdbKey(18, "c5_0", rdbLength(1), rdbLength(2), rdbString("no listpack"));
  assert.match(
    codeOf(() => parseRdb(rdbFile("REDIS0011", list))),
    /^rdb-damaged: .* at byte \d+, in key "c5_0": .*listpack/,
  );
  assert.match(
    codeOf(() => parseRdb(rdbFile("REDIS0099"))),
    /^rdb-unsupported: .*version 99/,
  );
  assert.match(
    codeOf(() => parseRdb(rdbFile("REDIS0011", rdbKey(77, "k")))),
    /^rdb-unsupported: .*type 77/,
  );
  assert.match(
    codeOf(() => parseRdb(rdbFile("RUBBISH11"))),
    /^rdb-damaged/,
  );
  assert.match(
    codeOf(() => parseRdb(Buffer.alloc(0))),
    /^rdb-damaged: .*empty/,
  );
  const whole = rdbFile("REDIS0011", rdbKey(0, "key", rdbString("value")));
  assert.match(
    codeOf(() => parseRdb(whole.subarray(0, -3))),
    /^rdb-damaged: .*too early/,
  );
  assert.match(
    codeOf(() => parseRdb(Buffer.concat([whole, Buffer.from("x")]))),
    /^rdb-damaged: .*behind its end/,
  );
  assert.equal(
    codeOf(() => parseRdb(whole)),
    "accepted",
  );
  await using server = await startRedis();
  await server.command("SET", "key", "value");
  const saved = await savedBy(server);
  for (let at = 9; at < saved.length; at++) {
    const flipped = Buffer.from(saved);
    flipped[at] ^= 4;
    assert.match(
      codeOf(() => parseRdb(flipped)),
      /^rdb-/,
      `byte ${at}`,
    );
  }
});

test("a string above the bound is passed over in a key that nobody wants, and refused in another", () => {
  const long = rdbKey(0, "long", rdbString("x".repeat(300_000)));
  const rdb = rdbFile("REDIS0011", long, rdbKey(0, "short", rdbString("value")));
  for (const cut of cuts) {
    if (cut[0] === 1) continue;
    assert.equal(parseRdb(rdb, { cuts: cut, database: 1, stringBytesMax: 1000 }).facts.keys.get(0), 2);
    assert.match(
      codeOf(() => parseRdb(rdb, { cuts: cut, stringBytesMax: 1000 })),
      /^rdb-unsupported: .*in key "long": a string has 300000 bytes/,
    );
    assert.equal(parseRdb(rdb, { cuts: cut }).contents.get("long")?.values[0].length, 300_000);
  }
});
