import type { Batch, BytesColumn, IntegerColumn } from "../../../model/batch.ts";
import { bytesAt, bytesOf, integersOf, signedAt, unsignedAt } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { Facts } from "../../../model/ports.ts";
import type { CollectionWriter, KeyWriter } from "../../../protocols/redis/key-writer.ts";
import { decimalBytes, putDecimal, putSignedDecimal, putSmall, putText } from "../../../protocols/redis/put-decimal.ts";
import { factCounter, factCounters } from "../counters.ts";
import { restoredSession } from "../restored-session.ts";
import { HardLinkParents } from "./hard-link-parents.ts";
import { counterName } from "./layout-keys.ts";
import { attributeEncoder, put32, put64 } from "./node-attribute.ts";

export interface LayoutOptions {
  /** In front of every key: `{db}` on a cluster, else nothing. */
  readonly prefix: string;
  readonly facts: Facts;
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  /** Seconds since 1970: restored sessions are made to have ended before. */
  readonly now: number;
}

/** Writes a volume in JuiceFS' layout of Redis (`pkg/meta/redis.go`), all but `setting`. Batches come in the order of the tables and keys. */
export interface LayoutWriter extends Disposable {
  write(batch: Batch): void;
  /** After the last batch: what follows from all of them. */
  finish(): void;
}

const sliceBytes = 24;
const edgeValueBytes = 9;

/** Counters under the names that Redis has for them. */
const redisCounterNames: Readonly<Record<string, string>> = {
  nextInode: "nextinode",
  nextChunk: "nextchunk",
  nextSession: "nextsession",
};

/** Stored as the last number given out instead of the next free one. */
const oneLess = ["nextInode", "nextChunk"];

const noBytes: BytesColumn = { offsets: new Uint32Array(65_537), arena: new Uint8Array(0) };

