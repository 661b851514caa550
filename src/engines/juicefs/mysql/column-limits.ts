import { CairnError } from "../../../model/errors.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { TargetPlan } from "../../../model/ports.ts";
import type { ColumnLimits } from "../limits.ts";
import { requireFits } from "../limits.ts";
import type { JuicefsLine } from "../lines.ts";

const largest64 = 2n ** 63n - 1n;
/** JuiceFS' columns for small numbers are signed INTs. */
const largest32 = 2n ** 31n - 1n;
/** Times are held in microseconds. */
const lastSecond = largest64 / 1_000_000n - 1n;
const blobBytes = 65_535n;

function columnsOfType(type: "u32" | "u64"): string[] {
  return juicefs.tables.flatMap((table) =>
    table.columns.filter((column) => column.type === type).map((column) => `${table.name}.${column.name}`),
  );
}

/** The highest values by column; of columns of bytes, the greatest lengths. */
const mysqlLimits: ColumnLimits = {
  ...Object.fromEntries(columnsOfType("u64").map((column) => [column, largest64])),
  ...Object.fromEntries(columnsOfType("u32").map((column) => [column, largest32])),
  "node.atime": lastSecond,
  "node.mtime": lastSecond,
  "node.ctime": lastSecond,
  "slice_ref.refs": largest32,
  "edge.name": 255n,
  "symlink.target": 4096n,
  // VARCHAR(255) counts characters, of up to four bytes.
  "xattr.name": 1020n,
  "xattr.value": blobBytes,
  "chunk.slices": blobBytes,
  "delayed_slice.slices": blobBytes,
  "acl.users": blobBytes,
  "acl.groups": blobBytes,
};

/** Refuses what the tables of JuiceFS cannot hold on MySQL. Throws `kind-mismatch`, `does-not-fit`. */
export function requirePlanFits(line: JuicefsLine, plan: TargetPlan): void {
  if (plan.kind.name !== juicefs.name) {
    throw new CairnError(
      "kind-mismatch",
      `a snapshot of kind ${plan.kind.name} cannot be restored into a JuiceFS database`,
      { exit: "targetRefused" },
    );
  }
  requireFits("MySQL", mysqlLimits, plan.extremes);
  if (line === "1.4") return;
  // Quotas of users and groups have a table of their own, which older lines lack; tiers are a column.
  requireFits(`MySQL as JuiceFS ${line} uses it`, { "quota.type": 0n, "node.tier": 0n }, plan.extremes);
}

/** The setting is one text. Throws `does-not-fit`. */
export function requireSettingFits(line: JuicefsLine, setting: string): void {
  const bytes = Buffer.byteLength(setting);
  // VARCHAR(4096) counts characters; the setting of old clients is ASCII but for its names.
  const limit = line === "1.4" ? 65_535 : 4096;
  if (bytes <= limit) return;
  throw new CairnError(
    "does-not-fit",
    `the setting has ${bytes} bytes, and JuiceFS ${line} holds up to ${limit} on MySQL`,
    {
      unharmed: "nothing was written",
      next: "restore into another engine (docs/engines/limits.md)",
      exit: "targetRefused",
    },
  );
}
