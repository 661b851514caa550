/** Keys of JuiceFS' layout that carry no number (`pkg/meta/redis.go`). */
const namedKeys = new Set([
  "setting",
  "usedSpace",
  "totalInodes",
  "nextTrash",
  "nextinode",
  "nextchunk",
  "nextsession",
  "nextCleanupSlices",
  "lastCleanupSessions",
  "lastCleanupFiles",
  "lastCleanupTrash",
  "lastCleanupChangelog",
  "aclMaxId",
  "krbTokenMaxId",
  "sliceRef",
  "delfiles",
  "detachedNodes",
  "delSlices",
  "allSessions",
  "sessionInfos",
  "dirDataLength",
  "dirUsedSpace",
  "dirUsedInodes",
  "dirQuota",
  "dirQuotaUsedSpace",
  "dirQuotaUsedInodes",
  "userQuota",
  "userQuotaUsedSpace",
  "userQuotaUsedInodes",
  "groupQuota",
  "groupQuotaUsedSpace",
  "groupQuotaUsedInodes",
  "acl",
]);

const numberedKey = /^(?:[idspx]\d+|c\d+_\d+|session\d+)$/;

/** Whether a restore writes a key of that name, without prefix, or may have: a counter that we do not know begins like the known ones. */
export function isLayoutKey(name: string): boolean {
  return numberedKey.test(name) || namedKeys.has(name) || counterName.test(name);
}

/** Names that a counter may have: none of them is another key of the layout. */
export const counterName = /^(?:next|last|total|used|max)[A-Za-z0-9_]*$/;
