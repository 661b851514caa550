import { integersOf, releaseBatch } from "../../model/batch.ts";
import type { Batch, IntegerColumn } from "../../model/batch.ts";
import { joinPieces } from "../../model/batch-pieces.ts";
import { fileType, juicefsTable, nodeColumn, trashInode } from "../../model/juicefs.ts";
import type { Progress } from "../../model/ports.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Browser } from "./browser.ts";
import type { DirectoryTable } from "./directory-table.ts";
import { gatherColumns } from "./gather.ts";
import { inodeKey } from "./inode-key.ts";
import { InodeSet } from "./inode-set.ts";
import { PathNames } from "./path-names.ts";
import type { Place } from "./resolve-path.ts";
import { openSubtree, subtreeEdges } from "./subtree.ts";
import type { DirectoryEdges, Subtree } from "./subtree.ts";

export interface UsageOptions {
  progress: Progress;
  signal: AbortSignal;
}

/** Sums of a directory and all below it, itself included. */
export interface Usage {
  /** Bytes of file lengths. */
  bytes: number;
  /** Each file's length rounded up to 4 KiB, at least 4 KiB an inode: what JuiceFS counts as used space. */
  space: number;
  inodes: number;
}

/** The usage of every directory below a place. */
export interface UsageTree {
  directories: DirectoryTable;
  /** Positions of the directories below the start, the start first. */
  positions: number[];
  usage: (position: number) => Usage;
}

/** Sums by position of a directory. */
class Sums {
  readonly bytes: Float64Array;
  readonly space: Float64Array;
  readonly inodes: Float64Array;

  constructor(count: number) {
    this.bytes = new Float64Array(count);
    this.space = new Float64Array(count);
    this.inodes = new Float64Array(count);
  }

  add(at: number, type: number, length: number): void {
    const isFile = type === fileType.regular;
    if (isFile) this.bytes[at] += length;
    this.space[at] += isFile ? Math.max(1, Math.ceil(length / 4096)) * 4096 : 4096;
    this.inodes[at] += 1;
  }
}

/**
 * Sums lengths, space and inodes up for every directory below a place. A file of several names is counted once: at the first of them
 * below the place, in the order of parents. The place itself counts as one inode.
 */
export async function diskUsage(browser: Browser, place: Place, options: UsageOptions): Promise<UsageTree> {
  const subtree = await openSubtree(browser, place, options);
  const { directories } = subtree;
  const sums = new Sums(directories.count);
  if (subtree.isAlone) await addByEdges(browser, subtree, sums, options);
  else await addByNodes(browser, subtree, sums, options);
  sums.add(0, place.type, place.type === fileType.directory ? 0 : await fileLength(browser, place.inode));
  return sumUp(directories, sums);
}

/** For a small part of a volume: looks up what each name leads to. */
async function addByEdges(browser: Browser, subtree: Subtree, sums: Sums, options: UsageOptions): Promise<void> {
  const seen = new InodeSet();
  let pieces: DirectoryEdges[] = [];
  let count = 0;
  const flush = async (): Promise<void> => {
    const batch = joinPieces(browser.schema("edge"), juicefsTable.edge, pieces);
    const inodes = batch.columns[2] === undefined ? new Uint32Array(batch.count * 2) : integersOf(batch, 2);
    const wanted = [nodeColumn.type, nodeColumn.nlink, nodeColumn.length];
    const { found, columns } = await gatherColumns(browser, "node", inodes.subarray(0, 2 * batch.count), wanted);
    const [types, nlinks, lengths] = wanted.map((index) => columns.get(index) as Uint32Array);
    let row = 0;
    for (const { from, to, directory } of pieces) {
      for (const end = row + to - from; row < end; row += 1) {
        if (found[row] === 0) continue;
        if (types[row] !== fileType.directory && nlinks[row] > 1) {
          if (seen.has(inodes[2 * row], inodes[2 * row + 1])) continue;
          seen.add(inodes[2 * row], inodes[2 * row + 1]);
        }
        sums.add(directory, types[row], lengths[2 * row] + lengths[2 * row + 1] * 4294967296);
      }
    }
    pieces = [];
    count = 0;
  };
  for await (const rows of subtreeEdges(browser, subtree, options)) {
    pieces.push(rows);
    count += rows.to - rows.from;
    if (count >= 65_536) await flush();
  }
  if (count > 0) await flush();
}

