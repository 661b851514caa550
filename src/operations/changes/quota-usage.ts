import { unsignedAt } from "../../model/batch.ts";
import type { Batch, Row } from "../../model/batch.ts";
import { nodeColumn } from "../../model/juicefs.ts";
import type { Kind } from "../../model/schema.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import type { RestoreChange } from "../restore-change.ts";
import { changeRows } from "./change-records.ts";
import { DirectoryTree } from "./directory-tree.ts";
import { valuesOf } from "./names-by-inode.ts";
import { readSmallTable } from "./read-small-table.ts";
import { addWide, spaceHigh, spaceLow } from "./wide.ts";

/** JuiceFS' quota types: of a directory (by inode), a user, a group. */
const quotaType = { directory: 0, user: 1, group: 2 } as const;
const quotaNames = ["directory", "user", "group"];

/** The quotas of a volume, and what they really use. One object for each quota; there are few. */
export interface QuotaUsage {
  /** Undefined where no directory has a quota. */
  readonly tree: DirectoryTree | undefined;
  /** Counts a node in for its user and group. */
  addOwned(batch: Batch, row: number, lengthLow: number, lengthHigh: number): void;
  /** After the last directory came to the tree: counts the direct entries of one in for the quotas above it. */
  addDirect(low: number, high: number, spaceLowHalf: number, spaceHighHalf: number, entries: number): void;
  /** `--repair=usage` of the quotas; undefined when all are right. */
  finish(): RestoreChange | undefined;
}

export async function openQuotaUsage(snapshot: Snapshot): Promise<QuotaUsage> {
  const quotas = await readSmallTable(snapshot, "quota");
  const space = new Uint32Array(2 * quotas.length);
  const inodes = new Uint32Array(2 * quotas.length);
  const users = new Map<number, number>();
  const groups = new Map<number, number>();
  const directories: number[] = [];
  for (const [index, [type, key]] of quotas.entries()) {
    if (type === quotaType.user) users.set(Number(key), index);
    else if (type === quotaType.group) groups.set(Number(key), index);
    else if (type === quotaType.directory) directories.push(index);
  }
  const tree = directories.length === 0 ? undefined : new DirectoryTree();
  const exists = new Set<number>(quotas.keys().filter((index) => !directories.includes(index)));
  let isMarked = false;
  const markAll = (): void => {
    isMarked = true;
    for (const index of directories) {
      const { low, high } = halves(quotas[index][1] as bigint);
      if (tree?.mark(low, high, index) === true) exists.add(index);
    }
  };
  const addTo = (quota: number | undefined, lengthLow: number, lengthHigh: number): void => {
    if (quota === undefined) return;
    addWide(space, quota, spaceLow(lengthLow, lengthHigh), spaceHigh(lengthLow, lengthHigh));
    addWide(inodes, quota, 1, 0);
  };
  return {
    tree,
    addOwned(batch, row, lengthLow, lengthHigh) {
      if (users.size > 0) addTo(users.get(valuesOf(batch, nodeColumn.uid)?.[row] ?? 0), lengthLow, lengthHigh);
      if (groups.size > 0) addTo(groups.get(valuesOf(batch, nodeColumn.gid)?.[row] ?? 0), lengthLow, lengthHigh);
    },
    addDirect(low, high, spaceLowHalf, spaceHighHalf, entries) {
      if (tree === undefined) return;
      if (!isMarked) markAll();
      const quota = tree.nearest(low, high);
      if (quota < 0) return;
      addWide(space, quota, spaceLowHalf, spaceHighHalf);
      addWide(inodes, quota, entries, 0);
    },
    finish() {
      if (!isMarked) markAll();
      const sums = quotas.map((_, index) => ({ space: unsignedAt(space, index), inodes: unsignedAt(inodes, index) }));
      if (tree !== undefined) addNested(quotas, directories, tree, sums);
      return changeQuotas(snapshot.kind, quotas, sums, exists);
    },
  };
}

interface QuotaSum {
  space: bigint;
  inodes: bigint;
}

/** What one quota's directory uses, every quota above it uses, too. */
function addNested(
  quotas: readonly Row[],
  directories: readonly number[],
  tree: DirectoryTree,
  sums: QuotaSum[],
): void {
  const own = sums.map((sum) => ({ ...sum }));
  for (const index of directories) {
    const passed = new Set([index]);
    let above = index;
    for (;;) {
      const { low, high } = halves(quotas[above][1] as bigint);
      above = tree.nearestAbove(low, high);
      if (above < 0 || passed.has(above)) break;
      passed.add(above);
      sums[above].space += own[index].space;
      sums[above].inodes += own[index].inodes;
    }
  }
}

function changeQuotas(
  kind: Kind,
  quotas: readonly Row[],
  sums: readonly QuotaSum[],
  exists: ReadonlySet<number>,
): RestoreChange | undefined {
  const put: Row[] = [];
  const samples: string[] = [];
  for (const [index, row] of quotas.entries()) {
    const [type, key, maxSpace, maxInodes, usedSpace, usedInodes] = row;
    const sum = sums[index];
    // The quota of a directory that is gone counts nothing that could be known.
    if (!exists.has(index) || (usedSpace === sum.space && usedInodes === sum.inodes)) continue;
    put.push([type, key, maxSpace, maxInodes, BigInt.asIntN(64, sum.space), BigInt.asIntN(64, sum.inodes)]);
    const name = `${quotaNames[type as number] ?? `type ${type as number}`} ${key as bigint}`;
    if (samples.length < 3) {
      samples.push(
        `${name}: ${usedSpace as bigint} bytes and ${usedInodes as bigint} inodes become ${sum.space} and ${sum.inodes}`,
      );
    }
  }
  if (put.length === 0) return undefined;
  const description =
    `usage of ${put.length} ${put.length === 1 ? "quota" : "quotas"} ` +
    `(${samples.join("; ")}${put.length > samples.length ? "; …" : ""})`;
  return changeRows({ name: "repair-usage", description, kind, table: "quota" }, put);
}

function halves(value: bigint): { low: number; high: number } {
  return { low: Number(value & 0xffffffffn), high: Number(value >> 32n) };
}
