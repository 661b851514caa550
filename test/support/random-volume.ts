import type { Row } from "../../src/model/batch.ts";
import { fileType, trashInode } from "../../src/model/juicefs.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import { counterRows, edgeRow, nodeRow, settingRows } from "./synthetic-snapshot.ts";

export interface RandomVolumeOptions {
  seed: number;
  directories: number;
  files: number;
  /** Leave usage and link counts right, so that nothing is to be repaired. */
  right?: boolean;
}

/**
 * A small volume with an arbitrary tree: hard links, a trash, open deleted files, entries that lead nowhere, nested quotas; and with
 * usage figures and link counts that are right, wrong or missing at random.
 */
export function randomVolume(options: RandomVolumeOptions): Record<string, Row[]> {
  const random = seededRandom(options.seed);
  const chance = (percent: number): boolean => options.right !== true && random.below(100) < percent;
  const tables: Record<string, Row[]> = { node: [], edge: [], dir_stat: [], quota: [], sustained: [] };
  const inodes = new Set([0n, 1n, trashInode]);
  const newInode = (): bigint => {
    for (;;) {
      const inode = BigInt(random.below(1 << 24)) * BigInt(random.below(3) === 0 ? 65_537 : 1);
      if (inodes.has(inode)) continue;
      inodes.add(inode);
      return inode;
    }
  };
  const directories = [1n];
  const trash = [trashInode + 1n, trashInode + 2n];
  const node = (inode: bigint, type: number, length: bigint): Row =>
    nodeRow(inode, {
      type,
      length,
      uid: random.below(4),
      gid: random.below(4),
      nlink: type === fileType.directory ? 2 : 1,
    });
  tables["node"].push(node(1n, fileType.directory, 4096n), node(trashInode, fileType.directory, 4096n));
  for (const [at, inode] of trash.entries()) {
    tables["node"].push(node(inode, fileType.directory, 4096n));
    tables["edge"].push(edgeRow(trashInode, `2026-11-21-0${at}`, inode, fileType.directory));
  }
  const placeFor = (): bigint =>
    random.below(12) === 0 ? trash[random.below(2)] : directories[random.below(directories.length)];
  for (let at = 0; at < options.directories; at += 1) {
    const inode = newInode();
    tables["node"].push(node(inode, fileType.directory, 4096n));
    tables["edge"].push(edgeRow(placeFor(), `directory ${at}`, inode, fileType.directory));
    directories.push(inode);
  }
  for (let at = 0; at < options.files; at += 1) {
    const inode = newInode();
    const type = random.below(8) === 0 ? fileType.symlink : fileType.regular;
    const lengths = [0n, 1n, 4096n, 4097n, BigInt(random.below(1 << 30)), 1n << 40n, 0xfffff001n, (1n << 32n) - 1n];
    tables["node"].push(node(inode, type, type === fileType.symlink ? 12n : lengths[random.below(lengths.length)]));
    if (random.below(40) === 0) tables["sustained"].push([2n, inode]);
    else {
      const names = random.below(10) === 0 ? 1 + random.below(4) : 1;
      const same = placeFor();
      for (let name = 0; name < names; name += 1)
        tables["edge"].push(edgeRow(random.below(2) === 0 ? same : placeFor(), `file ${at} ${name}`, inode, type));
    }
  }
  if (chance(50)) tables["edge"].push(edgeRow(placeFor(), "to nowhere", newInode(), fileType.regular));
  if (chance(20)) tables["edge"].push(edgeRow(newInode(), "in nowhere", newInode(), fileType.regular));
  for (const inode of directories.slice(0, 6)) {
    if (random.below(2) === 0) tables["quota"].push([0, inode, -1n, -1n, 0n, 0n]);
  }
  if (chance(30)) tables["quota"].push([0, newInode(), -1n, 5n, 7n, 8n]);
  for (let owner = 0; owner < 5; owner += 1) {
    if (random.below(3) > 0) tables["quota"].push([1, BigInt(owner), -1n, -1n, 0n, 0n]);
    if (random.below(3) > 0) tables["quota"].push([2, BigInt(owner), 1n << 40n, -1n, 4096n, 1n]);
  }
  tables["counter"] = counterRows({ nextChunk: 1, nextInode: 1n << 42n, nextTrash: 2, totalInodes: 0, usedSpace: 0 });
  tables["setting"] = settingRows({ Bucket: "/bucket/", DirStats: random.below(4) > 0 || options.right === true });
  const right = repairedNaively(tables);
  for (const table of ["node", "dir_stat", "quota", "counter"]) tables[table] = right[table];
  for (const [at, row] of tables["node"].entries()) {
    if (chance(5)) tables["node"][at] = [...row.slice(0, 12), random.below(9), ...row.slice(13)];
  }
  tables["dir_stat"] = right["dir_stat"]
    .filter(() => !chance(10))
    .map((row) => (chance(20) ? [row[0], BigInt(random.below(100)), row[2], BigInt(-random.below(5))] : row));
  if (chance(40)) tables["dir_stat"].push([newInode(), 5n, 4096n, 1n]);
  tables["quota"] = right["quota"].map((row) => (chance(50) ? [...row.slice(0, 4), 5n, row[5]] : row));
  if (chance(60))
    tables["counter"] = counterRows({
      nextChunk: 1,
      nextInode: 1n << 42n,
      nextTrash: 2,
      totalInodes: -3,
      usedSpace: 1,
    });
  return tables;
}

