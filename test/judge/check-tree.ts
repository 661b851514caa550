import type { Report } from "./finding.ts";
import type { RawEdge, RawNode, RawVolume } from "./raw-volume.ts";
import { ROOT_INODE, TRASH_INODE, TYPE_DIRECTORY } from "./raw-volume.ts";
import type { VolumeIndex } from "./volume-index.ts";
import { edgeRecord } from "./volume-index.ts";

const NAME_BYTES_MAX = 255;
const HOUR = /^\d{4}-\d{2}-\d{2}-\d{2}$/;
const TRASH_ENTRY = /^(\d+)-(\d+)-/;

/** Checks names, the tree they make, parents and link counts (§1.2, §1.3). */
export function checkTree(volume: RawVolume, index: VolumeIndex, report: Report): void {
  for (const edge of volume.edges) {
    checkName(edge, report);
    checkEnds(edge, index, report);
    checkTrashName(edge, report);
  }
  for (const node of volume.nodes) {
    checkNames(node, index, report);
    checkParent(node, index, report);
    checkLinkCount(node, index, report);
  }
  checkLoops(index, report);
  checkParentsRecords(volume, index, report);
}

function checkName(edge: RawEdge, report: Report): void {
  const { name } = edge;
  const text = Buffer.from(name).toString("latin1");
  const wrong = (what: string): void => report("edge-name", edgeRecord(edge), what);
  if (name.length === 0 || name.length > NAME_BYTES_MAX) {
    wrong(`the name has ${name.length} bytes`);
  }
  if (text.includes("/") || text.includes("\0")) {
    wrong("the name holds a slash or a NUL");
  }
  if (text === "." || text === "..") {
    wrong("the name is reserved");
  }
}

function checkEnds(edge: RawEdge, index: VolumeIndex, report: Report): void {
  const record = edgeRecord(edge);
  if (edge.inode === ROOT_INODE || edge.inode === TRASH_INODE) {
    report("edge-to-root", record, `leads to ${edge.inode}, which has no name`);
  }
  const node = index.nodes.get(edge.inode);
  if (node === undefined) {
    report("edge-node-missing", record, `leads to node ${edge.inode}, which does not exist`);
  } else if (node.type !== edge.type) {
    report("edge-type", record, `says type ${edge.type}, node ${edge.inode} is of type ${node.type}`);
  }
  const parent = index.nodes.get(edge.parent);
  if (parent === undefined) {
    report("edge-parent-missing", record, `lies in directory ${edge.parent}, which does not exist`);
  } else if (parent.type !== TYPE_DIRECTORY) {
    report("edge-parent-type", record, `lies in node ${edge.parent}, which is of type ${parent.type}`);
  }
}

function checkTrashName(edge: RawEdge, report: Report): void {
  const text = Buffer.from(edge.name).toString("latin1");
  if (edge.parent === TRASH_INODE) {
    if (edge.inode < TRASH_INODE) {
      report(
        "trash-directory",
        edgeRecord(edge),
        `the trash root holds node ${edge.inode}, which is no trash directory`,
      );
    }
    if (!HOUR.test(text)) {
      report("trash-directory", edgeRecord(edge), "the name is not year-month-day-hour");
    }
  } else if (edge.parent > TRASH_INODE) {
    const parts = TRASH_ENTRY.exec(text);
    if (parts === null || BigInt(parts[2]) !== edge.inode) {
      report(
        "trash-entry-name",
        edgeRecord(edge),
        `the name does not say that it was node ${edge.inode} of a directory`,
      );
    }
  }
}

/** A node has a name unless it is a root, is open in a session, or is the top of a detached tree. */
function checkNames(node: RawNode, index: VolumeIndex, report: Report): void {
  const record = `node ${node.inode}`;
  const names = index.namesOf.get(node.inode) ?? [];
  if (names.length === 0 && !mayLackName(node.inode, index)) {
    report("node-unreachable", record, "has no name and is neither open, detached nor a root");
  }
  if (node.type === TYPE_DIRECTORY && names.length > 1) {
    report("directory-many-parents", record, `is a directory with ${names.length} names`);
  }
  if (node.inode > TRASH_INODE) {
    const inTrash = names.length === 1 && names[0].parent === TRASH_INODE;
    if (node.type !== TYPE_DIRECTORY || !inTrash) {
      report("trash-directory", record, "has an inode of the trash but is no directory in the trash root");
    }
  }
}

