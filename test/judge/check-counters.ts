import type { Report } from "./finding.ts";
import type { RawVolume } from "./raw-volume.ts";
import { ROOT_INODE, TRASH_INODE, alignedSpace } from "./raw-volume.ts";
import { readDelayedSlices, readSlices } from "./slices.ts";

/** Checks that counters are above everything that is referred to, and what they say about usage (§1.4). */
export function checkCounters(volume: RawVolume, report: Report): void {
  for (const name of volume.requiredCounters) {
    if (!volume.counters.has(name)) {
      report("counter-missing", `counter ${name}`, "does not exist");
    }
  }
  const highest = highestReferences(volume);
  const least = (name: string, minimum: bigint, code: Parameters<Report>[0], what: string): void => {
    const value = volume.counters.get(name);
    if (value === undefined && volume.requiredCounters.includes(name)) {
      return;
    }
    if ((value ?? 0n) < minimum) {
      report(code, `counter ${name}`, `is ${value ?? "absent"}, but ${what}`);
    }
  };
  least("nextInode", highest.inode + 1n, "counter-next-inode", `inode ${highest.inode} is in use`);
  least("nextChunk", highest.slice + 1n, "counter-next-chunk", `slice ${highest.slice} is in use`);
  least("nextTrash", highest.trash, "counter-next-trash", `trash directory ${highest.trash} exists`);
  least("nextSession", highest.session, "counter-next-session", `session ${highest.session} is known`);
  for (const [name, value] of volume.counters) {
    if (value < 0n && name !== "usedSpace" && name !== "totalInodes") {
      report("counter-range", `counter ${name}`, `is ${value}`);
    }
  }
  if (volume.nextAclId !== null) {
    for (const { id } of volume.acls) {
      if (BigInt(id) >= volume.nextAclId) {
        report("counter-acl-id", `acl ${id}`, `would be given again, the next id is ${volume.nextAclId}`);
      }
    }
  }
  checkUsed(volume, report);
}

function checkUsed(volume: RawVolume, report: Report): void {
  let space = 0n;
  let inodes = 0n;
  for (const node of volume.nodes) {
    if (node.inode !== ROOT_INODE && node.inode !== TRASH_INODE) {
      space += alignedSpace(node.length);
      inodes += 1n;
    }
  }
  const usedSpace = volume.counters.get("usedSpace") ?? 0n;
  if (usedSpace !== space) {
    report("counter-used-space", "counter usedSpace", `is ${usedSpace}, the nodes take ${space}`);
  }
  const totalInodes = volume.counters.get("totalInodes") ?? 0n;
  if (totalInodes !== inodes) {
    report("counter-total-inodes", "counter totalInodes", `is ${totalInodes}, there are ${inodes} nodes`);
  }
}

/** The highest number of each kind that any record names; trash directories are counted from the trash root. */
function highestReferences(volume: RawVolume): { inode: bigint; slice: bigint; trash: bigint; session: bigint } {
  let inode = ROOT_INODE;
  let slice = 0n;
  let trash = 0n;
  let session = 0n;
  const sawInode = (value: bigint): void => {
    if (value < TRASH_INODE) {
      inode = value > inode ? value : inode;
    } else {
      trash = value - TRASH_INODE > trash ? value - TRASH_INODE : trash;
    }
  };
  const sawSlice = (value: bigint): void => {
    slice = value > slice ? value : slice;
  };
  const sawSession = (value: bigint): void => {
    session = value > session ? value : session;
  };
  const byInode = [volume.nodes, volume.edges, volume.chunks, volume.symlinks, volume.xattrs, volume.dirStats];
  for (const records of [...byInode, volume.deletedFiles, volume.sustained, volume.detached]) {
    for (const record of records) {
      sawInode(record.inode);
    }
  }
  for (const edge of volume.edges) {
    sawInode(edge.parent);
  }
  for (const chunk of volume.chunks) {
    for (const { id } of readSlices(chunk.slices)) {
      sawSlice(id);
    }
  }
  for (const { slices } of volume.delayedSlices) {
    for (const { id } of readDelayedSlices(slices)) {
      sawSlice(id);
    }
  }
  for (const { id } of volume.sliceRefs) {
    sawSlice(id);
  }
  for (const record of volume.sustained) {
    sawSession(record.session);
  }
  for (const { id } of volume.sessions) {
    sawSession(id);
  }
  return { inode, slice, trash, session };
}
