import { redisType } from "../../../protocols/redis/rdb-sink.ts";

/** What a key of JuiceFS holds. */
export const keyKind = {
  node: 1,
  edges: 2,
  chunk: 3,
  symlink: 4,
  xattrs: 5,
  parents: 6,
  sliceRefs: 7,
  legacySliceRef: 8,
  setting: 9,
  counter: 10,
  deletedFiles: 11,
  delayedSlices: 12,
  detachedNodes: 13,
  sustained: 14,
  dirStat: 15,
  quotaLimits: 16,
  quotaUsage: 17,
  acl: 18,
  changelogEnd: 19,
  /** Counted, not carried: each field, element or member. */
  counted: 20,
  /** Says nothing that is not said elsewhere. */
  ignored: 21,
} as const;

export interface NamedKey {
  readonly kind: number;
  readonly type: number;
  /** Of a counter the name in the canonical table; of what is counted the name that it is counted under. */
  readonly name: string;
  /** Of statistics and quotas: which part, and which type of quota. */
  readonly part: number;
  readonly quotaType: number;
}

function key(kind: number, type: number, more: Partial<NamedKey> = {}): NamedKey {
  return { kind, type, name: "", part: 0, quotaType: 0, ...more };
}

const counter = (name: string): NamedKey => key(keyKind.counter, redisType.string, { name });
const stat = (part: number): NamedKey => key(keyKind.dirStat, redisType.hash, { part });
const limits = (quotaType: number): NamedKey => key(keyKind.quotaLimits, redisType.hash, { quotaType });
const usage = (quotaType: number, part: number): NamedKey =>
  key(keyKind.quotaUsage, redisType.hash, { quotaType, part });
const counted = (type: number, name: string): NamedKey => key(keyKind.counted, type, { name });

/** JuiceFS' keys that are a name alone (`pkg/meta/redis.go`), after the prefix. What is left out is counted under the name of SQL's table. */
export const namedKeys: ReadonlyMap<string, NamedKey> = new Map([
  ["setting", key(keyKind.setting, redisType.string)],
  ["usedSpace", counter("usedSpace")],
  ["totalInodes", counter("totalInodes")],
  ["nextTrash", counter("nextTrash")],
  ["nextinode", counter("nextInode")],
  ["nextchunk", counter("nextChunk")],
  ["nextsession", counter("nextSession")],
  ["nextCleanupSlices", counter("nextCleanupSlices")],
  ["lastCleanupSessions", counter("lastCleanupSessions")],
  ["lastCleanupFiles", counter("lastCleanupFiles")],
  ["lastCleanupTrash", counter("lastCleanupTrash")],
  ["lastCleanupChangelog", counter("lastCleanupChangelog")],
  ["lastChangelog", counter("lastChangelog")],
  ["aclMaxId", counter("aclMaxId")],
  ["krbTokenMaxId", counter("krbTokenMaxId")],
  ["sliceRef", key(keyKind.sliceRefs, redisType.hash)],
  ["delfiles", key(keyKind.deletedFiles, redisType.zset)],
  ["delSlices", key(keyKind.delayedSlices, redisType.hash)],
  ["detachedNodes", key(keyKind.detachedNodes, redisType.zset)],
  ["dirDataLength", stat(0)],
  ["dirUsedSpace", stat(1)],
  ["dirUsedInodes", stat(2)],
  ["dirQuota", limits(0)],
  ["dirQuotaUsedSpace", usage(0, 1)],
  ["dirQuotaUsedInodes", usage(0, 2)],
  ["userQuota", limits(1)],
  ["userQuotaUsedSpace", usage(1, 1)],
  ["userQuotaUsedInodes", usage(1, 2)],
  ["groupQuota", limits(2)],
  ["groupQuotaUsedSpace", usage(2, 1)],
  ["groupQuotaUsedInodes", usage(2, 2)],
  ["acl", key(keyKind.acl, redisType.hash)],
  ["allSessions", counted(redisType.zset, "session2")],
  ["sessionInfos", key(keyKind.ignored, redisType.hash)],
  ["sessions", counted(redisType.zset, "session")],
  ["krbToken", counted(redisType.hash, "delegation_token")],
  ["txnLog", counted(redisType.list, "change_log")],
  ["txnLastLog", key(keyKind.changelogEnd, redisType.string)],
]);

/** Keys that are a name and a number. */
export const numberedKeys: ReadonlyMap<string, NamedKey> = new Map([
  ["session", key(keyKind.sustained, redisType.set)],
  ["locked", key(keyKind.ignored, redisType.set)],
  ["lockf", counted(redisType.hash, "flock")],
  ["lockp", counted(redisType.hash, "plock")],
]);

/** A name as JuiceFS makes them, perhaps of a later version. Others (`user:1`, `my-list`) belong to another application. */
export const juicefsLikeKey = /^[A-Za-z]+[0-9]*(?:_[0-9]+)?$/;

export const typeNames = ["string", "list", "set", "sorted set", "hash"] as const;

/** Names that a counter of a later version may have: `nextFoo`. */
export const counterLikeKey = /^(?:next|last|total|used|max)[A-Za-z0-9_]*$/;