function mayLackName(inode: bigint, index: VolumeIndex): boolean {
  return inode === ROOT_INODE || inode === TRASH_INODE || index.sustained.has(inode) || index.detached.has(inode);
}

/**
 * The parent of a node is the directory of its name. What is no directory gets parent 0 ("look at the names") with its second name, and
 * keeps it when only one name is left.
 */
function checkParent(node: RawNode, index: VolumeIndex, report: Report): void {
  const names = index.namesOf.get(node.inode) ?? [];
  if (node.parent === null || names.length === 0) {
    return;
  }
  const record = `node ${node.inode}`;
  if (node.type !== TYPE_DIRECTORY && node.parent === 0n) {
    return;
  }
  if (node.type !== TYPE_DIRECTORY && names.length > 1) {
    report("node-parent", record, `has ${names.length} names and the parent ${node.parent} instead of 0`);
  } else if (names[0].parent !== node.parent) {
    report("node-parent", record, `has the parent ${node.parent}, its name lies in ${names[0].parent}`);
  }
}

function checkLinkCount(node: RawNode, index: VolumeIndex, report: Report): void {
  const record = `node ${node.inode}`;
  if (node.type !== TYPE_DIRECTORY) {
    const names = index.namesOf.get(node.inode)?.length ?? 0;
    if (node.nlink !== names && !index.detached.has(node.inode)) {
      report("nlink-file", record, `has nlink ${node.nlink} and ${names} names`);
    }
    return;
  }
  if (node.inode >= TRASH_INODE) {
    if (node.nlink !== 2) {
      report("nlink-trash", record, `has nlink ${node.nlink}`);
    }
    return;
  }
  let directories = 0;
  for (const edge of index.entriesOf.get(node.inode) ?? []) {
    directories += edge.type === TYPE_DIRECTORY ? 1 : 0;
  }
  if (node.nlink !== directories + 2) {
    report("nlink-directory", record, `has nlink ${node.nlink} and ${directories} sub-directories`);
  }
}

/** Climbs from every directory; each is climbed once. */
function checkLoops(index: VolumeIndex, report: Report): void {
  const done = new Set<bigint>([ROOT_INODE, TRASH_INODE]);
  for (const node of index.nodes.values()) {
    if (node.type !== TYPE_DIRECTORY) {
      continue;
    }
    const path = new Set<bigint>();
    let inode: bigint | undefined = node.inode;
    while (inode !== undefined && !done.has(inode)) {
      if (path.has(inode)) {
        report("directory-loop", `node ${inode}`, "is a directory among its own ancestors");
        break;
      }
      path.add(inode);
      inode = index.namesOf.get(inode)?.[0]?.parent;
    }
    for (const climbed of path) {
      done.add(climbed);
    }
  }
}

function checkParentsRecords(volume: RawVolume, index: VolumeIndex, report: Report): void {
  if (volume.parents === null) {
    return;
  }
  const recorded = new Map<string, bigint>();
  for (const { inode, parent, count } of volume.parents) {
    if (count !== 0n) {
      recorded.set(`${inode} ${parent}`, count);
    }
  }
  const real = new Map<string, bigint>();
  for (const edge of volume.edges) {
    if (index.nodes.get(edge.inode)?.parent === 0n) {
      const key = `${edge.inode} ${edge.parent}`;
      real.set(key, (real.get(key) ?? 0n) + 1n);
    }
  }
  for (const [key, count] of real) {
    if (recorded.get(key) !== count) {
      report("parents-record", `parents ${key}`, `counts ${recorded.get(key) ?? 0n} names, there are ${count}`);
    }
  }
  for (const [key, count] of recorded) {
    if (!real.has(key)) {
      report("parents-record", `parents ${key}`, `counts ${count} names, there are none`);
    }
  }
}
