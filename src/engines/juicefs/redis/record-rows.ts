import type { Batch, Column } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { ColumnType } from "../../../model/schema.ts";
import { arenaBytesMax, batchRecords } from "../take-columns.ts";

const firstArenaBytes = 64 << 10;

/** Words that a column takes for each record. */
const wordsOf = { u32: 1, u64: 2, i64: 2, bytes: 1 } as const satisfies Record<ColumnType, number>;

/**
 * The records of one canonical table under way, column by column. A row is written with `u32`, `u64` and `bytes`, every column of it, and
 * counted in with `endRow`. All integers and offsets of a batch lie in one buffer, since each buffer costs when it goes to another thread.
 */
export class RecordRows {
  readonly table: number;
  readonly #types: readonly ColumnType[];
  /** Where each column begins in `#words`. */
  readonly #starts: readonly number[];
  readonly #wordCount: number;
  readonly #bytesColumns: readonly number[];
  #words: Uint32Array;
  /** By column; of integer columns nothing. */
  readonly #arenas: (Uint8Array | undefined)[];
  /** Complete rows, and the number of the one under way. */
  row = 0;

  constructor(table: number) {
    this.table = table;
    this.#types = juicefs.tables[table].columns.map(({ type }) => type);
    let words = 0;
    this.#starts = this.#types.map((type) => {
      const start = words;
      // One more offset than records.
      words += batchRecords * wordsOf[type] + (type === "bytes" ? 1 : 0);
      return start;
    });
    this.#wordCount = words;
    this.#words = new Uint32Array(words);
    this.#arenas = this.#types.map((type) => (type === "bytes" ? new Uint8Array(firstArenaBytes) : undefined));
    this.#bytesColumns = this.#types.flatMap((type, column) => (type === "bytes" ? [column] : []));
  }

  u32(column: number, value: number): void {
    // The words are 0; where all stay 0 their memory is never touched.
    if (value !== 0) this.#words[this.#starts[column] + this.row] = value;
  }

  u64(column: number, low: number, high: number): void {
    const at = this.#starts[column] + 2 * this.row;
    this.#words[at] = low;
    this.#words[at + 1] = high;
  }

  /** A whole number that a double holds exactly. */
  integer(column: number, value: number): void {
    this.u64(column, value >>> 0, Math.floor(value / 4294967296) >>> 0);
  }

  bytes(column: number, from: Uint8Array, start: number, end: number): void {
    this.beginBytes(column);
    this.moreBytes(column, from, start, end);
  }

  /** Begins a value that comes in pieces; a row's columns of bytes are written one after the other. */
  beginBytes(column: number): void {
    const at = this.#starts[column] + this.row;
    this.#words[at + 1] = this.#words[at];
  }

  moreBytes(column: number, from: Uint8Array, start: number, end: number): void {
    const place = this.#starts[column] + this.row + 1;
    const at = this.#words[place];
    const length = end - start;
    let arena = this.#arenas[column];
    if (arena === undefined || at + length > arena.length) arena = this.#growArena(column, at, at + length);
    if (length < 64) for (let index = 0; index < length; index++) arena[at + index] = from[start + index];
    else arena.set(from.subarray(start, end), at);
    this.#words[place] = at + length;
  }

  #growArena(column: number, used: number, needed: number): Uint8Array {
    const before = this.#arenas[column];
    const grown = new Uint8Array(Math.max(needed, 2 * (before?.length ?? 0)));
    if (before !== undefined) grown.set(before.subarray(0, used));
    this.#arenas[column] = grown;
    return grown;
  }

  /** Bytes of the value under way. */
  bytesSoFar(column: number): number {
    const at = this.#starts[column] + this.row;
    return this.#words[at + 1] - this.#words[at];
  }

  endRow(): void {
    this.row++;
  }

  /** Whether the rows so far are to be taken before another one is begun. */
  get isFull(): boolean {
    if (this.row === batchRecords) return true;
    for (const column of this.#bytesColumns) {
      if (this.#words[this.#starts[column] + this.row] >= arenaBytesMax) return true;
    }
    return false;
  }

  /** The complete rows, which are not here any more then; nothing when there are none. */
  take(): Batch | undefined {
    const count = this.row;
    if (count === 0) return undefined;
    const isSmall = 2 * count <= batchRecords;
    const words = this.#words;
    // A batch that is mostly empty goes in buffers of its own size, and the large one is used again.
    const columns = this.#types.map((type, column) => this.#takeColumn(type, column, count, words, isSmall));
    if (isSmall) words.fill(0);
    else this.#words = new Uint32Array(this.#wordCount);
    this.row = 0;
    return { table: this.table, count, columns };
  }

  #takeColumn(
    type: ColumnType,
    column: number,
    count: number,
    words: Uint32Array,
    isSmall: boolean,
  ): Column | undefined {
    const start = this.#starts[column];
    const end = start + count * wordsOf[type] + (type === "bytes" ? 1 : 0);
    const isKey = column < juicefs.tables[this.table].keyCount;
    if (type === "bytes") {
      if (!isKey && words[end - 1] === 0) return undefined;
      const offsets = isSmall ? words.slice(start, end) : words.subarray(start, end);
      return { offsets, arena: this.#takeArena(column, words[end - 1]) };
    }
    if (!isKey && isZero(words, start, end)) return undefined;
    return { values: isSmall ? words.slice(start, end) : words.subarray(start, end) };
  }

  #takeArena(column: number, used: number): Uint8Array {
    const arena = this.#arenas[column] ?? new Uint8Array(0);
    if (2 * used < arena.length) {
      const cut = arena.slice(0, used);
      if (arena.length > arenaBytesMax) this.#arenas[column] = new Uint8Array(firstArenaBytes);
      return cut;
    }
    // What was needed once is needed again, and the next batch may be a little larger.
    this.#arenas[column] = new Uint8Array(Math.max(firstArenaBytes, Math.min(2 * arenaBytesMax, used + (used >>> 4))));
    return arena;
  }
}

function isZero(words: Uint32Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (words[at] !== 0) return false;
  return true;
}
