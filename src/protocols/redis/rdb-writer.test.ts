import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { commandWriter } from "./command-writer.ts";
import { Crc64 } from "./crc64.ts";
import type { KeyWriter } from "./key-writer.ts";
import { RdbParser } from "./rdb-parser.ts";
import type { RedisSink } from "./rdb-sink.ts";
import { rdbWriter } from "./rdb-writer.ts";
import { encodeCommand } from "./resp.ts";
import { SpillOutput } from "./spill-output.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-rdb-writer-"));
after(() => rmSync(folder, { recursive: true }));

const bytesOf = (text: string): Buffer => Buffer.from(text);

function takeAll(output: SpillOutput): Buffer {
  const pieces: Buffer[] = [];
  for (let bytes = output.take(true); bytes !== undefined; bytes = output.take(true)) {
    pieces.push(Buffer.from(bytes));
    output.recycle(bytes);
  }
  return Buffer.concat(pieces);
}

function putString(keys: KeyWriter, key: string, value: Uint8Array): void {
  const at = keys.string(bytesOf(key), key.length, value.length);
  keys.bytes.set(value, at);
}

function putHash(keys: KeyWriter, key: string, fields: Iterable<readonly [string, string]>): void {
  const hash = keys.collection("hash");
  hash.begin(bytesOf(key), key.length);
  for (const [name, value] of fields) {
    const at = hash.field(bytesOf(name), 0, name.length, value.length);
    hash.bytes.set(bytesOf(value), at);
  }
  hash.end();
}

/** One key of every type, an empty hash (no key), and lengths around the limits of their encodings. */
function putSamples(keys: KeyWriter): void {
  for (const length of [0, 1, 63, 64, 65, 16_383, 16_384, 100_000]) {
    putString(keys, `string${length}`, new Uint8Array(length).fill(97));
  }
  putHash(keys, "hash", [
    ["a", "1"],
    ["", ""],
    ["c".repeat(70), "3".repeat(300)],
  ]);
  putHash(keys, "nothing", []);
  keys.list(bytesOf("list"), 4, bytesOf("aaabbbc"), 0, 7, 3);
  const set = keys.collection("set");
  set.begin(bytesOf("set"), 3);
  set.member(bytesOf("xmembery"), 1, 7);
  set.end();
  const zset = keys.collection("zset");
  zset.begin(bytesOf("zset"), 4);
  zset.scored(bytesOf("m"), 0, 1, "-1766000000");
  zset.scored(bytesOf("n"), 0, 1, "4503599627370497");
  zset.end();
}

function collect(): { sink: RedisSink; keys: Map<string, unknown[]> } {
  const keys = new Map<string, unknown[]>();
  let current: unknown[] = [];
  const text = (bytes: Uint8Array, start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString("latin1");
  const sink: RedisSink = {
    begin(type, bytes, start, end) {
      current = [type];
      keys.set(text(bytes, start, end), current);
      return true;
    },
    string: (bytes, start, end) => void current.push(end - start > 100 ? end - start : text(bytes, start, end)),
    element: (bytes, start, end) => void current.push(text(bytes, start, end)),
    field: (name, from, to, value, start, end) => void current.push(text(name, from, to), text(value, start, end)),
    member: (bytes, start, end, score) => void current.push(text(bytes, start, end), score),
    end() {},
  };
  return { sink, keys };
}

function rdbOf(put: (keys: KeyWriter) => void): Buffer {
  using output = new SpillOutput(folder);
  using keys = rdbWriter(output, folder);
  keys.start(3, 100);
  put(keys);
  keys.endMark();
  const body = takeAll(output);
  const checksum = new Crc64();
  checksum.update(body, 0, body.length);
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(checksum.low, 0);
  tail.writeUInt32LE(checksum.high, 4);
  return Buffer.concat([body, tail]);
}

function parse(rdb: Buffer): Map<string, unknown[]> {
  const { sink, keys } = collect();
  const parser = new RdbParser(sink, { database: 3 });
  for (let at = 0; at < rdb.length; at += 70_000) parser.feed(rdb.subarray(at, at + 70_000));
  parser.finish();
  return keys;
}

test("every type comes back from an RDB, whatever its lengths", () => {
  const keys = parse(rdbOf(putSamples));
  assert.equal(keys.size, 12);
  assert.deepEqual(keys.get("hash"), [4, "a", "1", "", "", "c".repeat(70), "3".repeat(300)]);
  assert.deepEqual(keys.get("list"), [1, "aaa", "bbb", "c"]);
  assert.deepEqual(keys.get("set"), [2, "member"]);
  assert.deepEqual(keys.get("zset"), [3, "m", -1_766_000_000, "n", 4_503_599_627_370_497]);
  assert.deepEqual(keys.get("string64"), [0, "a".repeat(64)]);
  assert.deepEqual(keys.get("string100000"), [0, 100_000]);
  assert.equal(keys.has("nothing"), false);
});

test("several keys are written at the same time, and a large one goes through a file", () => {
  const entries = 200_000;
  const keys = parse(
    rdbOf((writer) => {
      const hashes = ["left", "right"].map((key) => {
        const hash = writer.collection("hash");
        hash.begin(bytesOf(key), key.length);
        return hash;
      });
      for (let entry = 0; entry < entries; entry++) {
        const name = bytesOf(`entry-number-${entry}`);
        for (const hash of hashes) {
          const at = hash.field(name, 0, name.length, 9);
          hash.bytes.set(bytesOf("123456789"), at);
        }
      }
      for (const hash of hashes) hash.end();
      putSamples(writer);
    }),
  );
  for (const key of ["left", "right"]) {
    const fields = keys.get(key) ?? [];
    assert.equal(fields.length, 1 + 2 * entries);
    assert.equal(fields[1], "entry-number-0");
    assert.equal(fields.at(-2), `entry-number-${entries - 1}`);
  }
  assert.deepEqual(keys.get("list"), [1, "aaa", "bbb", "c"]);
});

test("commands: what is written at once, and what is split", () => {
  using output = new SpillOutput(folder);
  const keys = commandWriter(output);
  putString(keys, "i1", bytesOf("one"));
  putString(keys, "i2", bytesOf(""));
  putHash(
    keys,
    "d1",
    Array.from({ length: 300 }, (_, at) => [`name${at}`, "v"] as const),
  );
  keys.list(bytesOf("c1_0"), 4, bytesOf("aaabbbc"), 0, 7, 3);
  keys.flush();
  const fields = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, at) => [`name${from + at}`, "v"]).flat();
  const expected = [
    ["HSET", "d1", ...fields(0, 256)],
    ["HSET", "d1", ...fields(256, 300)],
    ["RPUSH", "c1_0", "aaa", "bbb", "c"],
    ["MSET", "i1", "one", "i2", ""],
  ];
  assert.equal(takeAll(output).toString(), expected.map((command) => encodeCommand(command).toString()).join(""));
  assert.equal(keys.commands, expected.length);
});

test("what a taker leaves lying goes to a file, and comes out in order", () => {
  using output = new SpillOutput(folder);
  const block = new Uint8Array(700_000);
  for (let at = 0; at < 40; at++) output.write(block.fill(at));
  const first = output.take(false);
  assert.equal(first?.[0], 0);
  output.write(block.fill(40));
  const rest = takeAll(output);
  assert.equal(rest.length + (first?.length ?? 0), 41 * block.length);
  let last = 0;
  for (let at = 0; at < rest.length; at += 10_000) {
    assert.ok(rest[at] === last || rest[at] === last + 1, `${rest[at]} follows ${last}`);
    last = rest[at];
  }
  assert.equal(last, 40);
});
