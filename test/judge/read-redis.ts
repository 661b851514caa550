import type { Report } from "./finding.ts";
import type { MetaPlace } from "./meta-url.ts";
import type {
  RawAcl,
  RawAclEntry,
  RawDirStat,
  RawLock,
  RawNode,
  RawParent,
  RawQuota,
  RawSliceRef,
  RawTime,
  RawVolume,
} from "./raw-volume.ts";
import { openRedis, RedisReplyError } from "./redis-client.ts";
import type { RedisClient, Reply } from "./redis-client.ts";

export type RedisPlace = Extract<MetaPlace, { engine: "redis" }>;

/** A value of a key: the bytes of a string; fields and values of a hash or a sorted set in turns; the members of a list or a set. */
type Values = readonly Buffer[];
type KeyType = "string" | "hash" | "list" | "set" | "zset";

/** What each key is, by its name (§2); the first that fits counts, and those with a number in them come last. */
const keyKinds: readonly (readonly [RegExp, KeyType])[] = [
  [/^(setting|usedSpace|totalInodes|nextTrash|nextinode|nextchunk|nextsession|aclMaxId|krbTokenMaxId)$/, "string"],
  [/^(nextCleanupSlices|lastCleanup(Sessions|Files|Trash|Changelog)|lastChangelog|txnLastLog)$/, "string"],
  [/^(sliceRef|delSlices|sessionInfos|acl|krbToken|dirDataLength|dirUsedSpace|dirUsedInodes)$/, "hash"],
  [/^(dir|user|group)Quota(UsedSpace|UsedInodes)?$/, "hash"],
  [/^(delfiles|detachedNodes|allSessions|sessions)$/, "zset"],
  [/^txnLog$/, "list"],
  [/^i\d+$/, "string"],
  [/^s\d+$/, "string"],
  [/^k\d+_\d+$/, "string"],
  [/^[dpx]\d+$/, "hash"],
  [/^c\d+_\d+$/, "list"],
  [/^session\d+$/, "set"],
  [/^locked\d+$/, "set"],
  [/^lock[fp]\d+$/, "hash"],
];

const reading: Readonly<Record<KeyType, (key: Buffer) => (string | Buffer)[]>> = {
  string: (key) => ["GET", key],
  hash: (key) => ["HGETALL", key],
  list: (key) => ["LRANGE", key, "0", "-1"],
  set: (key) => ["SMEMBERS", key],
  zset: (key) => ["ZRANGE", key, "0", "-1", "WITHSCORES"],
};

const keysAtOnce = 2000;

/** Reads the raw records of a volume in Redis (§2), and checks what only this engine can have wrong: types of keys, forms of values, keys that expire. */
export async function readRedisVolume(place: RedisPlace, report: Report): Promise<RawVolume> {
  await using client = await openRedis(place);
  const prefix = (await isCluster(client)) ? `{${place.database}}` : "";
  const records = new RedisRecords(report);
  for await (const keys of scan(client, prefix)) {
    const known = keys.flatMap((key) => {
      const name = key.toString("latin1").slice(prefix.length);
      const type = keyKinds.find(([pattern]) => pattern.test(name))?.[1];
      if (type === undefined) report("key-unknown", `key ${name}`, "is none of JuiceFS");
      return type === undefined ? [] : [{ name, key, type }];
    });
    const replies = await client.pipeline(known.flatMap(({ key, type }) => [reading[type](key), ["PTTL", key]]));
    known.forEach(({ name }, at) => {
      if (replies[2 * at + 1] !== -1n) report("key-expires", `key ${name}`, "expires by itself");
      const reply = replies[2 * at];
      if (reply instanceof RedisReplyError) report("record-unreadable", `key ${name}`, reply.message);
      else if (reply !== null) records.take(name, valuesOf(reply));
    });
  }
  return records.volume();
}

function valuesOf(reply: Reply): Values {
  return (Array.isArray(reply) ? reply : [reply]).map((each) => {
    if (!(each instanceof Buffer)) throw new TypeError("Redis gave a value that is no bytes");
    return each;
  });
}

async function isCluster(client: RedisClient): Promise<boolean> {
  return valuesOf(await client.call("INFO", "cluster"))[0].includes("cluster_enabled:1");
}

/** All keys with the prefix, each once: SCAN may give one again. */
async function* scan(client: RedisClient, prefix: string): AsyncGenerator<Buffer[]> {
  const seen = new Set<string>();
  let cursor = "0";
  let waiting: Buffer[] = [];
  do {
    const match = prefix === "" ? [] : ["MATCH", `${prefix}*`];
    const [next, keys] = (await client.call("SCAN", cursor, ...match, "COUNT", String(keysAtOnce))) as [
      Buffer,
      Buffer[],
    ];
    cursor = next.toString();
    for (const key of keys) {
      const text = key.toString("latin1");
      if (!seen.has(text)) waiting.push(key);
      seen.add(text);
    }
    if (waiting.length >= keysAtOnce || cursor === "0") {
      yield waiting;
      waiting = [];
    }
  } while (cursor !== "0");
}

