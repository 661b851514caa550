import { bytesOf, integersOf, releaseBatch } from "../../model/batch.ts";
import type { Batch } from "../../model/batch.ts";
import { joinPieces } from "../../model/batch-pieces.ts";
import { juicefsTable } from "../../model/juicefs.ts";
import type { Progress } from "../../model/ports.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Browser } from "./browser.ts";
import { gatherColumns } from "./gather.ts";
import type { Glob } from "./glob.ts";
import { InodeSet } from "./inode-set.ts";
import { columnsOfBatch, hasConditions, testedColumns, testNodes } from "./node-test.ts";
import type { NodeConditions } from "./node-test.ts";
import { joinPath } from "./resolve-path.ts";
import type { Place } from "./resolve-path.ts";
import { openSubtree, subtreeEdges } from "./subtree.ts";
import type { DirectoryEdges, Subtree } from "./subtree.ts";

export interface FindOptions {
  name?: Glob;
  /** File types that fit; undefined for all. */
  types?: ReadonlySet<number>;
  conditions: NodeConditions;
  progress: Progress;
  signal: AbortSignal;
}

/** One file that was found. */
export interface Found {
  path: Uint8Array;
  low: number;
  high: number;
  type: number;
}

/**
 * Finds files below a place, in the order of their directories' inodes and their names. Memory is bounded by the number of directories
 * (about 50 bytes each), not of files: attributes are tested page by page into a set of inodes, names against the edges, and paths come
 * from the table of directories.
 */
export async function* findFiles(browser: Browser, place: Place, options: FindOptions): AsyncGenerator<Found> {
  const tests = hasConditions(options.conditions);
  const subtree = await openSubtree(browser, place, options);
  const edges = subtreeEdges(browser, subtree, options);
  if (!tests) yield* matchEdges(subtree, edges, options, () => true);
  else if (subtree.isAlone) yield* matchByLookup(browser, subtree, edges, options);
  else {
    const inodes = await inodesThatFit(browser, options);
    if (inodes.size === 0) return;
    yield* matchEdges(subtree, edges, options, (low, high) => inodes.has(low, high));
  }
}

async function inodesThatFit(browser: Browser, { conditions, progress, signal }: FindOptions): Promise<InodeSet> {
  const inodes = new InodeSet();
  const total = browser.recordCount("node");
  let done = 0;
  let marks = new Uint8Array(16_384);
  for await (const batch of readTable(browser.snapshot, "node")) {
    signal.throwIfAborted();
    if (marks.length < batch.count) marks = new Uint8Array(batch.count);
    testNodes(conditions, batch.count, columnsOfBatch(batch), marks);
    const keys = integersOf(batch, 0);
    for (let row = 0; row < batch.count; row += 1) if (marks[row] === 1) inodes.add(keys[2 * row], keys[2 * row + 1]);
    done += batch.count;
    releaseBatch(batch);
    progress.report({ phase: "search", done, total, unit: "records" });
  }
  return inodes;
}

async function* matchEdges(
  { directories }: Subtree,
  edges: AsyncIterable<DirectoryEdges>,
  options: FindOptions,
  fits: (low: number, high: number) => boolean,
): AsyncGenerator<Found> {
  for await (const { batch, from, to, directory } of edges) {
    const columns = edgeColumns(batch);
    for (let row = from; row < to; row += 1) {
      if (!nameFits(columns, row, options)) continue;
      const low = columns.inodes[2 * row];
      const high = columns.inodes[2 * row + 1];
      if (!fits(low, high)) continue;
      const name = columns.names.arena.subarray(columns.names.offsets[row], columns.names.offsets[row + 1]);
      yield { path: joinPath(directories.path(directory), name), low, high, type: columns.types?.[row] ?? 0 };
    }
  }
}

interface EdgeColumns {
  names: ReturnType<typeof bytesOf>;
  inodes: Uint32Array;
  types: Uint32Array | undefined;
}

function edgeColumns(batch: Batch): EdgeColumns {
  return {
    names: bytesOf(batch, 1),
    inodes: batch.columns[2] === undefined ? new Uint32Array(batch.count * 2) : integersOf(batch, 2),
    types: batch.columns[3] === undefined ? undefined : integersOf(batch, 3),
  };
}

function nameFits({ names, types }: EdgeColumns, row: number, { name, types: wanted }: FindOptions): boolean {
  if (wanted !== undefined && !wanted.has(types?.[row] ?? 0)) return false;
  return name === undefined || name(names.arena, names.offsets[row], names.offsets[row + 1]);
}

const lookupEntries = 65_536;

/** For a small part of a volume: looks the attributes of names that fit up, many at a time. */
async function* matchByLookup(
  browser: Browser,
  { directories }: Subtree,
  edges: AsyncIterable<DirectoryEdges>,
  options: FindOptions,
): AsyncGenerator<Found> {
  let pieces: DirectoryEdges[] = [];
  let count = 0;
  const flush = async function* (): AsyncGenerator<Found> {
    const batch = joinPieces(browser.schema("edge"), juicefsTable.edge, pieces);
    const columns = edgeColumns(batch);
    const gathered = await gatherColumns(browser, "node", columns.inodes.subarray(0, 2 * batch.count), testedColumns);
    const marks = new Uint8Array(batch.count);
    testNodes(options.conditions, batch.count, (index) => gathered.columns.get(index), marks);
    let row = 0;
    for (const { from, to, directory } of pieces) {
      for (const end = row + to - from; row < end; row += 1) {
        if (marks[row] === 0 || gathered.found[row] === 0 || !nameFits(columns, row, options)) continue;
        const name = columns.names.arena.subarray(columns.names.offsets[row], columns.names.offsets[row + 1]);
        const path = joinPath(directories.path(directory), name);
        yield {
          path,
          low: columns.inodes[2 * row],
          high: columns.inodes[2 * row + 1],
          type: columns.types?.[row] ?? 0,
        };
      }
    }
  };
  for await (const rows of edges) {
    pieces.push(rows);
    count += rows.to - rows.from;
    if (count < lookupEntries) continue;
    yield* flush();
    pieces = [];
    count = 0;
  }
  if (count > 0) yield* flush();
}