const space = (length: bigint): bigint => (length === 0n ? 4096n : ((length + 4095n) / 4096n) * 4096n);

/** The volume with usage and link counts as they should be, computed the plain way. Tables that do not change are left out. */
export function repairedNaively(tables: Record<string, Row[]>): Record<string, Row[]> {
  const nodes = new Map(tables["node"].map((row) => [row[0] as bigint, row]));
  const edges = tables["edge"].map(([parent, , inode, type]) => ({
    parent: parent as bigint,
    inode: inode as bigint,
    type: type as number,
  }));
  const isDirectory = (inode: bigint): boolean => nodes.get(inode)?.[1] === fileType.directory;
  const fileLength = (inode: bigint): bigint => {
    const row = nodes.get(inode);
    return row?.[1] === fileType.regular ? (row[13] as bigint) : 0n;
  };
  const entriesOf = Map.groupBy(edges, (edge) => edge.parent);
  const namesOf = Map.groupBy(edges, (edge) => edge.inode);
  const direct = (inode: bigint): [bigint, bigint, bigint] => {
    const entries = entriesOf.get(inode) ?? [];
    const lengths = entries.map((entry) => fileLength(entry.inode));
    return [sum(lengths), sum(lengths.map(space)), BigInt(entries.length)];
  };
  const below = (inode: bigint): bigint[] => [
    inode,
    ...(entriesOf.get(inode) ?? []).filter((edge) => isDirectory(edge.inode)).flatMap((edge) => below(edge.inode)),
  ];

  const node = tables["node"].map((row) => {
    const inode = row[0] as bigint;
    const changed = [...row];
    if (isDirectory(inode)) {
      const directories = (entriesOf.get(inode) ?? []).filter((edge) => edge.type === fileType.directory);
      if (inode < trashInode) changed[12] = 2 + directories.length;
    } else if (namesOf.has(inode)) changed[12] = namesOf.get(inode)?.length ?? 0;
    return changed;
  });
  const counted = tables["node"].filter(([inode]) => inode !== 1n && inode !== trashInode);
  const isOn = tables["setting"].some(
    ([field, , value]) =>
      String(Buffer.from(field as Uint8Array)) === "DirStats" && String(Buffer.from(value as Uint8Array)) === "true",
  );
  const hadRow = new Set(tables["dir_stat"].map(([inode]) => inode));
  const dirStat = [...nodes.keys()]
    .filter((inode) => isDirectory(inode) && (hadRow.has(inode) || (isOn && inode < trashInode)))
    .map((inode): Row => [inode, ...direct(inode)]);
  const quota = tables["quota"].map((row): Row => {
    const [type, key, maxSpace, maxInodes] = row;
    if (type === 0) {
      if (!isDirectory(key as bigint)) return row;
      const sums = below(key as bigint).map(direct);
      return [type, key, maxSpace, maxInodes, sum(sums.map((one) => one[1])), sum(sums.map((one) => one[2]))];
    }
    const owned = counted.filter(
      (one) => (one[0] as bigint) < trashInode && BigInt(one[type === 1 ? 4 : 5] as number) === key,
    );
    return [type, key, maxSpace, maxInodes, sum(owned.map((one) => space(one[13] as bigint))), BigInt(owned.length)];
  });
  const counter = tables["counter"].map((row): Row => {
    const name = String(Buffer.from(row[0] as Uint8Array));
    if (name === "usedSpace") return [row[0], sum(counted.map((one) => space(one[13] as bigint)))];
    return name === "totalInodes" ? [row[0], BigInt(counted.length)] : row;
  });
  return { node, dir_stat: dirStat, quota, counter };
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
