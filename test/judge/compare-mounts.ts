import type { BigIntStats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import type { DataExtents } from "./data-extents.ts";
import type { EntryDetails, EntryReader } from "./entry-reader.ts";
import { openEntryReader } from "./entry-reader.ts";
import { printBytes } from "./finding.ts";
import { TRASH_INODE } from "./raw-volume.ts";

/** One difference between two mounted trees; `left` and `right` are the values in text. */
export interface MountDifference {
  /** Relative to the mount point, `%XX` for what is not printable; empty for the root itself. */
  readonly path: string;
  readonly what: string;
  readonly left: string;
  readonly right: string;
}

export interface CompareMountsOptions {
  /** Compare access times too; off, since reading one side changes them. */
  readonly atime?: boolean;
  /** Compare inode numbers, which a restored JuiceFS volume keeps; on. */
  readonly inodes?: boolean;
  /** Compare the contents of files; on. */
  readonly contents?: boolean;
  /** Where large files have data, from `readDataExtents`: needed where files have large holes, which a mount does not tell. */
  readonly dataExtents?: DataExtents;
  /** Folders walked even where the mount point does not list them: the trash, which JuiceFS can be told to hide. */
  readonly hidden?: readonly string[];
  /** Attributes to leave out, as `what` names them (`mtime`, `xattr user.a`, …), for differences the caller expects. */
  readonly ignore?: (path: string, what: string) => boolean;
}

export interface MountComparison {
  readonly differences: readonly MountDifference[];
  /** How many entries were compared, so that a test can tell that it compared something. */
  readonly entries: number;
}

/** One of the two trees. */
interface Side {
  readonly root: Buffer;
  readonly reader: EntryReader;
}

interface Walk {
  readonly left: Side;
  readonly right: Side;
  readonly options: CompareMountsOptions;
  readonly differ: (path: Buffer, what: string, left: string, right: string) => void;
  entries: number;
}

const SLASH = Buffer.from("/");
const CONCURRENCY = 8;
const CONTROL_INODE = 0x7fff_ffff_0000_0000n;
const STAT_FIELDS = ["mode", "uid", "gid", "nlink", "size", "rdev"] as const;

/**
 * Compares every entry below two mount points: type, mode, owner, link count, size, device, times to the nanosecond, target, extended
 * attributes (POSIX ACLs are among them, as `system.posix_acl_access` and `_default`, for root) and contents.
 */
export async function compareMounts(
  left: string,
  right: string,
  options: CompareMountsOptions = {},
): Promise<MountComparison> {
  await using leftReader = openEntryReader();
  await using rightReader = openEntryReader();
  const differences: MountDifference[] = [];
  const walk: Walk = {
    left: { root: Buffer.from(left), reader: leftReader },
    right: { root: Buffer.from(right), reader: rightReader },
    options,
    differ(path, what, leftValue, rightValue) {
      const name = printBytes(path);
      if (options.ignore?.(name, what) !== true) {
        differences.push({ path: name, what, left: leftValue, right: rightValue });
      }
    },
    entries: 0,
  };
  await compareEntry(walk, Buffer.alloc(0));
  const listed = new Set([...(await readdir(left)), ...(await readdir(right))]);
  for (const hidden of options.hidden ?? [".trash"]) {
    if (!listed.has(hidden)) {
      await compareEntry(walk, Buffer.from(hidden));
    }
  }
  return { differences, entries: walk.entries };
}

async function compareEntry(walk: Walk, path: Buffer): Promise<void> {
  const [left, right] = await Promise.all([statOrNull(pathIn(walk.left, path)), statOrNull(pathIn(walk.right, path))]);
  if (left === null || right === null) {
    if (left !== right) {
      walk.differ(path, "existence", left === null ? "absent" : "present", right === null ? "absent" : "present");
    }
    return;
  }
  if (isControlFile(left.ino) && isControlFile(right.ino)) {
    return;
  }
  walk.entries += 1;
  compareStats(walk, path, left, right);
  if (left.isSymbolicLink() && right.isSymbolicLink()) {
    const targets = [walk.left, walk.right].map((side) => readlink(pathIn(side, path), { encoding: "buffer" }));
    const [leftTarget, rightTarget] = await Promise.all(targets);
    if (!leftTarget.equals(rightTarget)) {
      walk.differ(path, "target", printBytes(leftTarget), printBytes(rightTarget));
    }
  }
  const compared = walk.options.contents !== false && left.isFile() && right.isFile();
  const contents = compared ? (walk.options.dataExtents?.(left.ino) ?? "whole") : "none";
  const [leftDetails, rightDetails] = await Promise.all([
    walk.left.reader.read(pathIn(walk.left, path), contents),
    walk.right.reader.read(pathIn(walk.right, path), contents),
  ]);
  compareDetails(walk, path, leftDetails, rightDetails);
  if (left.isDirectory() && right.isDirectory()) {
    await compareDirectories(walk, path);
  }
}

/** `.stats`, `.config` and their like in the root of a mount: made by the client, no part of the volume. */
function isControlFile(inode: bigint): boolean {
  return inode >= CONTROL_INODE && inode < TRASH_INODE;
}

function compareStats(walk: Walk, path: Buffer, left: BigIntStats, right: BigIntStats): void {
  for (const field of STAT_FIELDS) {
    if (left[field] !== right[field]) {
      const print = (value: bigint): string => (field === "mode" ? `0${value.toString(8)}` : String(value));
      walk.differ(path, field, print(left[field]), print(right[field]));
    }
  }
  if (walk.options.inodes !== false && left.ino !== right.ino) {
    walk.differ(path, "inode", String(left.ino), String(right.ino));
  }
  // The trash root is shown with the time of the mount, whatever its node says.
  if (left.ino === TRASH_INODE && right.ino === TRASH_INODE) {
    return;
  }
  const times = walk.options.atime === true ? (["atime", "mtime", "ctime"] as const) : (["mtime", "ctime"] as const);
  for (const time of times) {
    if (left[`${time}Ns`] !== right[`${time}Ns`]) {
      walk.differ(path, time, String(left[`${time}Ns`]), String(right[`${time}Ns`]));
    }
  }
}

function compareDetails(walk: Walk, path: Buffer, left: EntryDetails, right: EntryDetails): void {
  for (const name of new Set([...Object.keys(left.xattrs), ...Object.keys(right.xattrs)])) {
    const leftValue = left.xattrs[name] ?? "absent";
    const rightValue = right.xattrs[name] ?? "absent";
    if (leftValue !== rightValue) {
      walk.differ(path, `xattr ${printBytes(Buffer.from(name, "hex"))}`, leftValue, rightValue);
    }
  }
  if (left.hash !== right.hash) {
    walk.differ(path, "contents", String(left.hash), String(right.hash));
  }
  // An entry that neither side can read was not compared, which is a difference too.
  if (left.error !== undefined || right.error !== undefined) {
    walk.differ(path, "unreadable", left.error ?? "readable", right.error ?? "readable");
  }
}

async function compareDirectories(walk: Walk, path: Buffer): Promise<void> {
  const [left, right] = await Promise.all([
    readdir(pathIn(walk.left, path), { encoding: "buffer" }),
    readdir(pathIn(walk.right, path), { encoding: "buffer" }),
  ]);
  const names = new Map<string, Buffer>();
  for (const name of [...left, ...right]) {
    names.set(name.toString("latin1"), name);
  }
  for (const [side, list] of [["left", left] as const, ["right", right] as const]) {
    const seen = new Set(list.map((name) => name.toString("latin1")));
    if (seen.size !== list.length) {
      walk.differ(path, `doubled names on the ${side}`, String(left.length), String(right.length));
    }
    for (const [text, name] of names) {
      if (!seen.has(text)) {
        walk.differ(
          join(path, name),
          "listing",
          side === "left" ? "absent" : "present",
          side === "left" ? "present" : "absent",
        );
        names.delete(text);
      }
    }
  }
  const waiting = [...names.values()];
  const work = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      await compareEntry(walk, join(path, name));
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, waiting.length) }, work));
}

async function statOrNull(path: Buffer): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

function pathIn(side: Side, path: Buffer): Buffer {
  return path.length === 0 ? side.root : Buffer.concat([side.root, SLASH, path]);
}

function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, SLASH, name]);
}