/** For a whole volume: reads all inodes once in order; each names its parent, but for hard links, which the path index places. */
async function addByNodes(browser: Browser, subtree: Subtree, sums: Sums, options: UsageOptions): Promise<void> {
  const { directories } = subtree;
  const total = browser.recordCount("node");
  const names = new PathNames(browser);
  let done = 0;
  for await (const batch of readTable(browser.snapshot, "node")) {
    options.signal.throwIfAborted();
    const shared = addBatch(batch, directories, sums);
    for (const row of shared) {
      const inode = (BigInt(integersOf(batch, 0)[2 * row + 1]) << 32n) | BigInt(integersOf(batch, 0)[2 * row]);
      const at = await firstPlace(names, directories, inode);
      if (at >= 0) sums.add(at, valueAt(batch, nodeColumn.type, row), lengthAt(batch, row));
    }
    done += batch.count;
    releaseBatch(batch);
    options.progress.report({ phase: "sum", done, total, unit: "records" });
  }
}

/** Adds the inodes that name their parent; returns the rows of those that do not. */
function addBatch(batch: Batch, directories: DirectoryTable, sums: Sums): number[] {
  const shared: number[] = [];
  const keys = integersOf(batch, 0);
  const parents = (batch.columns[nodeColumn.parent] as IntegerColumn | undefined)?.values;
  const types = (batch.columns[nodeColumn.type] as IntegerColumn | undefined)?.values;
  const lengths = (batch.columns[nodeColumn.length] as IntegerColumn | undefined)?.values;
  let lastLow = -1;
  let lastHigh = -1;
  let at = -1;
  for (let row = 0; row < batch.count; row += 1) {
    const low = parents === undefined ? 0 : parents[2 * row];
    const high = parents === undefined ? 0 : parents[2 * row + 1];
    if (low === 0 && high === 0) {
      shared.push(row);
      continue;
    }
    // The start is counted by the caller; the root is its own parent, and the trash's parent is the root.
    if (keys[2 * row] === directories.lows[0] && keys[2 * row + 1] === directories.highs[0]) continue;
    if (isTrash(keys[2 * row], keys[2 * row + 1])) continue;
    if (low !== lastLow || high !== lastHigh) {
      const position = directories.map.get(low, high);
      at = position >= 0 && directories.isWithin(position) ? position : -1;
      lastLow = low;
      lastHigh = high;
    }
    if (at < 0) continue;
    sums.add(at, types?.[row] ?? 0, lengths === undefined ? 0 : lengths[2 * row] + lengths[2 * row + 1] * 4294967296);
  }
  return shared;
}

const trashLow = Number(trashInode & 0xffffffffn);
const trashHigh = Number(trashInode >> 32n);

function isTrash(low: number, high: number): boolean {
  return high === trashHigh && low === trashLow;
}

async function fileLength(browser: Browser, inode: bigint): Promise<number> {
  const found = await browser.record("node", inodeKey(inode));
  return found === undefined ? 0 : lengthAt(found.batch, found.row);
}

function valueAt(batch: Batch, index: number, row: number): number {
  return (batch.columns[index] as IntegerColumn | undefined)?.values[row] ?? 0;
}

function lengthAt(batch: Batch, row: number): number {
  const lengths = (batch.columns[nodeColumn.length] as IntegerColumn | undefined)?.values;
  return lengths === undefined ? 0 : lengths[2 * row] + lengths[2 * row + 1] * 4294967296;
}

async function firstPlace(names: PathNames, directories: DirectoryTable, inode: bigint): Promise<number> {
  for (const { parent } of await names.links(inode)) {
    const at = directories.map.get(Number(parent & 0xffffffffn), Number(parent >> 32n));
    if (at >= 0 && directories.isWithin(at)) return at;
  }
  return -1;
}

/** Adds each directory's own sums to all above it, deepest first. */
function sumUp(directories: DirectoryTable, sums: Sums): UsageTree {
  const depths = new Int32Array(directories.count).fill(-1);
  depths[0] = 0;
  const positions: number[] = [];
  for (let at = 0; at < directories.count; at += 1) {
    if (!directories.isWithin(at)) continue;
    positions.push(at);
    const way: number[] = [];
    let top = at;
    for (; depths[top] < 0; top = directories.parent(top)) way.push(top);
    for (let step = way.length - 1; step >= 0; step -= 1) {
      depths[way[step]] = depths[top] + way.length - step;
    }
  }
  for (const at of positions.toSorted((a, b) => depths[b] - depths[a])) {
    const parent = at === 0 ? -1 : directories.parent(at);
    if (parent < 0) continue;
    sums.bytes[parent] += sums.bytes[at];
    sums.space[parent] += sums.space[at];
    sums.inodes[parent] += sums.inodes[at];
  }
  const usage = (at: number): Usage => ({ bytes: sums.bytes[at], space: sums.space[at], inodes: sums.inodes[at] });
  return { directories, positions, usage };
}
