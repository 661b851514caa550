import type { Batch, BytesColumn } from "../../model/batch.ts";
import { bytesOf, integersOf } from "../../model/batch.ts";
import { fileType } from "../../model/juicefs.ts";
import { InodeMap } from "./inode-map.ts";
import { joinPath } from "./resolve-path.ts";

const none = 0xffffffff;
/** No tree is deeper; a ring of directories in damaged metadata ends here. */
const depthMax = 100_000;

/** Directories of a snapshot in columns: about 50 bytes each. The first is the one where a search begins. */
export class DirectoryTable {
  readonly map = new InodeMap();
  readonly #startPath: Uint8Array;
  lows = new Uint32Array(1024);
  highs = new Uint32Array(1024);
  #parentLows = new Uint32Array(1024);
  #parentHighs = new Uint32Array(1024);
  #nameEnds = new Uint32Array(1024);
  #names = new Uint8Array(16_384);
  /** Position of the parent, once asked for. */
  #parents: Uint32Array | undefined;
  /** 1 below the start, 2 not; 0 not known yet. */
  #within: Uint8Array | undefined;
  count = 0;
  #lastPathOf = -1;
  #lastPath: Uint8Array = new Uint8Array(0);

  /** `startPath` is the path of the inode where a search begins. */
  constructor(startInode: bigint, startPath: Uint8Array) {
    this.#startPath = startPath;
    this.add(Number(startInode & 0xffffffffn), Number(startInode >> 32n), 0, 0, new Uint8Array(0), 0, 0);
  }

  /** Adds a directory with its name; one that is there already stays as it is. */
  add(
    low: number,
    high: number,
    parentLow: number,
    parentHigh: number,
    names: Uint8Array,
    from: number,
    to: number,
  ): void {
    if (this.map.get(low, high) >= 0) return;
    const at = this.count;
    if (at === this.lows.length) this.#grow();
    const nameStart = at === 0 ? 0 : this.#nameEnds[at - 1];
    const nameEnd = nameStart + to - from;
    if (nameEnd > this.#names.length) {
      const grown = new Uint8Array(Math.max(nameEnd, this.#names.length * 2));
      grown.set(this.#names);
      this.#names = grown;
    }
    this.#names.set(names.subarray(from, to), nameStart);
    this.lows[at] = low;
    this.highs[at] = high;
    this.#parentLows[at] = parentLow;
    this.#parentHighs[at] = parentHigh;
    this.#nameEnds[at] = nameEnd;
    this.map.set(low, high, at);
    this.count += 1;
  }

  /** Adds the directories among some edges. */
  addEdges(edges: Batch, from: number, to: number): void {
    if (edges.columns[3] === undefined || edges.columns[2] === undefined) return;
    const types = integersOf(edges, 3);
    const parents = integersOf(edges, 0);
    const inodes = integersOf(edges, 2);
    const { arena, offsets }: BytesColumn = bytesOf(edges, 1);
    for (let row = from; row < to; row += 1) {
      if (types[row] !== fileType.directory) continue;
      const [low, high, parentLow, parentHigh] = [
        inodes[2 * row],
        inodes[2 * row + 1],
        parents[2 * row],
        parents[2 * row + 1],
      ];
      this.add(low, high, parentLow, parentHigh, arena, offsets[row], offsets[row + 1]);
    }
  }

  #grow(): void {
    const grow = (column: Uint32Array): Uint32Array<ArrayBuffer> => {
      const grown = new Uint32Array(column.length * 2);
      grown.set(column);
      return grown;
    };
    this.lows = grow(this.lows);
    this.highs = grow(this.highs);
    this.#parentLows = grow(this.#parentLows);
    this.#parentHighs = grow(this.#parentHighs);
    this.#nameEnds = grow(this.#nameEnds);
  }

  /** The position of a directory's parent, or -1; only when all directories were added. */
  parent(at: number): number {
    this.#parents ??= this.#resolveParents();
    const parent = this.#parents[at];
    return parent === none ? -1 : parent;
  }

  #resolveParents(): Uint32Array {
    const parents = new Uint32Array(this.count).fill(none);
    for (let at = 1; at < this.count; at += 1) {
      const parent = this.map.get(this.#parentLows[at], this.#parentHighs[at]);
      if (parent >= 0) parents[at] = parent;
    }
    return parents;
  }

  /** Whether a directory is the start or lies below it; only when all directories were added. */
  isWithin(at: number): boolean {
    this.#within ??= newWithin(this.count);
    const within = this.#within;
    let top = at;
    let depth = 0;
    while (top >= 0 && within[top] === 0 && depth < depthMax) {
      top = this.parent(top);
      depth += 1;
    }
    const state = top >= 0 && within[top] === 1 ? 1 : 2;
    for (let below = at; below >= 0 && below !== top && within[below] === 0; below = this.parent(below))
      within[below] = state;
    return state === 1;
  }

  name(at: number): Uint8Array {
    return this.#names.subarray(at === 0 ? 0 : this.#nameEnds[at - 1], this.#nameEnds[at]);
  }

  /** The path of a directory below the start; neighbours in a scan ask for the same one again and again. */
  path(at: number): Uint8Array {
    if (at === this.#lastPathOf) return this.#lastPath;
    const way: number[] = [];
    for (let step = at; step > 0 && way.length < depthMax; step = this.parent(step)) way.push(step);
    let path = this.#startPath;
    for (let step = way.length - 1; step >= 0; step -= 1) path = joinPath(path, this.name(way[step]));
    this.#lastPathOf = at;
    this.#lastPath = path;
    return path;
  }

  /** Positions in the order of inodes, the start among them. */
  inInodeOrder(): Uint32Array {
    return Uint32Array.from({ length: this.count }, (_, at) => at).toSorted(
      (a, b) => this.highs[a] - this.highs[b] || this.lows[a] - this.lows[b],
    );
  }
}

function newWithin(count: number): Uint8Array {
  const within = new Uint8Array(count);
  within[0] = 1;
  return within;
}
