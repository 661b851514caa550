import type { Report } from "./finding.ts";
import type { RawAcl, RawAclEntry, RawLock, RawNode, RawQuota, RawSession, RawTime, RawVolume } from "./raw-volume.ts";

/** A value of a database: integers as bigints, texts and bytes as bytes. */
export type SqlValue = bigint | number | string | Uint8Array | null;

/** The rows of a table with the named columns; what the schema lacks is NULL or no row. */
export type SqlRows = (table: string, columns: readonly string[]) => Iterable<SqlValue[]>;

const ACL_ENTRY_BYTES = 6;
/** §3: these rows must exist, two of them because JuiceFS only ever updates them. */
const REQUIRED_COUNTERS = ["nextInode", "nextChunk", "nextSession", "usedSpace", "totalInodes"];
const QUOTA_KINDS: Readonly<Record<string, RawQuota["kind"]>> = { "1": "user", "2": "group" };

/**
 * Makes the raw records of a volume of the rows of its tables in SQL (§3). Columns and tables that an older schema lacks read as their defaults. What cannot be
 * read as the table says is reported and read as nearly as possible, so that the checks go on.
 */
export function readSqlVolume(rows: SqlRows, report: Report): RawVolume {
  return {
    setting: readSetting(rows),
    counters: readCounters(rows, report),
    requiredCounters: REQUIRED_COUNTERS,
    nodes: readNodes(rows, report),
    edges: collect(rows("edge", ["parent", "name", "inode", "type"]), ([parent, name, inode, type]) => ({
      parent: toBigInt(parent),
      name: toBytes(name),
      inode: toBigInt(inode),
      type: Number(type),
    })),
    parents: null,
    chunks: collect(rows("chunk", ["inode", "indx", "slices"]), ([inode, index, slices]) => ({
      inode: toBigInt(inode),
      index: toBigInt(index),
      slices: toBytes(slices),
    })),
    sliceRefs: collect(rows("chunk_ref", ["chunkid", "size", "refs"]), ([id, size, refs]) => ({
      id: toBigInt(id),
      size: toBigInt(size),
      refs: toBigInt(refs),
    })),
    sliceRefsComplete: true,
    delayedSlices: collect(rows("delslices", ["chunkid", "slices"]), ([id, slices]) => ({
      key: String(id),
      slices: toBytes(slices),
    })),
    symlinks: collect(rows("symlink", ["inode", "target"]), ([inode, target]) => ({
      inode: toBigInt(inode),
      target: toBytes(target),
    })),
    xattrs: collect(rows("xattr", ["inode", "name", "value"]), ([inode, name, value]) => ({
      inode: toBigInt(inode),
      name: toBytes(name),
      value: toBytes(value),
    })),
    acls: readAcls(rows, report),
    // The next id follows from the table and its sequence, so it cannot be too low.
    nextAclId: null,
    dirStats: collect(
      rows("dir_stats", ["inode", "data_length", "used_space", "used_inodes"]),
      ([inode, length, space, inodes]) => ({
        inode: toBigInt(inode),
        length: toBigInt(length),
        space: toBigInt(space),
        inodes: toBigInt(inodes),
      }),
    ),
    quotas: readQuotas(rows, report),
    deletedFiles: collect(rows("delfile", ["inode", "length"]), ([inode, length]) => ({
      inode: toBigInt(inode),
      length: toBigInt(length),
    })),
    sustained: collect(rows("sustained", ["sid", "inode"]), ([session, inode]) => ({
      session: toBigInt(session),
      inode: toBigInt(inode),
    })),
    detached: collect(rows("detached_node", ["inode"]), ([inode]) => ({ inode: toBigInt(inode) })),
    sessions: readSessions(rows),
    locks: readLocks(rows),
  };
}

function collect<Item>(rows: Iterable<SqlValue[]>, convert: (row: SqlValue[]) => Item): Item[] {
  const items: Item[] = [];
  for (const row of rows) {
    items.push(convert(row));
  }
  return items;
}

function readSetting(rows: SqlRows): string | null {
  for (const [name, value] of rows("setting", ["name", "value"])) {
    if (toText(name) === "format") {
      return toText(value);
    }
  }
  return null;
}

function readCounters(rows: SqlRows, report: Report): Map<string, bigint> {
  const counters = new Map<string, bigint>();
  for (const [name, value] of rows("counter", ["name", "value"])) {
    const text = toText(name);
    if (counters.has(text)) {
      report("counter-duplicate", `counter ${text}`, "exists more than once");
    }
    counters.set(text, toBigInt(value));
  }
  return counters;
}

function readNodes(rows: SqlRows, report: Report): RawNode[] {
  const columns = "inode type flags mode uid gid nlink length rdev parent".split(" ");
  columns.push("atime", "atimensec", "mtime", "mtimensec", "ctime", "ctimensec");
  columns.push("access_acl_id", "default_acl_id", "tier_id");
  return collect(rows("node", columns), (row) => {
    const inode = toBigInt(row[0]);
    const time = (at: number): RawTime => readTime(row[at], row[at + 1], inode, report);
    return {
      inode,
      type: Number(row[1]),
      flags: Number(row[2]),
      mode: Number(row[3]),
      uid: Number(row[4]),
      gid: Number(row[5]),
      nlink: Number(row[6]),
      length: toBigInt(row[7]),
      rdev: Number(row[8]),
      parent: row[9] === null ? null : toBigInt(row[9]),
      atime: time(10),
      mtime: time(12),
      ctime: time(14),
      accessAcl: Number(row[16]),
      defaultAcl: Number(row[17]),
      tier: Number(row[18]),
    };
  });
}

