import { CairnError } from "../../../model/errors.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { TargetPlan } from "../../../model/ports.ts";
import type { ColumnLimits } from "../limits.ts";
import { requireFits } from "../limits.ts";
import type { JuicefsLine } from "../lines.ts";

/** What the binary attribute, entries and ACL rules have room for, and what scores of sorted sets hold exactly. */
const redisLimits: ColumnLimits = {
  "node.type": 15n,
  "node.flags": 0xffn,
  "node.mode": 0xfffn,
  "node.tier": 0xffn,
  "edge.type": 0xffn,
  "acl.owner": 0xffffn,
  "acl.group": 0xffffn,
  "acl.mask": 0xffffn,
  "acl.other": 0xffffn,
  "quota.type": 2n,
  "deleted_file.expire": 2n ** 53n,
  "detached_node.added": 2n ** 53n,
};

/** Throws, before anything is written, where the snapshot cannot be kept in Redis as that line of JuiceFS uses it. */
export function requirePlanFits(line: JuicefsLine, plan: TargetPlan): void {
  if (plan.kind.name !== juicefs.name) {
    throw new CairnError("kind-mismatch", `a snapshot of kind ${plan.kind.name} cannot be restored into Redis`, {
      exit: "targetRefused",
    });
  }
  if (plan.replace !== undefined) {
    throw new CairnError("replace-unsupported", "a volume in Redis cannot be replaced in place", {
      exit: "targetRefused",
      unharmed: "nothing was written",
      next: "restore into an empty database, check it, and let the clients use that one",
    });
  }
  requireFits("Redis", redisLimits, plan.extremes);
  if (line === "1.4") return;
  // Quotas of users and groups and tiers are of 1.4; an older client would not keep them.
  requireFits(`Redis as JuiceFS ${line} uses it`, { "quota.type": 0n, "node.tier": 0n }, plan.extremes);
}

/** Keys that a restore writes, about: for the server to make room at once. */
export function estimatedKeys({ counts }: TargetPlan): number {
  return ["node", "chunk", "symlink", "dir_stat"].reduce((sum, table) => sum + (counts[table] ?? 0), 0);
}

/** Bytes of memory that Redis takes for a record, measured with 7.0 on volumes made like real ones. */
const bytesByTable: Readonly<Record<string, number>> = {
  node: 190,
  edge: 90,
  chunk: 180,
  symlink: 150,
  xattr: 200,
  slice_ref: 90,
  dir_stat: 240,
  deleted_file: 120,
  delayed_slice: 150,
};

export function estimatedMemory({ counts }: TargetPlan): number {
  return Object.entries(counts).reduce((sum, [table, count]) => sum + count * (bytesByTable[table] ?? 100), 0);
}