export function openLayoutWriter(keys: KeyWriter, options: LayoutOptions): LayoutWriter {
  const prefix = Buffer.from(options.prefix);
  const key = new Uint8Array(prefix.length + 64);
  key.set(prefix);
  const parents = new HardLinkParents(options.temporaryFolder, options.memoryBytes / 4);
  const name = new Uint8Array(2 * decimalBytes + 4);
  const counters = new Map<string, bigint>();
  const sessions = new Set<bigint>();
  let maxAcl = 0;

  /** One letter and an inode as the key; returns its length. */
  function inodeKey(letter: number, low: number, high: number): number {
    key[prefix.length] = letter;
    return putDecimal(key, prefix.length + 1, low, high);
  }
  function namedKey(text: string): number {
    return putText(key, prefix.length, text);
  }
  function putString(text: string, value: Uint8Array): void {
    const at = keys.string(key, namedKey(text), value.length);
    keys.bytes.set(value, at);
  }

  /** Hashes of one key for each inode: the one under way goes on in the next batch. */
  const hashes = new Map<number, { writer: CollectionWriter; low: number; high: number; open: boolean }>();
  function inodeHash(table: number, letter: number, low: number, high: number): CollectionWriter {
    let hash = hashes.get(table);
    if (hash === undefined) {
      hash = { writer: keys.collection("hash"), low: 0, high: 0, open: false };
      hashes.set(table, hash);
    }
    if (hash.open && hash.low === low && hash.high === high) return hash.writer;
    if (hash.open) hash.writer.end();
    hash.writer.begin(key, inodeKey(letter, low, high));
    hash.low = low;
    hash.high = high;
    hash.open = true;
    return hash.writer;
  }

  /** Keys of which there is one in the volume. */
  const single = new Map<string, CollectionWriter>();
  function singleKey(type: "hash" | "zset" | "set", text: string): CollectionWriter {
    let writer = single.get(text);
    if (writer === undefined) {
      writer = keys.collection(type);
      writer.begin(key, namedKey(text));
      single.set(text, writer);
    }
    return writer;
  }

  /** What is complete when a table begins. */
  let current = -1;
  function endTable(): void {
    for (const hash of hashes.values()) {
      if (hash.open) hash.writer.end();
      hash.open = false;
    }
    for (const writer of single.values()) writer.end();
    single.clear();
  }

  function writeNodes(batch: Batch): void {
    parents.seeNodes(batch);
    const inodes = integersOf(batch, 0);
    const encoder = attributeEncoder(batch);
    for (let row = 0; row < batch.count; row++) {
      const keyLength = inodeKey(letters.i, inodes[2 * row], inodes[2 * row + 1]);
      const at = keys.string(key, keyLength, encoder.length(row));
      encoder.put(row, keys.bytes, at);
    }
  }

  function writeEdges(batch: Batch): void {
    parents.seeEdges(batch);
    const directories = integersOf(batch, 0);
    const names = bytesOf(batch, 1);
    const inodes = wide(batch, 2);
    const types = narrow(batch, 3);
    for (let row = 0; row < batch.count; row++) {
      const hash = inodeHash(juicefsTable.edge, letters.d, directories[2 * row], directories[2 * row + 1]);
      const at = hash.field(names.arena, names.offsets[row], names.offsets[row + 1], edgeValueBytes);
      hash.bytes[at] = types[row];
      put64(hash.bytes, at + 1, inodes, row);
    }
  }

  function writeChunks(batch: Batch): void {
    const inodes = integersOf(batch, 0);
    const indexes = integersOf(batch, 1);
    const slices = (batch.columns[2] as BytesColumn | undefined) ?? noBytes;
    for (let row = 0; row < batch.count; row++) {
      const start = slices.offsets[row];
      const end = slices.offsets[row + 1];
      if (start === end) continue;
      let keyLength = inodeKey(letters.c, inodes[2 * row], inodes[2 * row + 1]);
      key[keyLength++] = letters.underscore;
      keyLength = putSmall(key, keyLength, indexes[row]);
      keys.list(key, keyLength, slices.arena, start, end, sliceBytes);
    }
  }

  function writeSliceRefs(batch: Batch): void {
    const ids = integersOf(batch, 0);
    const sizes = integersOf(batch, 1);
    const refs = wide(batch, 2);
    const hash = singleKey("hash", "sliceRef");
    for (let row = 0; row < batch.count; row++) {
      name[0] = letters.k;
      let nameLength = putDecimal(name, 1, ids[2 * row], ids[2 * row + 1]);
      name[nameLength++] = letters.underscore;
      nameLength = putSmall(name, nameLength, sizes[row]);
      // One reference is understood.
      const low = (refs[2 * row] - 1) >>> 0;
      putNumberField(hash, nameLength, low, low === 0xffffffff ? (refs[2 * row + 1] - 1) >>> 0 : refs[2 * row + 1]);
    }
  }

  const number = new Uint8Array(decimalBytes);
  function putNumberField(hash: CollectionWriter, nameLength: number, low: number, high: number): void {
    const length = putSignedDecimal(number, 0, low, high);
    const at = hash.field(name, 0, nameLength, length);
    for (let index = 0; index < length; index++) hash.bytes[at + index] = number[index];
  }

  function writeSymlinks(batch: Batch): void {
    const inodes = integersOf(batch, 0);
    const targets = (batch.columns[1] as BytesColumn | undefined) ?? noBytes;
    for (let row = 0; row < batch.count; row++) {
      const start = targets.offsets[row];
      const length = targets.offsets[row + 1] - start;
      const at = keys.string(key, inodeKey(letters.s, inodes[2 * row], inodes[2 * row + 1]), length);
      for (let index = 0; index < length; index++) keys.bytes[at + index] = targets.arena[start + index];
    }
  }

  function writeXattrs(batch: Batch): void {
    const inodes = integersOf(batch, 0);
    const names = bytesOf(batch, 1);
    const values = (batch.columns[2] as BytesColumn | undefined) ?? noBytes;
    for (let row = 0; row < batch.count; row++) {
      const hash = inodeHash(juicefsTable.xattr, letters.x, inodes[2 * row], inodes[2 * row + 1]);
      const value = bytesAt(values, row);
      const at = hash.field(names.arena, names.offsets[row], names.offsets[row + 1], value.length);
      hash.bytes.set(value, at);
    }
  }

  function writeAcls(batch: Batch): void {
    const ids = integersOf(batch, 0);
    const parts = [1, 2, 3, 4].map((index) => narrow(batch, index));
    const users = (batch.columns[5] as BytesColumn | undefined) ?? noBytes;
    const groups = (batch.columns[6] as BytesColumn | undefined) ?? noBytes;
    const hash = singleKey("hash", "acl");
    for (let row = 0; row < batch.count; row++) {
      maxAcl = Math.max(maxAcl, ids[row]);
      const named = [bytesAt(users, row), bytesAt(groups, row)];
      let at = hash.field(name, 0, putSmall(name, 0, ids[row]), 16 + named[0].length + named[1].length);
      const { bytes } = hash;
      for (const part of parts) {
        bytes[at++] = part[row] >>> 8;
        bytes[at++] = part[row];
      }
      for (const entries of named) {
        put32(bytes, at, entries.length / aclEntryBytes);
        bytes.set(entries, at + 4);
        at += 4 + entries.length;
      }
    }
  }

  function writeDirStats(batch: Batch): void {
    const inodes = integersOf(batch, 0);
    ["dirDataLength", "dirUsedSpace", "dirUsedInodes"].forEach((text, index) => {
      const hash = singleKey("hash", text);
      const values = wide(batch, 1 + index);
      for (let row = 0; row < batch.count; row++) {
        const nameLength = putDecimal(name, 0, inodes[2 * row], inodes[2 * row + 1]);
        putNumberField(hash, nameLength, values[2 * row], values[2 * row + 1]);
      }
    });
  }

  function writeQuotas(batch: Batch): void {
    const types = narrow(batch, 0);
    const ids = integersOf(batch, 1);
    const limits = [wide(batch, 2), wide(batch, 3)];
    const usage = [wide(batch, 4), wide(batch, 5)];
    for (let row = 0; row < batch.count; row++) {
      const text = quotaKeys[types[row]];
      if (text === undefined) throw new RangeError(`a quota has the unknown type ${types[row]}`);
      const nameLength = putDecimal(name, 0, ids[2 * row], ids[2 * row + 1]);
      const hash = singleKey("hash", text);
      const at = hash.field(name, 0, nameLength, 16);
      put64(hash.bytes, at, limits[0], row);
      put64(hash.bytes, at + 8, limits[1], row);
      ["UsedSpace", "UsedInodes"].forEach((what, index) =>
        putNumberField(
          singleKey("hash", `${text}${what}`),
          nameLength,
          usage[index][2 * row],
          usage[index][2 * row + 1],
        ),
      );
    }
  }

  function writeDeletedFiles(batch: Batch): void {
    const inodes = integersOf(batch, 0);
    const lengths = integersOf(batch, 1);
    const zset = singleKey("zset", "delfiles");
    for (let row = 0; row < batch.count; row++) {
      let nameLength = putDecimal(name, 0, inodes[2 * row], inodes[2 * row + 1]);
      name[nameLength++] = letters.colon;
      nameLength = putDecimal(name, nameLength, lengths[2 * row], lengths[2 * row + 1]);
      zset.scored(name, 0, nameLength, signedAt(wide(batch, 2), row).toString());
    }
  }

  function writeDelayedSlices(batch: Batch): void {
    const ids = integersOf(batch, 0);
    const moments = integersOf(batch, 1);
    const slices = (batch.columns[2] as BytesColumn | undefined) ?? noBytes;
    const hash = singleKey("hash", "delSlices");
    for (let row = 0; row < batch.count; row++) {
      let nameLength = putDecimal(name, 0, ids[2 * row], ids[2 * row + 1]);
      name[nameLength++] = letters.underscore;
      nameLength = putSignedDecimal(name, nameLength, moments[2 * row], moments[2 * row + 1]);
      const value = bytesAt(slices, row);
      const at = hash.field(name, 0, nameLength, value.length);
      hash.bytes.set(value, at);
    }
  }

  function writeDetachedNodes(batch: Batch): void {
    const inodes = integersOf(batch, 0);
    const zset = singleKey("zset", "detachedNodes");
    for (let row = 0; row < batch.count; row++) {
      const nameLength = putDecimal(name, 0, inodes[2 * row], inodes[2 * row + 1]);
      zset.scored(name, 0, nameLength, signedAt(wide(batch, 1), row).toString());
    }
  }

  function writeSustained(batch: Batch): void {
    const inodes = integersOf(batch, 1);
    for (let row = 0; row < batch.count; row++) {
      const session = unsignedAt(integersOf(batch, 0), row);
      sessions.add(session);
      const text = `session${session}`;
      // One session after the other: the key before is complete.
      if (!single.has(text)) endTable();
      singleKey("set", text).member(name, 0, putDecimal(name, 0, inodes[2 * row], inodes[2 * row + 1]));
    }
  }

  const writers: Readonly<Record<number, (batch: Batch) => void>> = {
    [juicefsTable.counter]: (batch) => takeCounters(batch, counters),
    [juicefsTable.node]: writeNodes,
    [juicefsTable.edge]: writeEdges,
    [juicefsTable.chunk]: writeChunks,
    [juicefsTable.sliceRef]: writeSliceRefs,
    [juicefsTable.symlink]: writeSymlinks,
    [juicefsTable.xattr]: writeXattrs,
    [juicefsTable.acl]: writeAcls,
    [juicefsTable.dirStat]: writeDirStats,
    [juicefsTable.quota]: writeQuotas,
    [juicefsTable.deletedFile]: writeDeletedFiles,
    [juicefsTable.delayedSlice]: writeDelayedSlices,
    [juicefsTable.detachedNode]: writeDetachedNodes,
    [juicefsTable.sustained]: writeSustained,
  };

  function writeCounters(): void {
    const values = restoredCounters(counters, options.facts, sessions);
    if (maxAcl > 0) values.set("aclMaxId", BigInt(maxAcl));
    for (const [counter, value] of values) {
      const stored = oneLess.includes(counter) ? value - 1n : value;
      putString(redisCounterNames[counter] ?? counter, Buffer.from(stored.toString()));
    }
  }

  /** An ended session for every one that held deleted files open: the first client that cleans up finds it and frees them. */
  function writeSessions(): void {
    if (sessions.size === 0) return;
    const { expire, info: text } = restoredSession(options.now);
    const info = Buffer.from(text);
    const all = singleKey("zset", "allSessions");
    const infos = singleKey("hash", "sessionInfos");
    for (const session of sessions) {
      const nameLength = putText(name, 0, session.toString());
      all.scored(name, 0, nameLength, String(expire));
      const at = infos.field(name, 0, nameLength, info.length);
      infos.bytes.set(info, at);
    }
    endTable();
  }

  function writeParents(): void {
    const hash = keys.collection("hash");
    let isOpen = false;
    let fileLow = 0;
    let fileHigh = 0;
    parents.visit((inodeLow, inodeHigh, parentLow, parentHigh, links) => {
      if (!isOpen || inodeLow !== fileLow || inodeHigh !== fileHigh) {
        if (isOpen) hash.end();
        isOpen = true;
        fileLow = inodeLow;
        fileHigh = inodeHigh;
        hash.begin(key, inodeKey(letters.p, inodeLow, inodeHigh));
      }
      putNumberField(hash, putDecimal(name, 0, parentLow, parentHigh), links, 0);
    });
    if (isOpen) hash.end();
  }

  return {
    write(batch) {
      if (batch.table !== current) endTable();
      current = batch.table;
      if (batch.count === 0) return;
      const write = writers[batch.table];
      if (write === undefined) throw new RangeError(`table ${batch.table} cannot be written here`);
      write(batch);
    },
    finish() {
      endTable();
      writeParents();
      writeSessions();
      writeCounters();
    },
    [Symbol.dispose]() {
      parents[Symbol.dispose]();
    },
  };
}

