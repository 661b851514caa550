import { integersOf } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import { nodeColumn } from "../model/juicefs.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { InodeMap } from "./browse/inode-map.ts";
import type { InodeSet } from "./browse/inode-set.ts";
import type { InodeNamer } from "./browse/name-inodes.ts";
import { diffTable } from "./diff-records.ts";
import type { PageDifferences } from "./diff-records.ts";
import type { TreeChange, TreeDiffOptions } from "./tree-change.ts";

/** What can change of an inode, in the order in which it is said. */
const words = [
  "content",
  "size",
  "target",
  "type",
  "mode",
  "owner",
  "group",
  "links",
  "mtime",
  "ctime",
  "atime",
  "xattrs",
  "acl",
  "flags",
  "device",
  "parent",
  "tier",
] as const;

type Word = (typeof words)[number];

const wordsOfColumns: readonly (readonly [number, Word])[] = [
  [nodeColumn.type, "type"],
  [nodeColumn.flags, "flags"],
  [nodeColumn.mode, "mode"],
  [nodeColumn.uid, "owner"],
  [nodeColumn.gid, "group"],
  [nodeColumn.mtime, "mtime"],
  [nodeColumn.mtimensec, "mtime"],
  [nodeColumn.ctime, "ctime"],
  [nodeColumn.ctimensec, "ctime"],
  [nodeColumn.atime, "atime"],
  [nodeColumn.atimensec, "atime"],
  [nodeColumn.nlink, "links"],
  [nodeColumn.length, "size"],
  [nodeColumn.rdev, "device"],
  [nodeColumn.parent, "parent"],
  [nodeColumn.accessAcl, "acl"],
  [nodeColumn.defaultAcl, "acl"],
  [nodeColumn.tier, "tier"],
];

function bitOf(word: Word): number {
  return 1 << words.indexOf(word);
}

const bitsOfColumns = wordsOfColumns.map(([column, word]) => ({ column: 1 << column, bit: bitOf(word) }));

/** Set for an inode that one side alone has. */
const onlyInA = 1 << words.length;
const onlyInB = 2 << words.length;

const otherTables: readonly (readonly [string, Word])[] = [
  ["chunk", "content"],
  ["symlink", "target"],
  ["xattr", "xattrs"],
];

/** Inodes held at a time: memory stays bounded. */
const inodesMax = 262_144;

/** What `diffInodes` knows of the names. */
export interface DiffedNames {
  namers: { a: InodeNamer; b: InodeNamer };
  /** Inodes of names that were added or removed: nothing more is said of those that one side alone has. */
  named: InodeSet;
}

/**
 * Inodes that both snapshots have and that changed, with how; and those that came or went without a name, as deleted files do that a client
 * had open. All tables whose keys begin with the inode are walked side by side, so that each inode is said once.
 */
export async function diffInodes(
  a: Snapshot,
  b: Snapshot,
  names: DiffedNames,
  { countsOnly, signal, emit }: TreeDiffOptions,
): Promise<void> {
  const nodes = new InodeCursor(diffTable(a, b, "node", signal));
  const others = otherTables.map(([table, word]) => ({
    cursor: new InodeCursor(diffTable(a, b, table, signal)),
    bit: bitOf(word),
  }));
  for (let isLast = false; !isLast;) {
    const changes = new ChangeList();
    await nodes.take(undefined, inodesMax, (page, at, low, high) => changes.mark(low, high, nodeBits(page, at)));
    isLast = nodes.isDone;
    const bound = isLast ? undefined : changes.last();
    for (const { cursor, bit } of others) {
      await cursor.take(bound, Number.POSITIVE_INFINITY, (_, __, low, high) => changes.mark(low, high, bit));
    }
    const namers = countsOnly ? undefined : names.namers;
    await emitChanges(changes.bothSided(), changes, namers?.b, emit);
    for (const [kind, bit, namer] of [
      ["removed", onlyInA, namers?.a] as const,
      ["added", onlyInB, namers?.b] as const,
    ]) {
      await emitOneSided(kind, changes.withBit(bit, names.named), namer, emit);
    }
  }
}

function nodeBits(page: PageDifferences, at: number): number {
  if (page.rowsB[at] < 0) return onlyInA;
  if (page.rowsA[at] < 0) return onlyInB;
  let bits = 0;
  for (const { column, bit } of bitsOfColumns) if ((page.columns[at] & column) !== 0) bits |= bit;
  return bits;
}