/** The counters by their names in Redis, and by those of §1.4; nextinode and nextchunk are one less than the next free number. */
const counterNames: Readonly<Record<string, readonly [name: string, add: bigint]>> = {
  usedSpace: ["usedSpace", 0n],
  totalInodes: ["totalInodes", 0n],
  nextTrash: ["nextTrash", 0n],
  nextsession: ["nextSession", 0n],
  nextinode: ["nextInode", 1n],
  nextchunk: ["nextChunk", 1n],
  nextCleanupSlices: ["nextCleanupSlices", 0n],
};

const quotaBytes = 16;
const entryBytes = 9;

class RedisRecords {
  readonly #report: Report;
  #setting: string | null = null;
  #nextAclId = 1n;
  readonly #counters = new Map<string, bigint>();
  readonly #nodes: RawNode[] = [];
  readonly #edges: { parent: bigint; name: Uint8Array; inode: bigint; type: number }[] = [];
  readonly #parents: RawParent[] = [];
  readonly #chunks: { inode: bigint; index: bigint; slices: Uint8Array }[] = [];
  readonly #sliceRefs: RawSliceRef[] = [];
  readonly #delayed: { key: string; slices: Uint8Array }[] = [];
  readonly #symlinks: { inode: bigint; target: Uint8Array }[] = [];
  readonly #xattrs: { inode: bigint; name: Uint8Array; value: Uint8Array }[] = [];
  readonly #acls: RawAcl[] = [];
  readonly #deleted: { inode: bigint; length: bigint }[] = [];
  readonly #sustained: { session: bigint; inode: bigint }[] = [];
  readonly #detached: { inode: bigint }[] = [];
  readonly #sessions = new Map<bigint, string | null>();
  readonly #locks: RawLock[] = [];
  /** Hashes of numbers, by the name of their key: statistics and the usage of quotas. */
  readonly #figures = new Map<string, Map<bigint, bigint>>();
  readonly #quotas: { kind: RawQuota["kind"]; key: bigint; limits: Buffer }[] = [];

  constructor(report: Report) {
    this.#report = report;
  }

  /** Takes one key in, its name without the prefix of a cluster. */
  take(key: string, values: Values): void {
    const [, letter, numbers] = /^([a-z]+)(\d+(?:_\d+)?)$/.exec(key) ?? [];
    if (letter !== undefined) this.#takeNumbered(key, letter, numbers.split("_").map(BigInt), values);
    else this.#takeNamed(key, values);
  }