const letters = {
  i: 105,
  d: 100,
  c: 99,
  s: 115,
  x: 120,
  p: 112,
  k: 107,
  underscore: 95,
  colon: 58,
} as const;

const aclEntryBytes = 6;

/** By the type of the quota. */
const quotaKeys: Readonly<Record<number, string | undefined>> = { 0: "dirQuota", 1: "userQuota", 2: "groupQuota" };

const zeros = new Uint32Array(2 * 65_536);

/** A column of 32-bit numbers, all 0 when absent. */
function narrow(batch: Batch, index: number): Uint32Array {
  return (
    (batch.columns[index] as IntegerColumn | undefined)?.values ??
    (batch.count <= zeros.length ? zeros : new Uint32Array(batch.count))
  );
}

/** A column of 64-bit numbers, all 0 when absent. */
function wide(batch: Batch, index: number): Uint32Array {
  return (
    (batch.columns[index] as IntegerColumn | undefined)?.values ??
    (2 * batch.count <= zeros.length ? zeros : new Uint32Array(2 * batch.count))
  );
}

function takeCounters(batch: Batch, into: Map<string, bigint>): void {
  const names = bytesOf(batch, 0);
  for (let row = 0; row < batch.count; row++) {
    const name = new TextDecoder().decode(bytesAt(names, row));
    if (!counterName.test(name)) {
      throw new CairnError(
        "does-not-fit",
        `a counter is called ${JSON.stringify(name)}: Redis may keep another record under that key`,
        {
          unharmed: "the unfinished volume is removed",
          next: "restore into an SQL engine, and report this counter",
          exit: "targetRefused",
        },
      );
    }
    into.set(name, signedAt(wide(batch, 1), row));
  }
}

/** Counters by their SQL names, as a restored volume has them. */
function restoredCounters(
  records: ReadonlyMap<string, bigint>,
  facts: Facts,
  sessions: ReadonlySet<bigint>,
): Map<string, bigint> {
  const values = new Map<string, bigint>();
  for (const [name, value] of records) if (name !== "nextTrash" || value !== 0n) values.set(name, value);
  for (const name of factCounters) {
    // A position in a log that is not carried.
    if (name === "lastChangelog") continue;
    const value = factCounter(facts, name);
    if (value !== undefined) values.set(name, value);
  }
  for (const session of sessions) if (session > (values.get("nextSession") ?? 0n)) values.set("nextSession", session);
  return values;
}
