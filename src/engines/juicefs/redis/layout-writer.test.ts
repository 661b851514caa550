import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Batch, Row } from "../../../model/batch.ts";
import { batchFromRows } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs, juicefsTable, nodeColumn, trashInode } from "../../../model/juicefs.ts";
import { commandWriter } from "../../../protocols/redis/command-writer.ts";
import { redisType } from "../../../protocols/redis/rdb-sink.ts";
import { ReplyParser } from "../../../protocols/redis/resp.ts";
import { SpillOutput } from "../../../protocols/redis/spill-output.ts";
import { HardLinkParents } from "./hard-link-parents.ts";
import { listedKeys, listKeys } from "./key-list.ts";
import { isLayoutKey } from "./layout-keys.ts";
import { openLayoutWriter } from "./layout-writer.ts";
import { attributeEncoder } from "./node-attribute.ts";
import { PairSorter } from "./pair-sorter.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-layout-writer-"));
after(() => rmSync(folder, { recursive: true }));

const text = (value: string): Buffer => Buffer.from(value);

function nodeRow(values: Partial<Record<keyof typeof nodeColumn, number | bigint>>): Row {
  const row: (number | bigint)[] = juicefs.tables[juicefsTable.node].columns.map(() => 0);
  for (const [name, value] of Object.entries(values)) row[nodeColumn[name as keyof typeof nodeColumn]] = value;
  return row;
}

function batchOf(table: keyof typeof juicefsTable, rows: readonly Row[]): Batch {
  return batchFromRows(juicefs.tables[juicefsTable[table]], juicefsTable[table], rows);
}

/** The commands that a volume becomes, as lists of words. */
function commandsOf(batches: readonly Batch[], prefix = ""): string[][] {
  using output = new SpillOutput(folder);
  const keys = commandWriter(output);
  const listing = listKeys(keys, join(folder, "keys"));
  using layout = openLayoutWriter(listing, {
    prefix,
    facts: { nextSession: "3", lastCleanupFiles: "17" },
    temporaryFolder: folder,
    memoryBytes: 16 << 20,
    now: 1_000_000,
  });
  for (const batch of batches) layout.write(batch);
  layout.finish();
  listing.close();
  keys.flush();
  const parser = new ReplyParser({});
  for (let bytes = output.take(true); bytes !== undefined; bytes = output.take(true)) parser.push(Buffer.from(bytes));
  const commands: string[][] = [];
  for (let reply = parser.next(); reply !== undefined; reply = parser.next()) {
    commands.push((reply as Buffer[]).map((word) => word.toString("latin1")));
  }
  return commands;
}

/** What a command says of one key; MSET is taken apart. */
function said(commands: readonly string[][], key: string): string[] {
  for (const command of commands) {
    if (command[0] === "MSET") {
      for (let at = 1; at < command.length; at += 2) if (command[at] === key) return ["SET", command[at + 1]];
    } else if (command[1] === key) return [command[0], ...command.slice(2)];
  }
  return [];
}

test("attributes: the four lengths, the padding byte, the reference's example", () => {
  const plain = nodeRow({
    inode: 1,
    type: 2,
    mode: 0o777,
    atime: 5n,
    mtime: 5n,
    ctime: 5n,
    nlink: 2,
    length: 4096,
    parent: 1,
  });
  const batch = batchOf("node", [
    plain,
    nodeRow({ inode: 2, tier: 9 }),
    nodeRow({ inode: 3, defaultAcl: 7 }),
    nodeRow({ inode: 4, accessAcl: 1, tier: 2, flags: 32, atime: -1n, parent: trashInode }),
  ]);
  const encoder = attributeEncoder(batch);
  const encoded = [0, 1, 2, 3].map((row) => {
    const bytes = new Uint8Array(encoder.length(row)).fill(255);
    encoder.put(row, bytes, 0);
    return Buffer.from(bytes).toString("hex");
  });
  assert.deepEqual(
    encoded.map((hex) => hex.length / 2),
    [72, 73, 80, 81],
  );
  const time = "000000000000000500000000";
  assert.equal(
    encoded[0],
    `0021ff0000000000000000${time}${time}${time}00000002000000000000100000000000000000000000000100`,
  );
  assert.ok(encoded[1].endsWith("0900"));
  assert.ok(encoded[2].endsWith("000000000000000700"));
  assert.ok(encoded[3].startsWith("20"));
  assert.ok(encoded[3].endsWith("7fffffff1000000000000001000000000200"));
  assert.ok(encoded[3].includes("ffffffffffffffff"));
});

