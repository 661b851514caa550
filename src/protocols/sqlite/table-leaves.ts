import { corrupt } from "./corrupt.ts";
import { openPageReader } from "./page-source.ts";
import type { PageSource } from "./page-source.ts";
import { readRowid } from "./record.ts";
import { readVarint } from "./varint.ts";
import type { Varint } from "./varint.ts";

/** A range of row ids, both ends included; all when left out. */
export interface RowidRange {
  readonly from?: bigint;
  readonly to?: bigint;
}

/**
 * Walks the leaf pages of a table b-tree in the order of row ids (https://sqlite.org/fileformat2.html, "B-tree Pages"). After
 * `next()` says true, the fields tell where the current leaf is; they hold until the next call.
 */
export interface TableLeaves {
  next(): boolean;
  /** The buffer that holds the page. */
  readonly bytes: Uint8Array;
  /** Where the page begins in `bytes`; its usable part ends at `start + usableBytes`. */
  readonly start: number;
  readonly page: number;
  /** Where its array of cell pointers begins in `bytes`. */
  readonly pointers: number;
  /** The cells to read: those of the range. */
  readonly firstCell: number;
  readonly endCell: number;
  /** Counts another page of this table as read; a table whose pages are more than the database's goes in a circle. */
  readonly countPage: () => void;
}

interface Level {
  /** Children in order, the right-most last. */
  children: Uint32Array;
  /** For each child but the right-most: the largest row id below it. */
  keys: BigInt64Array;
  count: number;
  /** The child to read next. */
  next: number;
  /** Where children `loadedFrom …` are in the reader's buffer, as long as nothing else was read. */
  offsets: Uint32Array;
  loadedFrom: number;
  loadedEnd: number;
  /** What the page's own parent allows: keys above `below` and up to `atMost`. */
  atMost: bigint;
  page: number;
}

const leafType = 13;
const interiorType = 5;
/** SQLite's own bound on the depth of a b-tree. */
const depthMax = 20;
const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

export interface TableLeavesOptions extends RowidRange {
  /** For messages. */
  readonly table: string;
  readonly rootPage: number;
  /** Size of the read buffer; 1 MiB unless said. */
  readonly bufferBytes?: number;
}

