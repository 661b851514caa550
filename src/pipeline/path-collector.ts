import type { Batch } from "../model/batch.ts";
import { integersOf, releaseBatch } from "../model/batch.ts";
import type { Piece } from "../model/batch-pieces.ts";
import { columnIndex } from "../model/schema.ts";
import type { TableSchema } from "../model/schema.ts";
import { pathRecords } from "../format/path-index.ts";

interface Held {
  /** Path records of one directory, with the tail of their page. */
  paths: Batch;
  /** The directory began in an earlier page. */
  spans: boolean;
}

/**
 * Makes the path records of edge pages, in the pages' order. A record names its page only where the directory lies in more than one
 * (its tail is 0 otherwise): whether it does is known for a page's last directory only when the next page comes, so its records wait.
 */
export class PathCollector {
  readonly #parent: number;
  readonly #inode: number;
  readonly #push: (paths: Batch) => void;
  #held: Held | undefined;

  /** `push` gets batches that are valid during the call. */
  constructor(edges: TableSchema, push: (paths: Batch) => void) {
    this.#parent = columnIndex(edges, "parent");
    this.#inode = columnIndex(edges, "inode");
    this.#push = push;
  }

  /** Takes the records of one page; they stay the caller's. */
  add(records: Piece, tail: number): void {
    const { batch, from, to } = records;
    const parents = integersOf(batch, this.#parent);
    const goesOn = this.#held !== undefined && sameParent(integersOf(this.#held.paths, 1), 0, parents, from);
    this.#release(goesOn);
    let firstEnd = from;
    while (firstEnd < to && sameParent(parents, from, parents, firstEnd)) firstEnd += 1;
    let lastStart = to;
    while (lastStart > from && sameParent(parents, to - 1, parents, lastStart - 1)) lastStart -= 1;
    if (firstEnd < to) this.#emit({ batch, from, to: firstEnd }, goesOn ? tail : 0);
    if (firstEnd < lastStart) this.#emit({ batch, from: firstEnd, to: lastStart }, 0);
    const paths = pathRecords({ batch, from: lastStart, to }, this.#parent, this.#inode, tail);
    this.#held = { paths, spans: goesOn && firstEnd === to };
  }

  finish(): void {
    this.#release(false);
  }

  /** Lets the waiting records go: with their tail where the directory lies in more than one page. */
  #release(goesOn: boolean): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    if (!goesOn && !held.spans) integersOf(held.paths, 2).fill(0);
    this.#push(held.paths);
    releaseBatch(held.paths);
  }

  #emit(piece: Piece, tail: number): void {
    const paths = pathRecords(piece, this.#parent, this.#inode, tail);
    this.#push(paths);
    releaseBatch(paths);
  }
}

function sameParent(a: Uint32Array, rowA: number, b: Uint32Array, rowB: number): boolean {
  return a[2 * rowA] === b[2 * rowB] && a[2 * rowA + 1] === b[2 * rowB + 1];
}