async function emitChanges(
  inodes: Uint32Array,
  changes: ChangeList,
  namer: InodeNamer | undefined,
  emit: TreeDiffOptions["emit"],
): Promise<void> {
  if (inodes.length === 0) return;
  const paths = namer === undefined ? [] : await namer.paths(inodes);
  const found: TreeChange[] = Array.from({ length: inodes.length / 2 }, (_, at) => {
    const [low, high] = [inodes[2 * at], inodes[2 * at + 1]];
    const what = words.filter((word) => (changes.bits(low, high) & bitOf(word)) !== 0);
    return { kind: "changed", path: paths[at], from: undefined, low, high, type: undefined, what };
  });
  found.sort((x, y) => Buffer.compare(x.path ?? nothing, y.path ?? nothing));
  for (const change of found) await emit(change);
}

/** Inodes without a name of their own that came or went. Where a name leads to one all the same, it leads to nothing on the other side. */
async function emitOneSided(
  kind: "added" | "removed",
  inodes: Uint32Array,
  namer: InodeNamer | undefined,
  emit: TreeDiffOptions["emit"],
): Promise<void> {
  if (inodes.length === 0) return;
  const paths = namer === undefined ? [] : await namer.paths(inodes);
  for (let at = 0; 2 * at < inodes.length; at += 1) {
    const [low, high] = [inodes[2 * at], inodes[2 * at + 1]];
    await emit({ kind, path: paths[at], from: undefined, low, high, type: undefined, what: ["inode"] });
  }
}

const nothing = new Uint8Array(0);

/** Bits by inode. */
class ChangeList {
  readonly #map = new InodeMap();
  #inodes = new Uint32Array(2048);
  #bits = new Uint32Array(1024);

  mark(low: number, high: number, bits: number): void {
    let at = this.#map.get(low, high);
    if (at < 0) {
      at = this.#map.size;
      this.#map.set(low, high, at);
      if (at === this.#bits.length) this.#grow();
      this.#inodes[2 * at] = low;
      this.#inodes[2 * at + 1] = high;
    }
    this.#bits[at] |= bits;
  }

  #grow(): void {
    const inodes = new Uint32Array(this.#inodes.length * 2);
    inodes.set(this.#inodes);
    this.#inodes = inodes;
    const bits = new Uint32Array(this.#bits.length * 2);
    bits.set(this.#bits);
    this.#bits = bits;
  }

  bits(low: number, high: number): number {
    return this.#bits[this.#map.get(low, high)];
  }

  /** The inode that was marked first last. */
  last(): { low: number; high: number } {
    const at = this.#map.size - 1;
    return { low: this.#inodes[2 * at], high: this.#inodes[2 * at + 1] };
  }

  /** Inodes that both sides have. */
  bothSided(): Uint32Array {
    return this.#select((bits) => (bits & (onlyInA | onlyInB)) === 0);
  }

  /** Inodes with that bit, but for some. */
  withBit(bit: number, except: InodeSet): Uint32Array {
    return this.#select((bits, low, high) => (bits & bit) !== 0 && !except.has(low, high));
  }

  #select(isWanted: (bits: number, low: number, high: number) => boolean): Uint32Array {
    const inodes = new Uint32Array(2 * this.#map.size);
    let count = 0;
    for (let at = 0; at < this.#map.size; at += 1) {
      if (!isWanted(this.#bits[at], this.#inodes[2 * at], this.#inodes[2 * at + 1])) continue;
      inodes[2 * count] = this.#inodes[2 * at];
      inodes[2 * count + 1] = this.#inodes[2 * at + 1];
      count += 1;
    }
    return inodes.subarray(0, 2 * count);
  }
}

type Visit = (page: PageDifferences, at: number, low: number, high: number) => void;

/** Walks the differences of a table whose keys begin with an inode, some at a time. */
class InodeCursor {
  readonly #pages: AsyncGenerator<PageDifferences>;
  #page: PageDifferences | undefined;
  #at = 0;
  isDone = false;

  constructor(pages: AsyncGenerator<PageDifferences>) {
    this.#pages = pages;
  }

  /** Visits differences of inodes up to a bound (included), at most `limit` of them. */
  async take(bound: { low: number; high: number } | undefined, limit: number, visit: Visit): Promise<void> {
    for (let taken = 0; taken < limit;) {
      if (this.#page === undefined || this.#at === this.#page.count) {
        const next = await this.#pages.next();
        if (next.done === true) {
          this.isDone = true;
          return;
        }
        this.#page = next.value;
        this.#at = 0;
      }
      const page = this.#page;
      for (; this.#at < page.count && taken < limit; this.#at += 1, taken += 1) {
        const rowA = page.rowsA[this.#at];
        const keys = integersOf((rowA >= 0 ? page.a : page.b) as Batch, 0);
        const row = rowA >= 0 ? rowA : page.rowsB[this.#at];
        const [low, high] = [keys[2 * row], keys[2 * row + 1]];
        if (bound !== undefined && (high > bound.high || (high === bound.high && low > bound.low))) return;
        visit(page, this.#at, low, high);
      }
    }
  }
}
