import { integersOf, bytesOf } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import { trashInode } from "../model/juicefs.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { InodeMap } from "./browse/inode-map.ts";
import { InodeSet } from "./browse/inode-set.ts";
import type { InodeNamer } from "./browse/name-inodes.ts";
import { joinPath } from "./browse/resolve-path.ts";
import { diffTable } from "./diff-records.ts";
import type { TreeChange, TreeDiffOptions } from "./tree-change.ts";

const trashLow = Number(trashInode & 0xffffffffn);
const trashHigh = Number(trashInode >> 32n);

/** Names of one side that the other does not have, in columns. */
class EdgeList {
  #parents = new Uint32Array(256);
  #inodes = new Uint32Array(256);
  #types = new Uint8Array(128);
  /** Position in the other list of the same name, plus one: the name leads elsewhere now. */
  replaces = new Uint32Array(128);
  readonly #names: Uint8Array[] = [];
  count = 0;

  add(batch: Batch, row: number, replaces: number): void {
    const at = this.count;
    if (at === this.#types.length) this.#grow();
    const parents = integersOf(batch, 0);
    this.#parents[2 * at] = parents[2 * row];
    this.#parents[2 * at + 1] = parents[2 * row + 1];
    if (batch.columns[2] !== undefined) {
      const inodes = integersOf(batch, 2);
      this.#inodes[2 * at] = inodes[2 * row];
      this.#inodes[2 * at + 1] = inodes[2 * row + 1];
    }
    this.#types[at] = batch.columns[3] === undefined ? 0 : integersOf(batch, 3)[row];
    this.replaces[at] = replaces + 1;
    const { arena, offsets } = bytesOf(batch, 1);
    this.#names.push(arena.slice(offsets[row], offsets[row + 1]));
    this.count += 1;
  }

  #grow(): void {
    const wider = (values: Uint32Array): Uint32Array<ArrayBuffer> => {
      const grown = new Uint32Array(values.length * 2);
      grown.set(values);
      return grown;
    };
    this.#parents = wider(this.#parents);
    this.#inodes = wider(this.#inodes);
    this.replaces = wider(this.replaces);
    const types = new Uint8Array(this.#types.length * 2);
    types.set(this.#types);
    this.#types = types;
  }

  low(at: number): number {
    return this.#inodes[2 * at];
  }

  high(at: number): number {
    return this.#inodes[2 * at + 1];
  }

  /** Whether the name lies directly in the trash's folder of some hour. */
  isInTrash(at: number): boolean {
    return this.#parents[2 * at + 1] === trashHigh && this.#parents[2 * at] >= trashLow;
  }

  type(at: number): number {
    return this.#types[at];
  }

  /** The path of each name, by the paths of its parents. */
  async paths(namer: InodeNamer): Promise<(Uint8Array | undefined)[]> {
    const positions = new InodeMap();
    for (let at = 0; at < this.count; at += 1) {
      const [low, high] = [this.#parents[2 * at], this.#parents[2 * at + 1]];
      if (positions.get(low, high) < 0) positions.set(low, high, positions.size);
    }
    const parents = new Uint32Array(2 * positions.size);
    for (let at = 0; at < this.count; at += 1) {
      const position = positions.get(this.#parents[2 * at], this.#parents[2 * at + 1]);
      parents[2 * position] = this.#parents[2 * at];
      parents[2 * position + 1] = this.#parents[2 * at + 1];
    }
    const directories = await namer.paths(parents);
    return this.#names.map((name, at) => {
      const path = directories[positions.get(this.#parents[2 * at], this.#parents[2 * at + 1])];
      return path === undefined ? undefined : joinPath(path, name);
    });
  }
}

/** Names held at a time: renames are seen among so many, and memory stays bounded. */
const namesMax = 500_000;

/**
 * Names that were added, removed, renamed (the same inode), trashed (renamed into the trash) or replaced (another inode under the same name).
 * Gives the inodes that they lead to.
 */
export async function diffEdges(
  a: Snapshot,
  b: Snapshot,
  namers: { a: InodeNamer; b: InodeNamer },
  options: TreeDiffOptions,
): Promise<InodeSet> {
  const named = new InodeSet();
  let gone = new EdgeList();
  let come = new EdgeList();
  for await (const page of diffTable(a, b, "edge", options.signal)) {
    for (let at = 0; at < page.count; at += 1) {
      const [rowA, rowB] = [page.rowsA[at], page.rowsB[at]];
      const isReplaced = rowA >= 0 && rowB >= 0;
      if (rowA >= 0) gone.add(page.a as Batch, rowA, isReplaced ? come.count : -1);
      if (rowB >= 0) come.add(page.b as Batch, rowB, isReplaced ? gone.count - 1 : -1);
    }
    if (gone.count + come.count < namesMax) continue;
    await emitEdges(gone, come, namers, options);
    for (const list of [gone, come]) addInodes(named, list);
    gone = new EdgeList();
    come = new EdgeList();
  }
  await emitEdges(gone, come, namers, options);
  for (const list of [gone, come]) addInodes(named, list);
  return named;
}

function addInodes(inodes: InodeSet, list: EdgeList): void {
  for (let at = 0; at < list.count; at += 1) {
    if (!inodes.has(list.low(at), list.high(at))) inodes.add(list.low(at), list.high(at));
  }
}

async function emitEdges(
  gone: EdgeList,
  come: EdgeList,
  namers: { a: InodeNamer; b: InodeNamer },
  { countsOnly, emit }: TreeDiffOptions,
): Promise<void> {
  if (gone.count + come.count === 0) return;
  const [before, after] = countsOnly ? [[], []] : [await gone.paths(namers.a), await come.paths(namers.b)];
  const changes = matchEdges(gone, come, before, after);
  changes.sort((x, y) => Buffer.compare(x.path ?? nothing, y.path ?? nothing));
  for (const change of changes) await emit(change);
}

const nothing = new Uint8Array(0);

function matchEdges(
  gone: EdgeList,
  come: EdgeList,
  before: readonly (Uint8Array | undefined)[],
  after: readonly (Uint8Array | undefined)[],
): TreeChange[] {
  const byInode = new InodeMap();
  for (let at = 0; at < gone.count; at += 1) byInode.set(gone.low(at), gone.high(at), at);
  const changes: TreeChange[] = [];
  const settled = new Uint8Array(gone.count);
  for (let at = 0; at < come.count; at += 1) {
    const [low, high] = [come.low(at), come.high(at)];
    const from = byInode.get(low, high);
    const replaced = come.replaces[at] - 1;
    const change = { path: after[at], from: undefined, low, high, type: come.type(at), what: [] };
    // The same inode under the same name: only its type, as the edge has it, changed.
    if (replaced >= 0 && gone.low(replaced) === low && gone.high(replaced) === high) {
      settled[replaced] = 1;
      changes.push({ ...change, kind: "changed", what: ["type"] });
    } else if (from >= 0 && settled[from] === 0) {
      settled[from] = 1;
      const isTrashed = come.isInTrash(at) && !gone.isInTrash(from);
      changes.push({ ...change, kind: isTrashed ? "trashed" : "renamed", from: before[from] });
    } else if (replaced >= 0 && settled[replaced] === 0) {
      settled[replaced] = 2;
      changes.push({ ...change, kind: "replaced" });
    } else changes.push({ ...change, kind: "added" });
  }
  for (let at = 0; at < gone.count; at += 1) {
    if (settled[at] !== 0) continue;
    changes.push({
      kind: "removed",
      path: before[at],
      from: undefined,
      low: gone.low(at),
      high: gone.high(at),
      type: gone.type(at),
      what: [],
    });
  }
  return changes;
}
