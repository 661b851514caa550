import type { Batch, IntegerColumn } from "../../../model/batch.ts";
import { integersOf } from "../../../model/batch.ts";
import { fileType, nodeColumn } from "../../../model/juicefs.ts";
import { PairSorter } from "./pair-sorter.ts";

/** Bits of the filter: 4 MiB. Of 10 million hard-linked files it lets every fourth other file through, which costs sorting, no more. */
const filterBits = 1 << 25;

/** Gets, sorted by inode and then by parent, how many entries of a directory lead to a hard-linked file. */
export type ParentVisitor = (
  inodeLow: number,
  inodeHigh: number,
  parentLow: number,
  parentHigh: number,
  links: number,
) => void;

/**
 * Finds the parents of files with hard links, which Redis keeps as records: those of every file whose attribute names no parent. Nodes
 * come first, then edges. Both are sorted as pairs of inode and parent, with parent 0 for the file itself, which so comes before its
 * entries. Memory is bounded: a filter of fixed size, and a sorter that spills.
 */
export class HardLinkParents implements Disposable {
  readonly #pairs: PairSorter;
  #filter: Uint32Array | undefined;

  constructor(folder: string, memoryBytes: number) {
    this.#pairs = new PairSorter(folder, memoryBytes);
  }

  seeNodes(batch: Batch): void {
    const parents = (batch.columns[nodeColumn.parent] as IntegerColumn | undefined)?.values;
    const types = (batch.columns[nodeColumn.type] as IntegerColumn | undefined)?.values;
    const inodes = integersOf(batch, nodeColumn.inode);
    for (let row = 0; row < batch.count; row++) {
      if (parents !== undefined && (parents[2 * row] !== 0 || parents[2 * row + 1] !== 0)) continue;
      if (types?.[row] === fileType.directory) continue;
      this.#filter ??= new Uint32Array(filterBits / 32);
      const bit = bitOf(inodes[2 * row], inodes[2 * row + 1]);
      this.#filter[bit >>> 5] |= 1 << (bit & 31);
      this.#pairs.add(inodes[2 * row], inodes[2 * row + 1], 0, 0);
    }
  }

  seeEdges(batch: Batch): void {
    const filter = this.#filter;
    const inodes = (batch.columns[2] as IntegerColumn | undefined)?.values;
    if (filter === undefined || inodes === undefined) return;
    const parents = integersOf(batch, 0);
    for (let row = 0; row < batch.count; row++) {
      const bit = bitOf(inodes[2 * row], inodes[2 * row + 1]);
      if ((filter[bit >>> 5] & (1 << (bit & 31))) === 0) continue;
      this.#pairs.add(inodes[2 * row], inodes[2 * row + 1], parents[2 * row], parents[2 * row + 1]);
    }
  }

  /** After the last edge; only once. */
  visit(visitor: ParentVisitor): void {
    this.#filter = undefined;
    let fileLow = 0;
    let fileHigh = 0;
    let parentLow = 0;
    let parentHigh = 0;
    let links = 0;
    const finish = (): void => {
      if (links > 0) visitor(fileLow, fileHigh, parentLow, parentHigh, links);
      links = 0;
    };
    for (const { words, count } of this.#pairs.sorted()) {
      for (let at = 0; at < 4 * count; at += 4) {
        const isFile = words[at + 2] === 0 && words[at + 3] === 0;
        if (isFile) {
          finish();
          fileLow = words[at];
          fileHigh = words[at + 1];
        } else if (words[at] === fileLow && words[at + 1] === fileHigh) {
          if (words[at + 2] !== parentLow || words[at + 3] !== parentHigh) finish();
          parentLow = words[at + 2];
          parentHigh = words[at + 3];
          links++;
        }
      }
    }
    finish();
  }

  [Symbol.dispose](): void {
    this.#pairs[Symbol.dispose]();
  }
}

function bitOf(low: number, high: number): number {
  // Neighbouring inodes take neighbouring bits: no two of a small volume share one.
  return (low + Math.imul(high, 0x9e3779b1)) & (filterBits - 1);
}
