import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { joinPieces } from "../../model/batch-pieces.ts";
import { fileType, juicefsTable, nodeColumn } from "../../model/juicefs.ts";
import type { Browser, Rows } from "./browser.ts";
import { gatherBytes, gatherColumns } from "./gather.ts";
import type { Gathered } from "./gather.ts";
import { inodeKey } from "./inode-key.ts";

/** Some entries of a directory, in bytewise order of their names. */
export interface EntryBlock {
  /** Records of table `edge`. */
  edges: Batch;
  /** Attributes by row, when they were asked for. */
  nodes: Gathered | undefined;
  /** Targets of symbolic links by row, when attributes were asked for. */
  targets: Map<number, Uint8Array>;
}

/** Columns of `node` that a listing shows. */
export const listedColumns: readonly number[] = [
  nodeColumn.mode,
  nodeColumn.uid,
  nodeColumn.gid,
  nodeColumn.mtime,
  nodeColumn.mtimensec,
  nodeColumn.nlink,
  nodeColumn.length,
  nodeColumn.rdev,
];

/** The first block is small, so that output begins at once; later ones are large, so that each page of nodes is read a few times only. */
const firstBlockEntries = 2048;
const blockEntriesMax = 262_144;

/** The entries of a directory in blocks; never the whole of a large one. */
export async function* listDirectory(
  browser: Browser,
  inode: bigint,
  withAttributes: boolean,
): AsyncGenerator<EntryBlock> {
  let pieces: Rows[] = [];
  let count = 0;
  let limit = withAttributes ? firstBlockEntries : 1;
  for await (const rows of browser.below("edge", inodeKey(inode))) {
    pieces.push(rows);
    count += rows.to - rows.from;
    if (count < limit) continue;
    yield await entryBlock(browser, pieces, withAttributes);
    pieces = [];
    count = 0;
    if (withAttributes) limit = Math.min(blockEntriesMax, limit * 8);
  }
  if (count > 0) yield await entryBlock(browser, pieces, withAttributes);
}

async function entryBlock(browser: Browser, pieces: readonly Rows[], withAttributes: boolean): Promise<EntryBlock> {
  const edges = joinPieces(browser.schema("edge"), juicefsTable.edge, pieces);
  if (!withAttributes) return { edges, nodes: undefined, targets: new Map() };
  const inodes = integersOf(edges, 2).subarray(0, 2 * edges.count);
  const nodes = await gatherColumns(browser, "node", inodes, listedColumns);
  return { edges, nodes, targets: await linkTargets(browser, edges, inodes) };
}

async function linkTargets(browser: Browser, edges: Batch, inodes: Uint32Array): Promise<Map<number, Uint8Array>> {
  const types = edges.columns[3] === undefined ? undefined : integersOf(edges, 3);
  const rows: number[] = [];
  for (let row = 0; row < edges.count; row += 1) if (types?.[row] === fileType.symlink) rows.push(row);
  if (rows.length === 0) return new Map();
  const links = new Uint32Array(rows.length * 2);
  rows.forEach((row, at) => {
    links[2 * at] = inodes[2 * row];
    links[2 * at + 1] = inodes[2 * row + 1];
  });
  const targets = await gatherBytes(browser, "symlink", links, 1);
  return new Map([...targets].map(([position, target]) => [rows[position], target]));
}
