import type { Batch } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { Finding } from "../../../model/ports.ts";
import type { RedisSink } from "../../../protocols/redis/rdb-sink.ts";
import { redisType } from "../../../protocols/redis/rdb-sink.ts";
import { FindingCount } from "../finding.ts";
import { chunkSliceBytes } from "../slices.ts";
import { putAclRule } from "./acl-record.ts";
import { parsed, parseSigned, parseUnsigned, parseWhole } from "./decimal-key.ts";
import { JoinedHashes } from "./joined-hashes.ts";
import type { NamedKey } from "./key-kinds.ts";
import { counterLikeKey, juicefsLikeKey, keyKind, namedKeys, numberedKeys, typeNames } from "./key-kinds.ts";
import { putNode } from "./node-record.ts";
import type { ParentsCheck } from "./parents-check.ts";
import { RecordRows } from "./record-rows.ts";
import { restoreLockKey, restoreMarkerKey } from "./restore-marker.ts";

export interface RedisRecordsOptions {
  /** What each key of the volume begins with: `{db}` in a cluster, else nothing. Keys without it are others'. */
  readonly prefix: string;
  readonly temporaryFolder: string;
  readonly parents: Pick<ParentsCheck, "addRecord">;
  /** Gets each stored reference count, as the real number of references. */
  addStored(idLow: number, idHigh: number, size: number, refs: number): void;
  /** Takes a batch of records. */
  emit(batch: Batch): void;
}

/** A name that could be one of JuiceFS' is not longer. */
const longestName = 64;
/** The slices of one chunk are one value; JuiceFS compacts far below this. */
const chunkBytesMax = 64 << 20;
const letter = { c: 0x63, d: 0x64, i: 0x69, k: 0x6b, p: 0x70, s: 0x73, x: 0x78 } as const;
const underscore = 0x5f;
const colon = 0x3a;
const entryBytes = 9;
const limitsBytes = 16;

/**
 * Turns the keys of a JuiceFS volume in Redis (`pkg/meta/redis.go`) into canonical batches, as they come. What a JuiceFS of a later version
 * may have written is refused by name (`unknown-schema`); a record that contradicts the layout, too (`record-invalid`).
 */
