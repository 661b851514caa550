import { bytesAt, bytesOf } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { TargetPlan } from "../../../model/ports.ts";
import type { ColumnLimits } from "../limits.ts";
import { requireFits } from "../limits.ts";
import type { JuicefsLine } from "../lines.ts";

const largest64 = 2n ** 63n - 1n;
const largest32 = 2n ** 31n - 1n;
/** Times are held in microseconds. */
const lastSecond = largest64 / 1_000_000n - 1n;
/** A value has at most 1 GiB, less what stands around it. */
const largestBytes = 2n ** 30n - 65536n;
/** An entry of a B-tree has at most 2,704 bytes. */
const largestKey = 2600n;

/** Highest values by column: PostgreSQL's integers are signed, and JuiceFS declares all small ones `integer`. */
const postgresLimits: ColumnLimits = {
  ...Object.fromEntries(
    juicefs.tables
      .filter((table) => table.name !== "setting")
      .flatMap((table) =>
        table.columns.map((column) => [
          `${table.name}.${column.name}`,
          column.type === "u32" ? largest32 : column.type === "bytes" ? largestBytes : largest64,
        ]),
      ),
  ),
  "node.atime": lastSecond,
  "node.mtime": lastSecond,
  "node.ctime": lastSecond,
  // Nanoseconds of a second, which are stored modulo 1000.
  "slice_ref.refs": largest32,
  "edge.name": largestKey,
};

/** `character varying(255)`. */
const textLength = 255;
/** The setting's length in the tables of lines before 1.4: `character varying(4096)`. */
const oldSettingLength = 4096;

/** Refuses what PostgreSQL cannot hold, by the manifest alone. Throws `does-not-fit`, `kind-mismatch`. */
export function requirePlanFits(line: JuicefsLine, plan: TargetPlan): void {
  if (plan.kind.name !== juicefs.name) {
    throw new CairnError(
      "kind-mismatch",
      `a snapshot of kind ${plan.kind.name} cannot be restored into a JuiceFS database`,
      { exit: "targetRefused" },
    );
  }
  requireFits("PostgreSQL", postgresLimits, plan.extremes);
  if (line === "1.4") return;
  // Quotas of users and groups have a table of their own, which older lines lack; tiers are a column.
  requireFits(`PostgreSQL as JuiceFS ${line} uses it`, { "quota.type": 0n, "node.tier": 0n }, plan.extremes);
}

/** Names that go into columns of text: extremes do not tell what is in them. */
const textColumns = [
  ["xattr", "name", 1],
  ["counter", "name", 0],
] as const;

/**
 * Refuses names that a column of text cannot hold: other than UTF-8, with NUL, of more than 255 characters, or in a database with another encoding
 * anything but ASCII. Reads these tables of the snapshot. Throws `does-not-fit`.
 */
export async function requireNamesFit(plan: TargetPlan, encoding: string): Promise<void> {
  const isUnicode = encoding === "UTF8";
  for (const [table, column, index] of textColumns) {
    if ((plan.counts[table] ?? 0) === 0) continue;
    const inodeIndex = table === "xattr" ? 0 : undefined;
    for await (const batch of plan.read(table)) {
      const names = bytesOf(batch, index);
      for (let row = 0; row < batch.count; row++) {
        const problem = problemOf(bytesAt(names, row), isUnicode, encoding);
        if (problem === undefined) continue;
        const inode = inodeIndex === undefined ? undefined : inodeAt(batch.columns[inodeIndex], row);
        throw doesNotFit(`${table}.${column}`, bytesAt(names, row), problem, inode);
      }
    }
  }
}

function inodeAt(column: unknown, row: number): bigint {
  const { values } = column as { values: Uint32Array };
  return (BigInt(values[2 * row + 1]) << 32n) | BigInt(values[2 * row]);
}

function problemOf(name: Uint8Array, isUnicode: boolean, encoding: string): string | undefined {
  if (name.includes(0)) return "it has a NUL byte";
  const isAscii = name.every((byte) => byte < 128);
  if (!isUnicode && !isAscii) return `the database's encoding is ${encoding}, and it is not ASCII`;
  if (isAscii) return name.length > textLength ? `it has ${name.length} characters, ${textLength} at most` : undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    return "it is not UTF-8";
  }
  const { length } = [...text];
  return length > textLength ? `it has ${length} characters, ${textLength} at most` : undefined;
}

function doesNotFit(column: string, name: Uint8Array, problem: string, inode: bigint | undefined): CairnError {
  const shown = Buffer.from(name.subarray(0, 64)).toString("hex");
  const where = inode === undefined ? "" : ` of inode ${inode}`;
  return new CairnError(
    "does-not-fit",
    `the snapshot does not fit into PostgreSQL: a ${column}${where} cannot be stored: ${problem} (its bytes begin with ${shown})`,
    {
      unharmed: "nothing was written",
      next: "restore into another engine (docs/engines/limits.md)",
      exit: "targetRefused",
      details: { column, ...(inode === undefined ? {} : { inode: inode.toString() }) },
    },
  );
}

/** Refuses a setting that the line's column cannot hold. Throws `does-not-fit`. */
export function requireSettingFits(setting: string, line: JuicefsLine, encoding: string): void {
  const { length } = [...setting];
  const isTooLong = line !== "1.4" && length > oldSettingLength;
  // eslint-disable-next-line no-control-regex
  const isForeign = encoding !== "UTF8" && /[^\u0000-\u007f]/.test(setting);
  if (!isTooLong && !isForeign) return;
  const problem = isTooLong
    ? `it has ${length} characters, and JuiceFS ${line} has room for ${oldSettingLength}`
    : `the database's encoding is ${encoding}, and it is not ASCII`;
  throw new CairnError("does-not-fit", `the volume's setting does not fit into PostgreSQL: ${problem}`, {
    unharmed: "nothing was written",
    next: isTooLong ? "restore for line 1.4" : "restore into a database with the encoding UTF8",
    exit: "targetRefused",
    details: { column: "setting.value" },
  });
}
