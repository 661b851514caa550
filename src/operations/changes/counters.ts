import type { Row } from "../../model/batch.ts";
import { CairnError } from "../../model/errors.ts";
import { trashInode } from "../../model/juicefs.ts";
import type { Kind } from "../../model/schema.ts";
import type { RestoreChange } from "../restore-change.ts";
import { changeRows } from "./change-records.ts";
import type { Reference } from "./references.ts";

/** The highest number of each sort that any record uses. */
export interface InUse {
  inode: Reference;
  slice: Reference;
  trash: bigint;
}

const least: Record<string, bigint> = { nextInode: 2n, nextChunk: 1n };

const labels: Record<string, string> = {
  nextInode: "next inode",
  nextChunk: "next slice id",
  nextTrash: "last trash directory",
  usedSpace: "used space",
  totalInodes: "number of inodes",
};

/** The counter, or what an absent one stands for. */
export function counterOf(counters: ReadonlyMap<string, bigint>, name: string): bigint {
  const value = counters.get(name) ?? 0n;
  const lowest = least[name] ?? 0n;
  return value < lowest && name in least ? lowest : value;
}

/**
 * `--repair=counters`: the next inode and slice id above all that are used, the last trash directory not below the highest. Raises the
 * values in `counters`; undefined when all are right.
 */
export function repairCounters(kind: Kind, counters: Map<string, bigint>, inUse: InUse): RestoreChange | undefined {
  const needed: [string, bigint, string][] = [
    ["nextInode", inUse.inode.number + 1n, `${inUse.inode.by} still uses ${inUse.inode.number}`],
    ["nextChunk", inUse.slice.number + 1n, `${inUse.slice.by} still uses ${inUse.slice.number}`],
    ["nextTrash", inUse.trash, `there is a trash directory of number ${inUse.trash}`],
  ];
  const changes = needed
    .filter(([name, value]) => counterOf(counters, name) < value)
    .map(([name, value, reason]) => ({ name, value, reason }));
  return changeCounters(kind, "repair-counters", counters, changes);
}

/** How far `--advance-ids` goes without a number. */
export const advanceIdsDefault = 10_000_000;
/** Trash directories are made at most once an hour, and their numbers end at 2^63. */
const advanceTrashMax = 100_000n;
/** The greatest number of a trash directory: inodes are kept in signed columns by the SQL engines. */
const trashNumberMax = 2n ** 63n - 1n - trashInode;

/**
 * `--advance-ids[=N]`: next inode and slice id N above the counter and all that is used, and trash directories up to 100,000 further,
 * so that nothing which the original handed out since the snapshot is handed out again.
 */
export function advanceIds(
  kind: Kind,
  counters: Map<string, bigint>,
  inUse: InUse,
  distance: number,
): RestoreChange | undefined {
  if (!Number.isSafeInteger(distance) || distance < 1) {
    throw new CairnError("usage", `--advance-ids takes a whole number above 0, not ${distance}`, {
      exit: "wrongUse",
      unharmed: "nothing was restored",
      next: `leave the number out for ${advanceIdsDefault}`,
    });
  }
  const by = BigInt(distance);
  const trashBy = by < advanceTrashMax ? by : advanceTrashMax;
  const trash = max(counterOf(counters, "nextTrash"), inUse.trash) + trashBy;
  const wanted: [string, bigint, bigint][] = [
    ["nextInode", max(counterOf(counters, "nextInode"), inUse.inode.number + 1n) + by, trashInode - 1n],
    ["nextChunk", max(counterOf(counters, "nextChunk"), inUse.slice.number + 1n) + by, 2n ** 63n - 1n],
    // Near the end of the numbers, as far as they go; never below what there is.
    ["nextTrash", trash < trashNumberMax ? trash : max(trashNumberMax, trash - trashBy), 2n ** 63n - 1n],
  ];
  for (const [name, value, most] of wanted) {
    if (value <= most) continue;
    throw new CairnError("ids-exhausted", `--advance-ids=${distance} would bring the ${labels[name]} to ${value}`, {
      exit: "wrongUse",
      unharmed: "nothing was restored",
      next: `give a smaller number: the ${labels[name]} may be ${most} at most`,
    });
  }
  const changes = wanted
    .filter(([name, value]) => counterOf(counters, name) !== value)
    .map(([name, value]) => ({ name, value, reason: "" }));
  return changeCounters(kind, "advance-ids", counters, changes);
}

/** Makes the change, and brings `counters` to what follows from it. */
export function changeCounters(
  kind: Kind,
  change: string,
  counters: Map<string, bigint>,
  values: readonly { name: string; value: bigint; reason: string }[],
): RestoreChange | undefined {
  if (values.length === 0) return undefined;
  const description = values
    .map(({ name, value, reason }) => {
      const text = `${labels[name] ?? name} ${counterOf(counters, name)} becomes ${value}`;
      return reason === "" ? text : `${text} (${reason})`;
    })
    .join("; ");
  const rows = values.map(({ name, value }): Row => [Buffer.from(name), value]);
  for (const { name, value } of values) counters.set(name, value);
  return changeRows({ name: change, description, kind, table: "counter" }, rows);
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