export class RedisRecords implements RedisSink, Disposable {
  readonly #options: RedisRecordsOptions;
  readonly #prefix: Uint8Array;
  readonly #rows: (RecordRows | undefined)[] = [];
  readonly #joined: JoinedHashes;
  readonly #node: RecordRows;
  readonly #edge: RecordRows;
  readonly #chunk: RecordRows;
  readonly #otherKeys = new FindingCount(
    "other-keys",
    "info",
    (count) => `${count} keys are not JuiceFS' and are not part of the backup; JuiceFS wants a database of its own`,
  );

  #kind = 0;
  #named: NamedKey | undefined;
  #name = "";
  /** The number in the key, and of a chunk its index. */
  #low = 0;
  #high = 0;
  #index = 0;
  /** Elements of a kind that is only counted. */
  #counted = 0;

  /** The setting's JSON, where there is one. */
  setting: string | undefined;
  /** Counters by their canonical names; `nextInode` and `nextChunk` as the next free ones. */
  readonly counters = new Map<string, bigint>();
  /** What is counted and not carried, by name. */
  readonly omitted: Record<string, number> = {};
  /** The version of the newest entry of the changelog. */
  changelogEnd: string | undefined;
  /** Keys of the volume. */
  keyCount = 0;

  constructor(options: RedisRecordsOptions) {
    this.#options = options;
    this.#prefix = new TextEncoder().encode(options.prefix);
    this.#joined = new JoinedHashes(options.temporaryFolder);
    this.#node = this.#rowsOf(juicefsTable.node);
    this.#edge = this.#rowsOf(juicefsTable.edge);
    this.#chunk = this.#rowsOf(juicefsTable.chunk);
  }

  #rowsOf(table: number): RecordRows {
    return (this.#rows[table] ??= new RecordRows(table));
  }

  /** The rows of a table, with room for one more. */
  #room(table: number): RecordRows {
    const rows = this.#rowsOf(table);
    if (rows.isFull) this.#take(rows);
    return rows;
  }

  #take(rows: RecordRows): void {
    const batch = rows.take();
    if (batch !== undefined) this.#options.emit(batch);
  }

  begin(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const prefix = this.#prefix;
    let at = start;
    for (; at < start + prefix.length; at++) if (at >= end || bytes[at] !== prefix[at - start]) return false;
    this.#kind = lettered(bytes, at, end);
    if (this.#kind !== 0) {
      this.#low = parsed.low;
      this.#high = parsed.high;
      this.#named = undefined;
      if (type !== letteredType(this.#kind)) throw this.#wrongType(type);
      if (this.#kind === keyKind.chunk || this.#kind === keyKind.legacySliceRef) {
        this.#low = firstOfPair.low;
        this.#high = firstOfPair.high;
        this.#index = parsed.low;
        if (parsed.high !== 0) throw this.#invalid("has a number above 2^32 behind the _");
      }
    } else if (!this.#beginNamed(type, bytes, at, end)) return false;
    this.keyCount++;
    if (this.#kind === keyKind.ignored) return false;
    if (this.#kind === keyKind.chunk) this.#beginChunk();
    return true;
  }

  /** Whether the key is one of those that are a name, perhaps with a number. */
  #beginNamed(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(end - start, longestName + 1)).toString(
      "latin1",
    );
    this.#name = name;
    let named = namedKeys.get(name);
    if (named === undefined) {
      const numbered = /^([a-z]+)([0-9]+)$/.exec(name);
      named = numbered === null ? undefined : numberedKeys.get(numbered[1]);
      if (numbered !== null && named !== undefined) {
        if (!parseWhole(bytes, start + numbered[1].length, end)) throw this.#unknown(type);
        this.#low = parsed.low;
        this.#high = parsed.high;
      }
    }
    if (named === undefined && type === redisType.string && counterLikeKey.test(name)) {
      named = { kind: keyKind.counter, type, name, part: 0, quotaType: 0 };
    }
    if (named === undefined) {
      if (name === restoreMarkerKey || name === restoreLockKey) return false;
      if (name.length <= longestName && juicefsLikeKey.test(name)) throw this.#unknown(type);
      this.#otherKeys.add(() => JSON.stringify(name));
      return false;
    }
    this.#named = named;
    this.#kind = named.kind;
    this.#counted = 0;
    if (type !== named.type) throw this.#wrongType(type);
    return true;
  }

  string(bytes: Uint8Array, start: number, end: number): void {
    switch (this.#kind) {
      case keyKind.node: {
        const rows = this.#node;
        if (rows.isFull) this.#take(rows);
        rows.u64(0, this.#low, this.#high);
        const problem = putNode(rows, bytes, start, end);
        if (problem !== undefined) throw this.#invalid(problem);
        rows.endRow();
        break;
      }
      case keyKind.symlink: {
        const rows = this.#room(juicefsTable.symlink);
        rows.u64(0, this.#low, this.#high);
        rows.bytes(1, bytes, start, end);
        rows.endRow();
        break;
      }
      case keyKind.legacySliceRef:
        if (!parseSigned(bytes, start, end)) throw this.#invalid("is no whole number");
        this.#addSliceRef(this.#low, this.#high, this.#index);
        break;
      case keyKind.counter:
        this.#addCounter(bytes, start, end);
        break;
      case keyKind.setting:
        this.setting = Buffer.from(bytes.subarray(start, end)).toString();
        break;
      case keyKind.changelogEnd:
        this.changelogEnd = Buffer.from(bytes.subarray(start, end)).toString("latin1");
        break;
      default:
        break;
    }
  }

  #addCounter(bytes: Uint8Array, start: number, end: number): void {
    const name = this.#named?.name ?? "";
    if (!parseSigned(bytes, start, end)) {
      throw new CairnError("counter-invalid", `the counter ${this.#keyText()} is no whole number`, {
        unharmed: "the database was only read",
        next: "find out what wrote it; juicefs dump and load of the volume make the counters anew",
        exit: "sourceUnreachable",
      });
    }
    const value = BigInt.asIntN(64, (BigInt(parsed.high) << 32n) | BigInt(parsed.low));
    // Redis holds the last one that was given out.
    this.counters.set(name, name === "nextInode" || name === "nextChunk" ? value + 1n : value);
  }

  /** A stored count, which `parsed` holds: one less than the real one. */
  #addSliceRef(idLow: number, idHigh: number, size: number): void {
    const low = (parsed.low + 1) >>> 0;
    const high = (parsed.high + (low === 0 ? 1 : 0)) >>> 0;
    if (low === 1 && high === 0) {
      this.#options.addStored(idLow, idHigh, size, 1);
      return;
    }
    this.#options.addStored(idLow, idHigh, size, (high | 0) * 4294967296 + low);
    const rows = this.#room(juicefsTable.sliceRef);
    rows.u64(0, idLow, idHigh);
    rows.u32(1, size);
    rows.u64(2, low, high);
    rows.endRow();
  }

  #beginChunk(): void {
    const rows = this.#chunk;
    if (rows.isFull) this.#take(rows);
    rows.u64(0, this.#low, this.#high);
    rows.u32(1, this.#index);
    rows.beginBytes(2);
  }

  element(bytes: Uint8Array, start: number, end: number): void {
    switch (this.#kind) {
      case keyKind.chunk:
        if ((end - start) % chunkSliceBytes !== 0)
          throw this.#invalid("has an element that is no whole number of slices");
        this.#chunk.moreBytes(2, bytes, start, end);
        if (this.#chunk.bytesSoFar(2) > chunkBytesMax) throw this.#invalid("has more slices than any JuiceFS writes");
        break;
      case keyKind.sustained: {
        if (!parseWhole(bytes, start, end)) throw this.#invalid("holds something that is no inode");
        const rows = this.#room(juicefsTable.sustained);
        rows.u64(0, this.#low, this.#high);
        rows.u64(1, parsed.low, parsed.high);
        rows.endRow();
        break;
      }
      default:
        this.#counted++;
    }
  }

  field(
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    switch (this.#kind) {
      case keyKind.edges: {
        if (valueEnd - valueStart !== entryBytes) throw this.#invalid("has an entry that is not 9 bytes long");
        const rows = this.#edge;
        if (rows.isFull) this.#take(rows);
        rows.u64(0, this.#low, this.#high);
        rows.bytes(1, name, nameStart, nameEnd);
        rows.u64(2, word(value, valueStart + 5), word(value, valueStart + 1));
        rows.u32(3, value[valueStart]);
        rows.endRow();
        break;
      }
      case keyKind.xattrs: {
        const rows = this.#room(juicefsTable.xattr);
        rows.u64(0, this.#low, this.#high);
        rows.bytes(1, name, nameStart, nameEnd);
        rows.bytes(2, value, valueStart, valueEnd);
        rows.endRow();
        break;
      }
      case keyKind.sliceRefs:
        this.#sliceRefField(name, nameStart, nameEnd, value, valueStart, valueEnd);
        break;
      case keyKind.counted:
        this.#counted++;
        break;
      default:
        if (!parseUnsigned(name, nameStart, nameEnd)) throw this.#invalid("has a field that begins with no number");
        this.#numberedField(name, nameEnd, value, valueStart, valueEnd);
    }
  }

  /** `k{id}_{size}`, and one less than the count. */
  #sliceRefField(
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const isNamed = name[nameStart] === letter.k && parseUnsigned(name, nameStart + 1, nameEnd);
    const { low, high, end } = parsed;
    if (!isNamed || name[end] !== underscore || !parseWhole(name, end + 1, nameEnd) || parsed.high !== 0) {
      throw this.#invalid("has a field that is not k, an id, _ and a size");
    }
    const size = parsed.low;
    if (!parseSigned(value, valueStart, valueEnd)) throw this.#invalid("has a count that is no whole number");
    this.#addSliceRef(low, high, size);
  }

  /** A field that begins with the number in `parsed`. */
  #numberedField(name: Uint8Array, nameEnd: number, value: Uint8Array, start: number, end: number): void {
    const { low, high, end: numberEnd } = parsed;
    if (this.#kind === keyKind.delayedSlices) {
      if (name[numberEnd] !== underscore || !parseSigned(name, numberEnd + 1, nameEnd)) {
        throw this.#invalid("has a field that is not an id, _ and a time");
      }
      const rows = this.#room(juicefsTable.delayedSlice);
      rows.u64(0, low, high);
      rows.u64(1, parsed.low, parsed.high);
      rows.bytes(2, value, start, end);
      rows.endRow();
      return;
    }
    if (numberEnd !== nameEnd) throw this.#invalid("has a field that is no number");
    const { part = 0, quotaType = 0 } = this.#named ?? {};
    switch (this.#kind) {
      case keyKind.quotaLimits:
        if (end - start !== limitsBytes) throw this.#invalid("has a value that is not 16 bytes long");
        this.#joined.addLimits(quotaType, low, high, [
          word(value, start + 4),
          word(value, start),
          word(value, start + 12),
          word(value, start + 8),
        ]);
        return;
      case keyKind.acl: {
        if (high !== 0) throw this.#invalid("has an id above 2^32");
        const rows = this.#room(juicefsTable.acl);
        rows.u32(0, low);
        const problem = putAclRule(rows, value, start, end);
        if (problem !== undefined) throw this.#invalid(problem);
        rows.endRow();
        return;
      }
      default:
        break;
    }
    if (!parseSigned(value, start, end)) throw this.#invalid("has a value that is no whole number");
    if (this.#kind === keyKind.parents) {
      // A count of 0 or less is no link.
      if (parsed.high < 0x80000000) this.#options.parents.addRecord(this.#low, this.#high, low, high, parsed.low | 0);
    } else if (this.#kind === keyKind.dirStat) this.#joined.addStat(part, low, high, parsed.low, parsed.high);
    else this.#joined.addUsage(quotaType, part, low, high, parsed.low, parsed.high);
  }

  member(bytes: Uint8Array, start: number, end: number, score: number): void {
    if (this.#kind === keyKind.counted) {
      this.#counted++;
      return;
    }
    if (!Number.isSafeInteger(Math.trunc(score))) throw this.#invalid("has a time that is no whole number");
    if (!parseUnsigned(bytes, start, end)) throw this.#invalid("has a member that begins with no inode");
    const { low, high, end: numberEnd } = parsed;
    const seconds = Math.trunc(score);
    if (this.#kind === keyKind.deletedFiles) {
      if (bytes[numberEnd] !== colon || !parseWhole(bytes, numberEnd + 1, end)) {
        throw this.#invalid("has a member that is not an inode, : and a length");
      }
      const rows = this.#room(juicefsTable.deletedFile);
      rows.u64(0, low, high);
      rows.u64(1, parsed.low, parsed.high);
      rows.integer(2, seconds);
      rows.endRow();
      return;
    }
    if (numberEnd !== end) throw this.#invalid("has a member that is no inode");
    const rows = this.#room(juicefsTable.detachedNode);
    rows.u64(0, low, high);
    rows.integer(1, seconds);
    rows.endRow();
  }

  end(): void {
    if (this.#kind === keyKind.chunk) this.#chunk.endRow();
    else if (this.#kind === keyKind.counted && this.#named !== undefined && this.#counted > 0) {
      this.omitted[this.#named.name] = (this.omitted[this.#named.name] ?? 0) + this.#counted;
    }
  }

  /** After the last key: joins what lies in several hashes, step by step, and emits what is left. */
  *finish(): Generator<void, void> {
    yield* this.#joined.write((table) => this.#room(table));
    for (const rows of this.#rows) if (rows !== undefined) this.#take(rows);
  }

  /** After the last key. */
  findings(): Finding[] {
    return this.#otherKeys.toFindings();
  }

  [Symbol.dispose](): void {
    this.#joined[Symbol.dispose]();
  }

  #keyText(): string {
    const number = (BigInt(this.#high) << 32n) | BigInt(this.#low);
    if (this.#named !== undefined || this.#kind === 0) return JSON.stringify(this.#name);
    const text = `${Object.entries(letteredKinds).find(([, kind]) => kind === this.#kind)?.[0] ?? ""}${number}`;
    const hasIndex = this.#kind === keyKind.chunk || this.#kind === keyKind.legacySliceRef;
    return hasIndex ? `${text}_${this.#index}` : text;
  }

  #invalid(what: string): CairnError {
    return new CairnError("record-invalid", `the record under key ${this.#keyText()} ${what}`, {
      unharmed: "the database was only read",
      next: "look at the key with redis-cli, and at the volume with juicefs fsck",
      exit: "sourceUnreachable",
    });
  }

  #wrongType(type: number): CairnError {
    return new CairnError(
      "unknown-schema",
      `key ${this.#keyText()} is a ${typeNames[type]}: no version of JuiceFS that is known writes it so`,
      schemaRemedy,
    );
  }

  #unknown(type: number): CairnError {
    return new CairnError(
      "unknown-schema",
      `key ${JSON.stringify(this.#name)} (a ${typeNames[type]}) is none that is known of JuiceFS`,
      schemaRemedy,
    );
  }
}

const schemaRemedy = {
  unharmed: "the database was only read",
  next: "use a version of Cairn that knows this JuiceFS; keys of another application belong into another database number",
  exit: "sourceUnreachable",
} as const;

/** Keys that are a letter and a number, of which chunks and old reference counts have two. */
const letteredKinds = {
  i: keyKind.node,
  d: keyKind.edges,
  c: keyKind.chunk,
  s: keyKind.symlink,
  x: keyKind.xattrs,
  p: keyKind.parents,
  k: keyKind.legacySliceRef,
} as const;

/** The kind of a key that is a letter and a number, which `parsed` holds then; 0 for any other. */
function lettered(bytes: Uint8Array, start: number, end: number): number {
  switch (bytes[start]) {
    case letter.i:
      return parseWhole(bytes, start + 1, end) ? keyKind.node : 0;
    case letter.c:
      return isPair(bytes, start + 1, end) ? keyKind.chunk : 0;
    case letter.d:
      return parseWhole(bytes, start + 1, end) ? keyKind.edges : 0;
    case letter.x:
      return parseWhole(bytes, start + 1, end) ? keyKind.xattrs : 0;
    case letter.s:
      return parseWhole(bytes, start + 1, end) ? keyKind.symlink : 0;
    case letter.p:
      return parseWhole(bytes, start + 1, end) ? keyKind.parents : 0;
    case letter.k:
      return isPair(bytes, start + 1, end) ? keyKind.legacySliceRef : 0;
    default:
      return 0;
  }
}

/** The first of two numbers; the second is what was parsed last. */
const firstOfPair = { low: 0, high: 0 };

/** Two numbers with a `_` between them: a chunk's inode and index, a slice's id and size. */
function isPair(bytes: Uint8Array, start: number, end: number): boolean {
  if (!parseUnsigned(bytes, start, end) || bytes[parsed.end] !== underscore) return false;
  firstOfPair.low = parsed.low;
  firstOfPair.high = parsed.high;
  return parseWhole(bytes, parsed.end + 1, end);
}

function letteredType(kind: number): number {
  if (kind === keyKind.node || kind === keyKind.symlink || kind === keyKind.legacySliceRef) return redisType.string;
  return kind === keyKind.chunk ? redisType.list : redisType.hash;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
