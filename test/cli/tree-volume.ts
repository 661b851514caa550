import type { Row } from "../../src/model/batch.ts";
import { fileType, trashInode } from "../../src/model/juicefs.ts";
import type { TableRows } from "../support/volume-rows.ts";
import { volumeRows, sortRows } from "../support/volume-rows.ts";
import { seededRandom } from "../volumes/seeded-random.ts";

/** One name of a tree: what the plain model knows of it. */
export interface ModelEntry {
  path: Buffer;
  inode: bigint;
  type: number;
}

export interface TreeVolume {
  rows: TableRows;
  /** Every name below the root, the trash's under `/.trash`. */
  entries: ModelEntry[];
  nodes: Map<bigint, Row>;
}

/**
 * A volume whose tree is consistent (parents, link counts): nested directories, one of `files / 2` entries, hard links, symbolic links,
 * names that are not UTF-8, and a trash. With a model of its paths that is made by following the edges the plainest way.
 */
export function treeVolume(seed: number, files: number): TreeVolume {
  const random = seededRandom(seed);
  const rows = Object.fromEntries(Object.keys(volumeRows(1, 1)).map((name) => [name, [] as Row[]]));
  let next = 2n;
  const directories = [1n];
  const names = new Set<string>();
  const link = (parent: bigint, name: Buffer, inode: bigint, type: number): boolean => {
    const key = `${parent} ${name.toString("hex")}`;
    if (names.has(key)) return false;
    names.add(key);
    rows["edge"].push([parent, new Uint8Array(name), inode, type]);
    return true;
  };
  const node = (inode: bigint, type: number, parent: bigint, nlink: number, length = 4096n): void => {
    const [mode, uid, gid] = [[0o755, 0o4711, 0o644][random.below(3)], 1000 + random.below(4), random.below(3)];
    const mtime = BigInt(1_700_000_000 + random.below(80_000_000));
    const times = [mtime, random.below(1e9), mtime + 1n, 0, mtime - 1n, 5];
    const rdev = type === fileType.blockDevice ? 0x0801 : 0;
    rows["node"].push([inode, type, 0, mode, uid, gid, ...times, nlink, length, rdev, parent, 0, 0, 0]);
  };
  node(1n, fileType.directory, 1n, 2);
  node(trashInode, fileType.directory, 1n, 2);
  node(trashInode + 1n, fileType.directory, trashInode, 2);
  link(trashInode, Buffer.from("2026-11-21-09"), trashInode + 1n, fileType.directory);
  for (let at = 0; at < Math.max(3, files / 40); at += 1) {
    const parent = directories[random.below(directories.length)];
    const inode = next++;
    link(parent, Buffer.from(`directory ${at}`), inode, fileType.directory);
    node(inode, fileType.directory, parent, 2);
    directories.push(inode);
  }
  const types = [fileType.regular, fileType.regular, fileType.regular, fileType.symlink, fileType.blockDevice];
  for (let at = 0; at < files; at += 1) {
    const inode = next++;
    const place = random.below(10);
    const parent =
      place < 5 ? directories[1] : place === 5 ? trashInode + 1n : directories[random.below(directories.length)];
    const type = types[random.below(types.length)];
    const ending = [".log", ".jpg", "%", "\u00e9", ""][random.below(5)];
    const odd = random.below(20) === 0 ? Buffer.of(0xff, 0x0a) : Buffer.alloc(0);
    link(parent, Buffer.concat([Buffer.from(`file-${random.below(1e6)}-${at}${ending}`), odd]), inode, type);
    let count = 1;
    while (type === fileType.regular && random.below(12) === 0) {
      const other = directories[random.below(directories.length)];
      if (link(other, Buffer.from(`link-${at}-${count}`), inode, type)) count += 1;
    }
    const length =
      type === fileType.symlink ? 9n : [0n, 1n, 4096n, BigInt(random.below(1 << 30)), 1n << 41n][random.below(5)];
    node(inode, type, count > 1 ? 0n : parent, count, length);
    if (type === fileType.symlink) rows["symlink"].push([inode, Buffer.from("../target")]);
    if (type === fileType.regular) rows["chunk"].push([inode, 0, new Uint8Array(24).fill(Number(inode & 0xffn))]);
  }
  rows["setting"].push([Buffer.from("Name"), 0, Buffer.from("tree")]);
  rows["counter"].push([Buffer.from("nextInode"), next]);
  for (const name of Object.keys(rows)) sortRows(name, rows[name]);
  return { rows, entries: modelEntries(rows), nodes: new Map(rows["node"].map((row) => [row[0] as bigint, row])) };
}

/** Follows the edges from the root and from the trash. */
function modelEntries(rows: TableRows): ModelEntry[] {
  const byParent = Map.groupBy(rows["edge"], (row) => row[0] as bigint);
  const entries: ModelEntry[] = [];
  const visit = (inode: bigint, path: Buffer): void => {
    for (const [, name, child, type] of byParent.get(inode) ?? []) {
      const childPath = Buffer.concat([path, Buffer.from("/"), name as Uint8Array]);
      entries.push({ path: childPath, inode: child as bigint, type: type as number });
      if (type === fileType.directory) visit(child as bigint, childPath);
    }
  };
  visit(1n, Buffer.alloc(0));
  if (rows["node"].some(([inode]) => inode === trashInode)) visit(trashInode, Buffer.from("/.trash"));
  return entries;
}
