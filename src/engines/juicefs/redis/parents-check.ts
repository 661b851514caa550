import type { Batch } from "../../../model/batch.ts";
import { integersOf } from "../../../model/batch.ts";
import { juicefsTable, nodeColumn, trashInode } from "../../../model/juicefs.ts";
import type { Finding } from "../../../model/ports.ts";
import { singleFinding } from "../finding.ts";

/** Cells of each of the three tables; differences up to about twice as many are named. */
const cells = 8192;
const words = 6;
const trashHigh = Number(trashInode >> 32n);
const trashLow = Number(trashInode & 0xffffffffn);
const samplesMax = 10;

/**
 * Where a file stands is recorded twice: by the entries of directories, and by the file, in its attribute or, when it has several names,
 * in a record `p{inode}` of directories and counts. Both sides are counted into three tables of sums, entries with a plus and records with
 * a minus, each pair of inode and directory into one cell of each table. Equal sides leave nothing. What is left over are the
 * differences alone: a cell that holds one difference tells it, and taken out of the other tables it leaves others alone in theirs. So a few
 * thousand differences are found by name in one pass over any order, in 600 KB.
 */
export class ParentsCheck {
  /** In each cell: count, inode low, high, directory low, high, hash; modulo 2^32, each times its count. */
  readonly #sums = new Int32Array(3 * cells * words);

  /** Looks at a canonical batch of nodes or edges; others are passed over. */
  see(batch: Batch): void {
    if (batch.table === juicefsTable.edge) this.#seeEdges(batch);
    else if (batch.table === juicefsTable.node) this.#seeNodes(batch);
  }

  /** One field of a record `p{inode}`. */
  addRecord(inodeLow: number, inodeHigh: number, parentLow: number, parentHigh: number, links: number): void {
    this.#add(inodeLow, inodeHigh, parentLow, parentHigh, -links);
  }

  #seeEdges(batch: Batch): void {
    const parents = integersOf(batch, 0);
    const inodes = batch.columns[2] === undefined ? new Uint32Array(2 * batch.count) : integersOf(batch, 2);
    for (let at = 0; at < 2 * batch.count; at += 2) {
      this.#add(inodes[at], inodes[at + 1], parents[at], parents[at + 1], 1);
    }
  }

  #seeNodes(batch: Batch): void {
    const inodes = integersOf(batch, nodeColumn.inode);
    const parents = batch.columns[nodeColumn.parent] === undefined ? undefined : integersOf(batch, nodeColumn.parent);
    const links = batch.columns[nodeColumn.nlink] === undefined ? undefined : integersOf(batch, nodeColumn.nlink);
    if (parents === undefined || links === undefined) return;
    for (let row = 0; row < batch.count; row++) {
      const low = inodes[2 * row];
      const high = inodes[2 * row + 1];
      // Several names, or none any more (open, but deleted); the two roots have no entry.
      if ((parents[2 * row] === 0 && parents[2 * row + 1] === 0) || links[row] === 0) continue;
      if ((low === 1 && high === 0) || (low === trashLow && high === trashHigh)) continue;
      this.#add(low, high, parents[2 * row], parents[2 * row + 1], -1);
    }
  }

  #add(inodeLow: number, inodeHigh: number, parentLow: number, parentHigh: number, count: number): void {
    const sums = this.#sums;
    const hash = hashOf(inodeLow, inodeHigh, parentLow, parentHigh);
    for (let table = 0; table < 3; table++) {
      const at = placeOf(hash, inodeLow, parentLow, table);
      sums[at] += count;
      sums[at + 1] += Math.imul(inodeLow, count);
      sums[at + 2] += Math.imul(inodeHigh, count);
      sums[at + 3] += Math.imul(parentLow, count);
      sums[at + 4] += Math.imul(parentHigh, count);
      sums[at + 5] += Math.imul(hash, count);
    }
  }

  /** After the last record. `isDetached`: roots of trees that are being cloned or removed have no entry, rightly. */
  findings(isDetached: (inode: bigint) => boolean): Finding[] {
    const samples: string[] = [];
    let count = 0;
    for (const { inode, parent, excess } of this.#peel()) {
      if (excess === -1 && isDetached(inode)) continue;
      count++;
      if (samples.length < samplesMax) {
        const more = excess > 0 ? `${excess} more` : `${-excess} fewer`;
        samples.push(`inode ${inode} in directory ${parent}: ${more} entries than it records`);
      }
    }
    const unnamed = this.#remaining();
    if (count === 0 && unnamed === 0) return [];
    const total = count + unnamed;
    const message = `${unnamed > 0 ? "at least " : ""}${total} places of files differ between directories and the files' own records; the directories' are kept`;
    return [{ ...singleFinding("parents-differ", "warning", message, samples), count: total }];
  }

  /** Takes out differences that stand alone in a cell, until none does. */
  *#peel(): Generator<{ inode: bigint; parent: bigint; excess: number }> {
    const sums = this.#sums;
    const waiting: number[] = [];
    for (let at = 0; at < sums.length; at += words) if (isUsed(sums, at)) waiting.push(at);
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const count = sums[at];
      const single = singleOf(sums, at);
      if (single === undefined) continue;
      const { inodeLow, inodeHigh, parentLow, parentHigh } = single;
      this.#add(inodeLow, inodeHigh, parentLow, parentHigh, -count);
      const hash = hashOf(inodeLow, inodeHigh, parentLow, parentHigh);
      for (let table = 0; table < 3; table++) {
        const other = placeOf(hash, inodeLow, parentLow, table);
        if (isUsed(sums, other)) waiting.push(other);
      }
      yield {
        inode: (BigInt(inodeHigh) << 32n) | BigInt(inodeLow),
        parent: (BigInt(parentHigh) << 32n) | BigInt(parentLow),
        excess: count,
      };
    }
  }

  /** How many differences there are at least that could not be named. */
  #remaining(): number {
    let used = 0;
    for (let at = 0; at < cells * words; at += words) if (isUsed(this.#sums, at)) used++;
    return used;
  }
}