test("every table becomes its keys", () => {
  const commands = commandsOf([
    batchOf("counter", [
      [text("nextChunk"), 8n],
      [text("nextInode"), 5n],
      [text("nextTrash"), 0n],
      [text("totalInodes"), 3n],
      [text("usedSpace"), -4096n],
    ]),
    batchOf("node", [
      nodeRow({ inode: 1, type: 2, parent: 1 }),
      nodeRow({ inode: 2, type: 1, parent: 1 }),
      nodeRow({ inode: 3, type: 1, parent: 0, nlink: 3 }),
      nodeRow({ inode: 4, type: 2, parent: 1 }),
    ]),
    batchOf("edge", [
      [1, text("a"), 2, 1],
      [1, text("b"), 3, 1],
      [1, text("c"), 3, 1],
    ]),
    batchOf("edge", [
      [1, text("d"), 4, 2],
      [4, text("\xff"), 3, 1],
    ]),
    batchOf("chunk", [
      [2, 0, Buffer.alloc(48, 1)],
      [2, 7, Buffer.alloc(25, 2)],
    ]),
    batchOf("sliceRef", [
      [5, 4096, 0n],
      [6, 10, 3n],
      [7, 1, -1n],
    ]),
    batchOf("symlink", [[9, text("target")]]),
    batchOf("xattr", [
      [2, text("user.a"), text("1")],
      [2, text("user.b"), text("")],
    ]),
    batchOf("acl", [[3, 7, 5, 0xffff, 4, Buffer.alloc(12, 1), Buffer.alloc(6, 2)]]),
    batchOf("dirStat", [[1, 10n, -20n, 30n]]),
    batchOf("quota", [
      [0, 4, -1n, 5n, 6n, 7n],
      [1, 1000, 1n, 2n, 3n, 4n],
    ]),
    batchOf("deletedFile", [[8, 2n ** 40n, 1_700_000_000n]]),
    batchOf("delayedSlice", [[6, 1_700_000_001n, Buffer.alloc(12, 3)]]),
    batchOf("detachedNode", [[4, 1_700_000_002n]]),
    batchOf("sustained", [
      [7, 2],
      [7, 3],
      [8, 2],
    ]),
  ]);
  const entry = (type: number, inode: number): string =>
    String.fromCharCode(type) + "\0".repeat(7) + String.fromCharCode(inode);
  assert.deepEqual(said(commands, "nextinode"), ["SET", "4"]);
  assert.deepEqual(said(commands, "nextchunk"), ["SET", "7"]);
  assert.deepEqual(said(commands, "usedSpace"), ["SET", "-4096"]);
  assert.deepEqual(said(commands, "nextTrash"), []);
  assert.deepEqual(said(commands, "nextsession"), ["SET", "8"]);
  assert.deepEqual(said(commands, "lastCleanupFiles"), ["SET", "17"]);
  assert.deepEqual(said(commands, "aclMaxId"), ["SET", "3"]);
  assert.deepEqual(said(commands, "d1"), [
    "HSET",
    "a",
    entry(1, 2),
    "b",
    entry(1, 3),
    "c",
    entry(1, 3),
    "d",
    entry(2, 4),
  ]);
  assert.deepEqual(said(commands, "d4"), ["HSET", text("\xff").toString("latin1"), entry(1, 3)]);
  assert.deepEqual(said(commands, "p3"), ["HSET", "1", "2", "4", "1"]);
  assert.deepEqual(said(commands, "p2"), []);
  assert.deepEqual(said(commands, "c2_0"), ["RPUSH", "\x01".repeat(24), "\x01".repeat(24)]);
  assert.deepEqual(said(commands, "c2_7"), ["RPUSH", "\x02".repeat(24), "\x02"]);
  assert.deepEqual(said(commands, "sliceRef"), ["HSET", "k5_4096", "-1", "k6_10", "2", "k7_1", "-2"]);
  assert.deepEqual(said(commands, "s9"), ["SET", "target"]);
  assert.deepEqual(said(commands, "x2"), ["HSET", "user.a", "1", "user.b", ""]);
  assert.deepEqual(said(commands, "acl"), [
    "HSET",
    "3",
    `\0\x07\0\x05\xff\xff\0\x04\0\0\0\x02${"\x01".repeat(12)}\0\0\0\x01${"\x02".repeat(6)}`,
  ]);
  assert.deepEqual(said(commands, "dirUsedSpace"), ["HSET", "1", "-20"]);
  assert.deepEqual(said(commands, "dirQuotaUsedInodes"), ["HSET", "4", "7"]);
  assert.deepEqual(said(commands, "dirQuota"), ["HSET", "4", `${"\xff".repeat(8)}${"\0".repeat(7)}\x05`]);
  assert.deepEqual(said(commands, "userQuotaUsedSpace"), ["HSET", "1000", "3"]);
  assert.deepEqual(said(commands, "delfiles"), ["ZADD", "1700000000", "8:1099511627776"]);
  assert.deepEqual(said(commands, "delSlices"), ["HSET", "6_1700000001", "\x03".repeat(12)]);
  assert.deepEqual(said(commands, "detachedNodes"), ["ZADD", "1700000002", "4"]);
  assert.deepEqual(said(commands, "session7"), ["SADD", "2", "3"]);
  assert.deepEqual(said(commands, "session8"), ["SADD", "2"]);
  assert.deepEqual(said(commands, "allSessions"), ["ZADD", "996400", "7", "996400", "8"]);
  assert.match(said(commands, "sessionInfos")[2], /"HostName":"restored-session"/);

  const keys = commands.flatMap((command) =>
    command[0] === "MSET" ? command.filter((_, at) => at % 2 === 1) : [command[1]],
  );
  assert.deepEqual(
    keys.filter((key) => !isLayoutKey(key)),
    [],
  );
  // The list of keys names each of them once.
  const listed = [...listedKeys(join(folder, "keys"))];
  assert.equal(listed.length, new Set(keys).size);
  rmSync(join(folder, "keys"));
});

