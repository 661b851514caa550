import { integersOf, unsignedAt } from "../model/batch.ts";
import { juicefs, trashInode } from "../model/juicefs.ts";
import type { Finding } from "../model/ports.ts";
import { tableNamed } from "../model/schema.ts";
import { keyFrom } from "../format/key.ts";
import { readPage } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { counterOf } from "./changes/counters.ts";
import type { Repair, WantedChanges } from "./changes/plan-changes.ts";
import { readCounters, readSetting } from "./changes/read-small-table.ts";
import { greatest, highestInode, highestTrash } from "./changes/references.ts";

/** Which repair corrects what a source found, by the finding's code. */
const repairOf: Readonly<Record<string, Repair>> = {
  "next-inode-too-low": "counters",
  "next-chunk-too-low": "counters",
  "next-trash-too-low": "counters",
  "usage-lags": "usage",
};

/**
 * What would be dangerous or wrong about a volume restored from this snapshot as it is, each with its remedy: what the backup found, and
 * what the manifest's extremes and a few pages tell, for snapshots of sources that do not look for it. What the wanted changes correct is
 * left out. Reads a few pages, whatever the snapshot's size. The most severe come first.
 */
export async function restoreHazards(
  snapshot: Snapshot,
  wanted: Pick<WantedChanges, "repair" | "advanceIds">,
): Promise<Finding[]> {
  const { manifest, kind } = snapshot;
  const found: Finding[] = [];
  if (manifest.consistency.level === "none") {
    const message = `this backup is not one consistent state (${manifest.consistency.method}): files may be missing or doubled; verify the restored tree`;
    found.push(hazard("not-a-snapshot", "warning", message));
  }
  found.push(...manifest.findings);
  if (kind.name === juicefs.name) {
    for (const one of [...(await counterHazards(snapshot)), ...(await trashHazards(snapshot))]) {
      if (!found.some(({ code }) => code === one.code)) found.push(one);
    }
  }
  return found
    .filter(({ code }) => !isCorrected(code, wanted))
    .map(withRemedy)
    .toSorted((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}

const severities = ["error", "warning", "info"];

function withRemedy(finding: Finding): Finding {
  const repair = repairOf[finding.code];
  return repair === undefined ? finding : { ...finding, message: `${finding.message}; --repair=${repair} corrects it` };
}

function isCorrected(code: string, wanted: Pick<WantedChanges, "repair" | "advanceIds">): boolean {
  const repair = repairOf[code];
  if (repair === undefined) return false;
  return wanted.repair.includes(repair) || (repair === "counters" && wanted.advanceIds !== undefined);
}

function hazard(code: string, severity: Finding["severity"], message: string): Finding {
  return { code, severity, message, count: 1, samples: [] };
}

/** Slices are known here as far as extremes go: ids in chunks take a pass over all of them, which the source makes. */
async function counterHazards(snapshot: Snapshot): Promise<Finding[]> {
  const counters = await readCounters(snapshot);
  const found: Finding[] = [];
  const nextInode = counterOf(counters, "nextInode");
  const inode = await highestInode(snapshot);
  if (nextInode <= inode.number) {
    const message = `the next inode is ${nextInode}, but ${inode.by} still uses ${inode.number}: new files would share its data and lose it`;
    found.push(hazard("next-inode-too-low", "warning", message));
  }
  const nextChunk = counterOf(counters, "nextChunk");
  const inRefs = greatest(snapshot, "slice_ref", "id");
  const inDelayed = greatest(snapshot, "delayed_slice", "id");
  const slice = inRefs > inDelayed ? inRefs : inDelayed;
  if (nextChunk <= slice) {
    const message = `the next slice id is ${nextChunk}, but slice ${slice} is in use: new data would overwrite its blocks`;
    found.push(hazard("next-chunk-too-low", "warning", message));
  }
  const nextTrash = counterOf(counters, "nextTrash");
  const trash = highestTrash(snapshot);
  if (nextTrash < trash) {
    const message = `the last trash directory is number ${trash}, but the counter says ${nextTrash}: new trash directories would fail`;
    found.push(hazard("next-trash-too-low", "warning", message));
  }
  return found;
}

/** With a trash turned on and no node for it, deletions fail until the setting is written anew. */
async function trashHazards(snapshot: Snapshot): Promise<Finding[]> {
  const days = (await readSetting(snapshot)).get("TrashDays")?.text ?? "0";
  if (BigInt(days) <= 0n || (await hasNode(snapshot, trashInode))) return [];
  const message =
    `the trash is on (${days} days), but its directory is missing: deleting files may fail until it is made by ` +
    `juicefs config META-URL --trash-days ${days}`;
  return [hazard("trash-missing", "warning", message)];
}

async function hasNode(snapshot: Snapshot, inode: bigint): Promise<boolean> {
  const entry = await snapshot.index("node").find(keyFrom(tableNamed(snapshot.kind, "node"), [inode]));
  if (entry === undefined) return false;
  const batch = await readPage(snapshot, "node", entry);
  const inodes = integersOf(batch, 0);
  for (let row = 0; row < batch.count; row += 1) if (unsignedAt(inodes, row) === inode) return true;
  return false;
}