function isUsed(sums: Int32Array, at: number): boolean {
  for (let word = 0; word < words; word++) if (sums[at + word] !== 0) return true;
  return false;
}

interface Place {
  readonly inodeLow: number;
  readonly inodeHigh: number;
  readonly parentLow: number;
  readonly parentHigh: number;
}

/** The pair that a cell holds, when it holds one alone, so many times as its count says. */
function singleOf(sums: Int32Array, at: number): Place | undefined {
  const count = sums[at];
  const shift = count === 0 ? 32 : 31 - Math.clz32(count & -count);
  if (shift > 2) return undefined;
  const inverse = inverseOf(count >> shift);
  // An even count loses the top bits of what it multiplies. The high halves of inodes are small, except the trash's.
  const part = (word: number, lost: number): number =>
    ((Math.imul(sums[at + word], inverse) >>> shift) | (lost === 0 ? 0 : lost << (32 - shift))) >>> 0;
  for (let lost = 0; lost < 1 << (2 * shift); lost++) {
    const place = {
      inodeLow: part(1, lost & ((1 << shift) - 1)),
      inodeHigh: part(2, 0),
      parentLow: part(3, lost >> shift),
      parentHigh: part(4, 0),
    };
    if (Math.imul(hashOf(place.inodeLow, place.inodeHigh, place.parentLow, place.parentHigh), count) === sums[at + 5]) {
      return place;
    }
  }
  return undefined;
}

/** The number that gives 1 when multiplied with an odd one modulo 2^32. */
function inverseOf(odd: number): number {
  let inverse = odd;
  for (let step = 0; step < 5; step++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse));
  return inverse;
}

function hashOf(inodeLow: number, inodeHigh: number, parentLow: number, parentHigh: number): number {
  let hash = Math.imul(inodeLow ^ 0x9e3779b9, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ parentLow, 0xc2b2ae35);
  hash ^= hash >>> 13;
  hash = Math.imul(hash ^ inodeHigh, 0x27d4eb2f);
  hash ^= hash >>> 16;
  hash = Math.imul(hash ^ parentHigh, 0x165667b1);
  return hash ^ (hash >>> 14);
}

/** The cell of a pair in one of the tables. */
function placeOf(hash: number, inodeLow: number, parentLow: number, table: number): number {
  let cell: number;
  if (table === 0) cell = hash;
  else if (table === 1) cell = Math.imul(hash ^ inodeLow, 0x9e3779b1) >>> 16;
  else cell = Math.imul(hash ^ Math.imul(parentLow, 0x85ebca6b) ^ (inodeLow >>> 7), 0x7feb352d) >>> 15;
  return (table * cells + (cell & (cells - 1))) * words;
}
