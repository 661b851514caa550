import type { JudgedSetting } from "./check-setting.ts";
import type { Report } from "./finding.ts";
import type { RawNode, RawTime, RawVolume } from "./raw-volume.ts";
import {
  ROOT_INODE,
  TRASH_INODE,
  TYPE_BLOCK_DEVICE,
  TYPE_CHARACTER_DEVICE,
  TYPE_DIRECTORY,
  TYPE_REGULAR,
  TYPE_SYMLINK,
} from "./raw-volume.ts";
import type { VolumeIndex } from "./volume-index.ts";

const TYPE_MAX = 7;
const MODE_MAX = 0o7777;
const FLAGS_MAX = 63;
const U32_MAX = 0xffff_ffff;
const DIRECTORY_LENGTH = 4096n;
const TARGET_BYTES_MAX = 4096;

/** Checks each node by itself: ranges, length rules, the target of symbolic links; and that the roots are what they must be. */
export function checkNodes(volume: RawVolume, index: VolumeIndex, setting: JudgedSetting, report: Report): void {
  const targets = readTargets(volume, index, report);
  for (const node of volume.nodes) {
    checkRanges(node, setting, report);
    checkLength(node, targets.get(node.inode), report);
  }
  checkRoots(index, setting, report);
  checkXattrs(volume, index, report);
}

function checkRanges(node: RawNode, setting: JudgedSetting, report: Report): void {
  const record = `node ${node.inode}`;
  if (node.inode <= 0n) {
    report("node-inode", record, "is not a number above 0");
  }
  if (!(node.type >= 1 && node.type <= TYPE_MAX)) {
    report("node-type", record, `has type ${node.type}`);
  }
  if (!(node.mode >= 0 && node.mode <= MODE_MAX)) {
    report("node-mode", record, `has mode ${node.mode}`);
  }
  if (!(node.flags >= 0 && node.flags <= FLAGS_MAX)) {
    report("node-flags", record, `has flags ${node.flags}`);
  }
  for (const field of ["uid", "gid", "nlink", "rdev"] as const) {
    if (!(node[field] >= 0 && node[field] <= U32_MAX)) {
      report("node-owner", record, `has ${field} ${node[field]}`);
    }
  }
  for (const field of ["atime", "mtime", "ctime"] as const) {
    checkTime(node[field], record, field, report);
  }
  const device = node.type === TYPE_BLOCK_DEVICE || node.type === TYPE_CHARACTER_DEVICE;
  if (node.rdev !== 0 && !device) {
    report("node-rdev", record, `is no device but has device number ${node.rdev}`);
  }
  if (node.tier !== 0 && setting.tiers?.has(node.tier) !== true) {
    report("node-tier", record, `is of tier ${node.tier}, which the setting does not list`);
  }
}

function checkTime(time: RawTime, record: string, field: string, report: Report): void {
  if (!(time.nanoseconds >= 0 && time.nanoseconds < 1_000_000_000) || !Number.isSafeInteger(time.seconds)) {
    report("node-time", record, `${field} is ${time.seconds} seconds and ${time.nanoseconds} nanoseconds`);
  }
}

function checkLength(node: RawNode, target: Uint8Array | undefined, report: Report): void {
  const record = `node ${node.inode}`;
  if (node.type === TYPE_DIRECTORY) {
    if (node.length !== DIRECTORY_LENGTH) {
      report("length-directory", record, `is a directory of length ${node.length}`);
    }
  } else if (node.type === TYPE_SYMLINK) {
    if (target === undefined) {
      report("symlink-target-missing", record, "is a symbolic link without a target");
    } else if (node.length !== BigInt(target.length)) {
      report("length-symlink", record, `has length ${node.length}, its target has ${target.length} bytes`);
    }
  } else if (node.type === TYPE_REGULAR) {
    if (node.length < 0n) {
      report("length-other", record, `is a file of length ${node.length}`);
    }
  } else if (node.length !== 0n) {
    report("length-other", record, `is neither file, directory nor link, and has length ${node.length}`);
  }
}

function readTargets(volume: RawVolume, index: VolumeIndex, report: Report): Map<bigint, Uint8Array> {
  const targets = new Map<bigint, Uint8Array>();
  for (const { inode, target } of volume.symlinks) {
    const record = `symlink ${inode}`;
    if (targets.has(inode)) {
      report("symlink-duplicate", record, "has more than one target");
    }
    targets.set(inode, target);
    if (target.length === 0 || target.length > TARGET_BYTES_MAX || target.includes(0)) {
      report(
        "symlink-target",
        record,
        `has a target of ${target.length} bytes${target.includes(0) ? " with a NUL" : ""}`,
      );
    }
    const node = index.nodes.get(inode);
    if (node === undefined) {
      report("symlink-orphan", record, "is the target of a node that does not exist");
    } else if (node.type !== TYPE_SYMLINK) {
      report("symlink-orphan", record, `is the target of a node of type ${node.type}`);
    }
  }
  return targets;
}

function checkRoots(index: VolumeIndex, setting: JudgedSetting, report: Report): void {
  const root = index.nodes.get(ROOT_INODE);
  if (root === undefined) {
    report("root-missing", `node ${ROOT_INODE}`, "the root directory does not exist");
  } else if (root.type !== TYPE_DIRECTORY || root.parent !== ROOT_INODE) {
    report("root-wrong", `node ${ROOT_INODE}`, `has type ${root.type} and parent ${root.parent}, not 2 and 1`);
  }
  const trash = index.nodes.get(TRASH_INODE);
  if (trash === undefined) {
    if (setting.trashDays > 0) {
      report("trash-root-missing", `node ${TRASH_INODE}`, `does not exist although TrashDays is ${setting.trashDays}`);
    }
  } else if (trash.type !== TYPE_DIRECTORY || trash.parent !== ROOT_INODE) {
    report("trash-root-wrong", `node ${TRASH_INODE}`, `has type ${trash.type} and parent ${trash.parent}, not 2 and 1`);
  }
}

function checkXattrs(volume: RawVolume, index: VolumeIndex, report: Report): void {
  const seen = new Set<string>();
  for (const { inode, name } of volume.xattrs) {
    const text = Buffer.from(name).toString("latin1");
    const record = `xattr ${inode} ${text}`;
    if (!index.nodes.has(inode)) {
      report("xattr-orphan", record, "belongs to a node that does not exist");
    }
    if (name.length === 0 || name.length > 255 || name.includes(0)) {
      report("xattr-name", record, `has a name of ${name.length} bytes${name.includes(0) ? " with a NUL" : ""}`);
    }
    const key = `${inode} ${text}`;
    if (seen.has(key)) {
      report("xattr-duplicate", record, "exists more than once");
    }
    seen.add(key);
  }
}