test("a cluster's prefix stands before every key", () => {
  const commands = commandsOf(
    [batchOf("node", [nodeRow({ inode: 1, type: 2, parent: 1 })]), batchOf("edge", [[1, text("a"), 2, 1]])],
    "{7}",
  );
  assert.equal(said(commands, "{7}i1")[0], "SET");
  assert.equal(said(commands, "{7}d1")[0], "HSET");
  assert.equal(said(commands, "{7}nextsession")[0], "SET");
  const names = [...listedKeys(join(folder, "keys"))].length;
  assert.equal(names, 4);
  rmSync(join(folder, "keys"));
});

test("a counter that could be another key is refused", () => {
  assert.throws(
    () => commandsOf([batchOf("counter", [[text("setting"), 1n]])]),
    (error) => error instanceof CairnError && error.code === "does-not-fit",
  );
  rmSync(join(folder, "keys"));
});

test("names of keys come back from their list, types and counts with them", () => {
  using output = new SpillOutput(folder);
  const path = join(folder, "many");
  const listing = listKeys(commandWriter(output), path);
  const names: string[] = [];
  for (let inode = 1; inode < 60_000; inode += 7) {
    const name = text(`i${inode}`);
    listing.string(name, name.length, 0);
    names.push(`i${inode}`);
    const chunk = text(`c${inode}_0`);
    listing.list(chunk, chunk.length, Buffer.alloc(72), 0, 72, 24);
    names.push(`c${inode}_0`);
  }
  listing.close();
  let at = 0;
  for (const key of listedKeys(path)) {
    assert.equal(Buffer.from(key.name.subarray(0, key.nameLength)).toString(), names[at]);
    assert.equal(key.type, at % 2 === 0 ? redisType.string : redisType.list);
    assert.equal(key.count, at % 2 === 0 ? 0 : 3);
    at++;
  }
  assert.equal(at, names.length);
});

test("pairs are sorted in memory and through files alike", () => {
  let state = 12_345;
  const random = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0);
  const pairs = Array.from({ length: 30_000 }, () => [random() % 50, random() % 3, random() % 1000, random() % 2]);
  const expected = pairs
    .toSorted((a, b) => a[1] - b[1] || a[0] - b[0] || a[3] - b[3] || a[2] - b[2])
    .map((pair) => pair.join());
  for (const memoryBytes of [64 << 20, 100_000]) {
    using sorter = new PairSorter(folder, memoryBytes);
    for (const [a, b, c, d] of pairs) sorter.add(a, b, c, d);
    const sorted: string[] = [];
    for (const { words, count } of sorter.sorted()) {
      for (let at = 0; at < 4 * count; at += 4) sorted.push(words.subarray(at, at + 4).join());
    }
    assert.deepEqual(sorted, expected);
  }
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".run")),
    [],
  );
});

test("parents of hard links: counted by directory; directories and other files have none", () => {
  using parents = new HardLinkParents(folder, 1 << 20);
  parents.seeNodes(
    batchOf("node", [
      nodeRow({ inode: 1, type: 2, parent: 0 }),
      nodeRow({ inode: 2, type: 1, parent: 0 }),
      nodeRow({ inode: 3, type: 1, parent: 1 }),
      nodeRow({ inode: 2n ** 40n, type: 3, parent: 0 }),
      nodeRow({ inode: 2n ** 40n + 1n, type: 1, parent: 0 }),
    ]),
  );
  parents.seeEdges(
    batchOf("edge", [
      [1, text("a"), 2, 1],
      [1, text("b"), 2, 1],
      [1, text("c"), 3, 1],
      [1, text("d"), 1, 2],
      [trashInode, text("e"), 2, 1],
      [2n ** 33n, text("f"), 2n ** 40n, 3],
    ]),
  );
  const found: string[] = [];
  const wide = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
  parents.visit((inodeLow, inodeHigh, parentLow, parentHigh, links) =>
    found.push(`${wide(inodeLow, inodeHigh)} ${wide(parentLow, parentHigh)} ${links}`),
  );
  assert.deepEqual(found, [`2 1 2`, `2 ${trashInode} 1`, `${2n ** 40n} ${2n ** 33n} 1`]);
});
