import { releaseBatch } from "../../model/batch.ts";
import type { Batch } from "../../model/batch.ts";
import { fileType } from "../../model/juicefs.ts";
import type { Progress } from "../../model/ports.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Browser, Rows } from "./browser.ts";
import { DirectoryTable } from "./directory-table.ts";
import { inodeKeyOf } from "./inode-key.ts";
import { rootInode } from "./resolve-path.ts";
import type { Place } from "./resolve-path.ts";

export interface ScanOptions {
  progress: Progress;
  signal: AbortSignal;
}

/** A directory and all directories below it. */
export interface Subtree {
  directories: DirectoryTable;
  /** Whether the table holds these alone; else it holds all directories of the snapshot, and `isWithin` tells. */
  isAlone: boolean;
}

/**
 * Finds the directories below a place. A small part of a volume is walked; when that turns out to read more than half of all edge
 * pages, and for the root, all edges are read once in order instead.
 */
export async function openSubtree(browser: Browser, place: Place, { progress, signal }: ScanOptions): Promise<Subtree> {
  if (place.inode !== rootInode) {
    const directories = await walk(browser, place, signal);
    if (directories !== undefined) return { directories, isAlone: true };
  }
  const directories = new DirectoryTable(place.inode, place.path);
  const total = browser.recordCount("edge");
  let done = 0;
  for await (const edges of readTable(browser.snapshot, "edge")) {
    signal.throwIfAborted();
    directories.addEdges(edges, 0, edges.count);
    done += edges.count;
    releaseBatch(edges);
    progress.report({ phase: "directories", done, total, unit: "records" });
  }
  return { directories, isAlone: false };
}

async function walk(browser: Browser, place: Place, signal: AbortSignal): Promise<DirectoryTable | undefined> {
  const directories = new DirectoryTable(place.inode, place.path);
  if (place.type !== fileType.directory) return directories;
  const budget = browser.pagesDecoded + Math.ceil(browser.pageCount("edge") / 2) + 8;
  for (let at = 0; at < directories.count; at += 1) {
    signal.throwIfAborted();
    for await (const { batch, from, to } of browser.below(
      "edge",
      inodeKeyOf(directories.lows[at], directories.highs[at]),
    )) {
      directories.addEdges(batch, from, to);
      if (browser.pagesDecoded > budget) return undefined;
    }
  }
  return directories;
}

/** Edges of one directory, by its position in the table. From a table of all directories: valid until the next are asked for. */
export interface DirectoryEdges extends Rows {
  directory: number;
}

/** All edges of a subtree, directory by directory in the order of inodes: each page is read once. */
export async function* subtreeEdges(
  browser: Browser,
  { directories, isAlone }: Subtree,
  { progress, signal }: ScanOptions,
): AsyncGenerator<DirectoryEdges> {
  if (isAlone) {
    for (const directory of directories.inInodeOrder()) {
      const key = inodeKeyOf(directories.lows[directory], directories.highs[directory]);
      for await (const rows of browser.below("edge", key)) {
        signal.throwIfAborted();
        yield { ...rows, directory };
      }
    }
    return;
  }
  const total = browser.recordCount("edge");
  let done = 0;
  for await (const batch of readTable(browser.snapshot, "edge")) {
    signal.throwIfAborted();
    yield* directoriesOf(batch, directories);
    done += batch.count;
    releaseBatch(batch);
    progress.report({ phase: "names", done, total, unit: "records" });
  }
}

function* directoriesOf(batch: Batch, directories: DirectoryTable): Generator<DirectoryEdges> {
  const parents = (batch.columns[0] as { values: Uint32Array }).values;
  let from = 0;
  for (let row = 1; row <= batch.count; row += 1) {
    if (row < batch.count && parents[2 * row] === parents[2 * from] && parents[2 * row + 1] === parents[2 * from + 1])
      continue;
    const directory = directories.map.get(parents[2 * from], parents[2 * from + 1]);
    if (directory >= 0 && directories.isWithin(directory)) yield { batch, from, to: row, directory };
    from = row;
  }
}