  #takeNumbered(key: string, letter: string, [number, second]: bigint[], values: Values): void {
    switch (letter) {
      case "i":
        this.#nodes.push(this.#node(number, values[0]));
        return;
      case "d":
        for (const [name, entry] of pairs(values)) this.#takeEntry(number, name, entry);
        return;
      case "p":
        for (const [parent, count] of pairs(values)) {
          this.#parents.push({ inode: number, parent: this.#number(parent, key), count: this.#number(count, key) });
        }
        return;
      case "c":
        for (const record of values) {
          if (record.length !== 24) this.#report("slice-record", `key ${key}`, `has an item of ${record.length} bytes`);
        }
        this.#chunks.push({ inode: number, index: second, slices: Buffer.concat(values) });
        return;
      case "s":
        this.#symlinks.push({ inode: number, target: values[0] });
        return;
      case "x":
        for (const [name, value] of pairs(values)) this.#xattrs.push({ inode: number, name, value });
        return;
      case "k":
        this.#sliceRefs.push({ id: number, size: second, refs: this.#number(values[0], key) + 1n });
        return;
      case "session":
        for (const inode of values) this.#sustained.push({ session: number, inode: this.#number(inode, key) });
        return;
      case "lockf":
      case "lockp":
        for (const [owner, lock] of pairs(values)) this.#takeLock(letter, number, key, owner, lock);
        break;
      default:
      // The names of the locks that a session holds: what they say is in the locks themselves.
    }
  }

  #takeNamed(key: string, values: Values): void {
    const counter = counterNames[key];
    if (counter !== undefined) {
      this.#counters.set(counter[0], this.#number(values[0], key) + counter[1]);
      return;
    }
    const quota = /^(dir|user|group)Quota$/.exec(key)?.[1];
    if (quota !== undefined) {
      const kind = quota === "dir" ? "directory" : (quota as "user" | "group");
      for (const [id, limits] of pairs(values)) this.#quotas.push({ kind, key: this.#number(id, key), limits });
      return;
    }
    if (/^(dir(DataLength|UsedSpace|UsedInodes)|.*Quota(UsedSpace|UsedInodes))$/.test(key)) {
      const figures = pairs(values).map(([id, figure]) => [this.#number(id, key), this.#number(figure, key)] as const);
      this.#figures.set(key, new Map(figures));
      return;
    }
    this.#takeRest(key, values);
  }

  #takeRest(key: string, values: Values): void {
    switch (key) {
      case "setting":
        this.#setting = values[0].toString();
        return;
      case "aclMaxId":
        this.#nextAclId = this.#number(values[0], key) + 1n;
        return;
      case "sliceRef":
        for (const [field, count] of pairs(values)) {
          const [, id, size] = /^k(\d+)_(\d+)$/.exec(field.toString("latin1")) ?? [];
          if (id === undefined)
            this.#report("record-unreadable", `sliceRef ${field.toString("latin1")}`, "names no slice");
          else this.#sliceRefs.push({ id: BigInt(id), size: BigInt(size), refs: this.#number(count, key) + 1n });
        }
        return;
      case "delSlices":
        for (const [field, slices] of pairs(values)) this.#delayed.push({ key: field.toString("latin1"), slices });
        return;
      case "acl":
        for (const [id, rule] of pairs(values)) this.#takeAcl(Number(this.#number(id, key)), rule);
        return;
      case "delfiles":
        for (const [member] of pairs(values)) {
          const [inode, length] = member.toString("latin1").split(":");
          this.#deleted.push({ inode: this.#number(inode, key), length: this.#number(length, key) });
        }
        return;
      case "detachedNodes":
        for (const [member] of pairs(values)) this.#detached.push({ inode: this.#number(member, key) });
        return;
      case "sessionInfos":
        for (const [id, info] of pairs(values)) this.#sessions.set(this.#number(id, key), info.toString());
        return;
      case "allSessions":
      case "sessions":
        for (const [id] of pairs(values)) {
          const session = this.#number(id, key);
          this.#sessions.set(session, this.#sessions.get(session) ?? null);
        }
        break;
      default:
    }
  }

  #takeEntry(parent: bigint, name: Buffer, entry: Buffer): void {
    if (entry.length !== entryBytes) {
      this.#report("record-unreadable", `edge ${parent}/${name.toString("latin1")}`, `has ${entry.length} bytes`);
      return;
    }
    this.#edges.push({ parent, name, inode: entry.readBigUInt64BE(1), type: entry[0] });
  }

  /** A node in any of its forms (§1.2): what follows the parent is told by the length, and the last byte is always 0. */
  #node(inode: bigint, bytes: Buffer): RawNode {
    const record = `node ${inode}`;
    if (![72, 73, 80, 81].includes(bytes.length)) {
      this.#report("attr-form", record, `has ${bytes.length} bytes, and not 72, 73, 80 or 81`);
    }
    if (bytes.at(-1) !== 0) this.#report("attr-form", record, "does not end in a byte of 0");
    const attr = Buffer.alloc(82);
    bytes.copy(attr);
    const hasAcls = bytes.length >= 79;
    const tierAt = hasAcls ? 79 : 71;
    const word = attr.readUInt16BE(1);
    const acls = [71, 75].map((at) => (hasAcls ? attr.readUInt32BE(at) : 0));
    // Beyond the year 2262 a time wraps around, and Go divides towards zero: both parts are then negative.
    const time = (at: number): RawTime => {
      const [seconds, nanoseconds] = [Number(attr.readBigInt64BE(at)), attr.readInt32BE(at + 8)];
      return nanoseconds < 0 && seconds <= 0
        ? { seconds: seconds - 1, nanoseconds: nanoseconds + 1e9 }
        : { seconds, nanoseconds };
    };
    const tier = bytes.length > tierAt + 1 ? attr[tierAt] : 0;
    if (hasAcls && acls[0] === 0 && acls[1] === 0) this.#report("attr-form", record, "has room for ACLs and none");
    if (bytes.length === tierAt + 2 && tier === 0) this.#report("attr-form", record, "has room for a tier and none");
    return {
      inode,
      type: word >> 12,
      flags: attr[0],
      mode: word & 0xfff,
      uid: attr.readUInt32BE(3),
      gid: attr.readUInt32BE(7),
      atime: time(11),
      mtime: time(23),
      ctime: time(35),
      nlink: attr.readUInt32BE(47),
      length: attr.readBigUInt64BE(51),
      rdev: attr.readUInt32BE(59),
      parent: bytes.length >= 71 ? attr.readBigUInt64BE(63) : null,
      accessAcl: acls[0],
      defaultAcl: acls[1],
      tier,
    };
  }

  #takeAcl(id: number, rule: Buffer): void {
    const wrong = (): void => this.#report("acl-rule", `acl ${id}`, `cannot be read of its ${rule.length} bytes`);
    if (rule.length < 16) {
      wrong();
      return;
    }
    let at = 8;
    const entries = (): RawAclEntry[] => {
      const list: RawAclEntry[] = [];
      const count = at + 4 <= rule.length ? rule.readUInt32BE(at) : 0;
      const end = at + 4 + 6 * count;
      for (at += 4; at < end && at + 6 <= rule.length; at += 6) {
        list.push({ id: rule.readUInt32BE(at), permissions: rule.readUInt16BE(at + 4) });
      }
      // Fewer entries than were counted: the length is found wrong.
      at = end;
      return list;
    };
    const [owner, group, mask, other] = [0, 2, 4, 6].map((place) => rule.readUInt16BE(place));
    const [users, groups] = [entries(), entries()];
    this.#acls.push({ id, owner, group, mask, other, users, groups });
    if (at !== rule.length) wrong();
  }

  #takeLock(letter: "lockf" | "lockp", inode: bigint, key: string, owner: Buffer, lock: Buffer): void {
    const session = this.#number(owner.toString("latin1").split("_")[0], key);
    if (letter === "lockf") {
      this.#locks.push({ kind: "flock", inode, session, type: lock.toString("latin1"), records: null });
    } else {
      this.#locks.push({ kind: "plock", inode, session, type: null, records: lock });
    }
  }

  #number(text: Buffer | string | undefined, key: string): bigint {
    const digits = typeof text === "string" ? text : (text?.toString("latin1") ?? "");
    if (/^(0|-?[1-9]\d*)$/.test(digits)) return BigInt(digits);
    this.#report("record-unreadable", `key ${key}`, `holds ${JSON.stringify(digits)}, which is no number`);
    return 0n;
  }

  volume(): RawVolume {
    const figure = (name: string, key: bigint): bigint => this.#figures.get(name)?.get(key) ?? 0n;
    // Where nothing was counted yet, the numbers begin at 1, and a client skips the root's.
    const [nextInode, nextChunk] = ["nextInode", "nextChunk"].map((name) => this.#counters.get(name) ?? 1n);
    this.#counters.set("nextInode", nextInode < 2n ? 2n : nextInode).set("nextChunk", nextChunk);
    const measured = new Set(
      ["dirDataLength", "dirUsedSpace", "dirUsedInodes"].flatMap((name) => [
        ...(this.#figures.get(name)?.keys() ?? []),
      ]),
    );
    const dirStats: RawDirStat[] = [...measured].map((inode) => ({
      inode,
      length: figure("dirDataLength", inode),
      space: figure("dirUsedSpace", inode),
      inodes: figure("dirUsedInodes", inode),
    }));
    return {
      setting: this.#setting,
      counters: this.#counters,
      // An absent counter is 0.
      requiredCounters: [],
      nodes: this.#nodes,
      edges: this.#edges,
      parents: this.#parents,
      chunks: this.#chunks,
      sliceRefs: this.#sliceRefs,
      sliceRefsComplete: false,
      delayedSlices: this.#delayed,
      symlinks: this.#symlinks,
      xattrs: this.#xattrs,
      acls: this.#acls,
      nextAclId: this.#nextAclId,
      dirStats,
      quotas: this.#quotas.flatMap((quota) => this.#quota(quota, figure)),
      deletedFiles: this.#deleted,
      sustained: this.#sustained,
      detached: this.#detached,
      sessions: [...this.#sessions].map(([id, info]) => ({ id, info })),
      locks: this.#locks,
    };
  }

  #quota(
    { kind, key, limits }: { kind: RawQuota["kind"]; key: bigint; limits: Buffer },
    figure: (name: string, key: bigint) => bigint,
  ): RawQuota[] {
    if (limits.length !== quotaBytes) {
      this.#report("record-unreadable", `quota ${kind} ${key}`, `has ${limits.length} bytes`);
      return [];
    }
    const name = kind === "directory" ? "dir" : kind;
    return [
      {
        kind,
        key,
        maxSpace: limits.readBigInt64BE(0),
        maxInodes: limits.readBigInt64BE(8),
        usedSpace: figure(`${name}QuotaUsedSpace`, key),
        usedInodes: figure(`${name}QuotaUsedInodes`, key),
      },
    ];
  }
}

function pairs(values: Values): (readonly [Buffer, Buffer])[] {
  return Array.from({ length: values.length / 2 }, (_, at) => [values[2 * at], values[2 * at + 1]] as const);
}