/**
 * SQL keeps whole microseconds and, in a column of its own, what is left of the nanoseconds. JuiceFS divides as Go does, towards zero: before
 * 1970 both parts are 0 or less, after it both are 0 or more.
 */
function readTime(micros: SqlValue, rest: SqlValue, inode: bigint, report: Report): RawTime {
  const whole = toBigInt(micros);
  const below = Number(rest);
  if (!(Math.abs(below) < 1000) || Number(whole) * below < 0) {
    report("node-time", `node ${inode}`, `has ${below} nanoseconds beside ${whole} microseconds`);
  }
  // Microseconds may be above 2^53, and BigInt divides towards zero as well.
  const seconds = Number(whole / 1_000_000n);
  const nanoseconds = Number(whole % 1_000_000n) * 1000 + below;
  return nanoseconds < 0 ? { seconds: seconds - 1, nanoseconds: nanoseconds + 1e9 } : { seconds, nanoseconds };
}

function readAcls(rows: SqlRows, report: Report): RawAcl[] {
  const columns = ["id", "owner", "group", "mask", "other", "named_users", "named_groups"];
  return collect(rows("acl", columns), ([id, owner, group, mask, other, users, groups]) => ({
    id: Number(id),
    owner: Number(owner),
    group: Number(group),
    mask: Number(mask),
    other: Number(other),
    users: readAclEntries(toBytes(users), Number(id), report),
    groups: readAclEntries(toBytes(groups), Number(id), report),
  }));
}

/** Entries of 6 bytes, big-endian: id u32, permissions u16. */
function readAclEntries(bytes: Uint8Array, rule: number, report: Report): RawAclEntry[] {
  if (bytes.length % ACL_ENTRY_BYTES !== 0) {
    report("acl-rule", `acl ${rule}`, `has ${bytes.length} bytes of entries, not a multiple of ${ACL_ENTRY_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: RawAclEntry[] = [];
  for (let at = 0; at + ACL_ENTRY_BYTES <= bytes.length; at += ACL_ENTRY_BYTES) {
    entries.push({ id: view.getUint32(at), permissions: view.getUint16(at + 4) });
  }
  return entries;
}

function readQuotas(rows: SqlRows, report: Report): RawQuota[] {
  const figures = ["max_space", "max_inodes", "used_space", "used_inodes"];
  const quotas = collect(rows("dir_quota", ["inode", ...figures]), (row) => toQuota("directory", row));
  for (const [type, ...row] of rows("user_group_quota", ["qtype", "qkey", ...figures])) {
    const kind = QUOTA_KINDS[String(type)];
    if (kind === undefined) {
      report(
        "record-unreadable",
        `user_group_quota ${String(type)}/${String(row[0])}`,
        "is neither of a user nor a group",
      );
    } else {
      quotas.push(toQuota(kind, row));
    }
  }
  return quotas;
}

function toQuota(kind: RawQuota["kind"], row: readonly SqlValue[]): RawQuota {
  return {
    kind,
    key: toBigInt(row[0]),
    maxSpace: toBigInt(row[1]),
    maxInodes: toBigInt(row[2]),
    usedSpace: toBigInt(row[3]),
    usedInodes: toBigInt(row[4]),
  };
}

function readSessions(rows: SqlRows): RawSession[] {
  const sessions = collect(rows("session2", ["sid", "info"]), ([id, info]) => ({
    id: toBigInt(id),
    info: toText(info),
  }));
  const legacy = collect(rows("session", ["sid"]), ([id]) => ({ id: toBigInt(id), info: null }));
  return [...sessions, ...legacy];
}

function readLocks(rows: SqlRows): RawLock[] {
  const flocks = collect(rows("flock", ["inode", "sid", "ltype"]), ([inode, session, type]) => ({
    kind: "flock" as const,
    inode: toBigInt(inode),
    session: toBigInt(session),
    type: String.fromCharCode(Number(type)),
    records: null,
  }));
  const plocks = collect(rows("plock", ["inode", "sid", "records"]), ([inode, session, records]) => ({
    kind: "plock" as const,
    inode: toBigInt(inode),
    session: toBigInt(session),
    type: null,
    records: toBytes(records),
  }));
  return [...flocks, ...plocks];
}

export function toBigInt(value: SqlValue | undefined): bigint {
  if (typeof value === "bigint") {
    return value;
  }
  if (typeof value === "number" && Number.isFinite(value)) {
    return BigInt(Math.trunc(value));
  }
  return typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : 0n;
}

function toBytes(value: SqlValue): Uint8Array {
  if (value instanceof Uint8Array) {
    return value;
  }
  return value === null ? new Uint8Array(0) : Buffer.from(String(value));
}

function toText(value: SqlValue): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}