/** Opens a walk; see `TableLeaves`. Errors: `sqlite-corrupt`, naming table and page. */
export function openTableLeaves(source: PageSource, options: TableLeavesOptions): TableLeaves {
  const { table, rootPage } = options;
  const from = options.from ?? smallest;
  const to = options.to ?? largest;
  const ranged = from !== smallest || to !== largest;
  const reader = openPageReader(source, options.bufferBytes ?? 1048576);
  const { bytes } = reader;
  const { usableBytes } = source;
  const stack: Level[] = [];
  const varint: Varint = { low: 0, high: 0, end: 0 };
  // Leaves are all at one depth, known after the first descent; the pages above them are read one at a time.
  let leafDepth = -1;
  let pagesRead = 0;
  let started = false;
  let lastKey = smallest;
  let hasLastKey = false;

  function fail(page: number, message: string): Error {
    return corrupt(source.path, `table ${table}, page ${page}: ${message}`, { table, page });
  }

  function countPage(): void {
    if (++pagesRead > source.pageCount) {
      throw corrupt(source.path, `table ${table}: its pages form a circle`, { table });
    }
  }

  /** Cells that fit between the page header and the end of the page; checks the pointer array's bounds. */
  function cellCount(start: number, page: number, headerBytes: number): number {
    const at = start + (page === 1 ? 100 : 0);
    const count = (bytes[at + 3] << 8) | bytes[at + 4];
    if (at - start + headerBytes + 2 * count > usableBytes) throw fail(page, `its ${count} cells do not fit the page`);
    return count;
  }

  function enterInterior(start: number, page: number, atMost: bigint): void {
    if (stack.length >= depthMax) throw fail(page, "the tree is deeper than SQLite builds any");
    const at = start + (page === 1 ? 100 : 0);
    const count = cellCount(start, page, 12);
    const level: Level = {
      children: new Uint32Array(count + 1),
      keys: new BigInt64Array(count),
      count: count + 1,
      next: 0,
      offsets: new Uint32Array(count + 1),
      loadedFrom: 0,
      loadedEnd: 0,
      atMost,
      page,
    };
    const pointersEnd = at - start + 12 + 2 * count;
    for (let cell = 0; cell < count; cell++) {
      const pointer = (bytes[at + 12 + 2 * cell] << 8) | bytes[at + 13 + 2 * cell];
      if (pointer < pointersEnd || pointer + 5 > usableBytes) throw fail(page, `cell ${cell} is outside the page`);
      level.children[cell] = pageNumber(bytes, start + pointer);
      readVarint(bytes, start + pointer + 4, start + usableBytes, varint);
      if (varint.end > start + usableBytes) throw fail(page, `cell ${cell} is cut off`);
      const key = (BigInt(varint.high) << 32n) | BigInt(varint.low >>> 0);
      if (cell > 0 && key <= level.keys[cell - 1]) throw fail(page, "its keys are out of order");
      if (key > atMost) throw fail(page, "a key is above what its parent allows");
      level.keys[cell] = key;
    }
    level.children[count] = pageNumber(bytes, at + 8);
    while (level.next < count && level.keys[level.next] < from) level.next++;
    stack.push(level);
  }

  function childOffset(level: Level): number {
    const child = level.next;
    if (stack.length !== leafDepth) return reader.load(level.children[child]);
    if (child >= level.loadedEnd || child < level.loadedFrom) {
      level.loadedFrom = child;
      level.loadedEnd = child + reader.loadRun(level.children, child, level.count, level.offsets);
    }
    return level.offsets[child - level.loadedFrom];
  }

  function nextPage(): { start: number; page: number; atMost: bigint } | undefined {
    if (!started) {
      started = true;
      return { start: reader.load(rootPage), page: rootPage, atMost: largest };
    }
    for (;;) {
      const level = stack[stack.length - 1];
      if (level === undefined) return undefined;
      const child = level.next;
      if (child >= level.count || (child > 0 && level.keys[child - 1] >= to)) {
        stack.pop();
        continue;
      }
      const start = childOffset(level);
      level.next++;
      return { start, page: level.children[child], atMost: child < level.count - 1 ? level.keys[child] : level.atMost };
    }
  }

  function rowidAt(start: number, page: number, cell: number, pointers: number): bigint {
    const pointer = (bytes[pointers + 2 * cell] << 8) | bytes[pointers + 2 * cell + 1];
    const end = start + usableBytes;
    if (pointer < pointers - start || pointer >= usableBytes) throw fail(page, `cell ${cell} is outside the page`);
    readVarint(bytes, start + pointer, end, varint);
    if (varint.end >= end) throw fail(page, `cell ${cell} is cut off`);
    return readRowid(bytes, varint.end, end);
  }

  /** The first cell whose row id is at least `rowid`. */
  function seek(rowid: bigint, count: number): number {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rowidAt(leaves.start, leaves.page, middle, leaves.pointers) < rowid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function enterLeaf(start: number, page: number, atMost: bigint): boolean {
    const count = cellCount(start, page, 8);
    leaves.start = start;
    leaves.page = page;
    leaves.pointers = start + (page === 1 ? 100 : 0) + 8;
    leaves.firstCell = 0;
    leaves.endCell = count;
    if (count === 0) return false;
    // With the order within the page, which the reader of its cells checks, these two give the order of the whole table.
    const first = rowidAt(start, page, 0, leaves.pointers);
    if (hasLastKey && first <= lastKey) throw fail(page, "its row ids are out of order");
    const last = rowidAt(start, page, count - 1, leaves.pointers);
    if (last > atMost) throw fail(page, "a row id is above what its parent allows");
    lastKey = last;
    hasLastKey = true;
    if (ranged) {
      if (first < from) leaves.firstCell = seek(from, count);
      if (last > to) leaves.endCell = seek(to + 1n, count);
    }
    return leaves.firstCell < leaves.endCell;
  }

  const leaves = {
    bytes,
    start: 0,
    page: 0,
    pointers: 0,
    firstCell: 0,
    endCell: 0,
    countPage,
    next(): boolean {
      for (;;) {
        const found = nextPage();
        if (found === undefined) return false;
        countPage();
        const { start, page, atMost } = found;
        if (page === 1 && rootPage !== 1) throw fail(page, "the page of the schema is no page of another table");
        const type = bytes[start + (page === 1 ? 100 : 0)];
        if (type === leafType && leafDepth < 0) leafDepth = stack.length;
        if (type === interiorType && stack.length !== leafDepth) enterInterior(start, page, atMost);
        else if (type === leafType && stack.length === leafDepth) {
          if (enterLeaf(start, page, atMost)) return true;
        } else throw fail(page, `a page of type ${type} is no page of a table at this depth`);
      }
    },
  };
  return leaves;
}

/** A big-endian page number. */
export function pageNumber(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
