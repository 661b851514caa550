import { juicefsTable } from "../../../model/juicefs.ts";
import { radixSort } from "../../../std/radix-sort.ts";
import type { RecordRows } from "./record-rows.ts";
import { WordPartitions } from "./word-partitions.ts";

const width = 7;

/** The hashes that make up one record together, by their part; the numbers are the canonical columns of their values. */
const dirStatParts = 3;
/** Of a quota: 0 its limits, 1 the space, 2 the inodes in use. */
const unlimited = 0xffffffff;

/**
 * Records that Redis keeps in several hashes under one field: directory statistics (length, space, inodes) and quotas (limits, space,
 * inodes). The hashes come whole, one after the other; their fields are put aside and joined at the end.
 */
export class JoinedHashes implements Disposable {
  readonly #stats: WordPartitions;
  readonly #quotas: WordPartitions;

  constructor(temporaryFolder: string) {
    this.#stats = new WordPartitions(temporaryFolder, width);
    this.#quotas = new WordPartitions(temporaryFolder, width);
  }

  /** One field of a statistic; `part` 0 length, 1 space, 2 inodes. */
  addStat(part: number, inodeLow: number, inodeHigh: number, low: number, high: number): void {
    this.#stats.add(inodeLow, inodeHigh, part, low, high);
  }

  /** The limits of a quota of type 0 (directory), 1 (user), 2 (group). */
  addLimits(type: number, keyLow: number, keyHigh: number, limits: readonly [number, number, number, number]): void {
    this.#quotas.add(keyLow, keyHigh, type * 4, limits[0], limits[1], limits[2], limits[3]);
  }

  /** What of a quota is in use; `part` 1 space, 2 inodes. */
  addUsage(type: number, part: number, keyLow: number, keyHigh: number, low: number, high: number): void {
    this.#quotas.add(keyLow, keyHigh, type * 4 + part, low, high);
  }

  /** Writes the joined records, part by part; `rowsFor` gives the rows of a table, with room for one. */
  *write(rowsFor: (table: number) => RecordRows): Generator<void, void> {
    for (let partition = 0; partition < WordPartitions.count; partition++) {
      eachKey(
        this.#stats.read(partition),
        () => 0,
        (words, places) => writeStat(words, places, rowsFor),
      );
      eachKey(
        this.#quotas.read(partition),
        (part) => part >>> 2,
        (words, places) => writeQuota(words, places, rowsFor),
      );
      yield;
    }
  }

  [Symbol.dispose](): void {
    this.#stats[Symbol.dispose]();
    this.#quotas[Symbol.dispose]();
  }
}

type RowsFor = (table: number) => RecordRows;

/** A statistic that lacks a part is none: JuiceFS counts the directory anew. */
function writeStat(words: Uint32Array, places: readonly number[], rowsFor: RowsFor): void {
  const parts = partsOf(words, places);
  if (parts.slice(0, dirStatParts).some((place) => place < 0)) return;
  const rows = rowsFor(juicefsTable.dirStat);
  rows.u64(0, words[places[0]], words[places[0] + 1]);
  for (let part = 0; part < dirStatParts; part++) rows.u64(1 + part, words[parts[part] + 3], words[parts[part] + 4]);
  rows.endRow();
}

/** Usage without limits is a quota that does not limit, as `juicefs dump` has it. */
function writeQuota(words: Uint32Array, places: readonly number[], rowsFor: RowsFor): void {
  const [limits, space, inodes] = partsOf(words, places);
  const first = places[0];
  const rows = rowsFor(juicefsTable.quota);
  rows.u32(0, words[first + 2] >>> 2);
  rows.u64(1, words[first], words[first + 1]);
  for (let column = 0; column < 2; column++) {
    if (limits < 0) rows.u64(2 + column, unlimited, unlimited);
    else rows.u64(2 + column, words[limits + 3 + 2 * column], words[limits + 4 + 2 * column]);
  }
  putUsage(rows, 4, words, space);
  putUsage(rows, 5, words, inodes);
  rows.endRow();
}

function putUsage(rows: RecordRows, column: number, words: Uint32Array, place: number): void {
  rows.u64(column, place < 0 ? 0 : words[place + 3], place < 0 ? 0 : words[place + 4]);
}

/** Where each part is, or -1; of a part that comes twice the last. */
function partsOf(words: Uint32Array, places: readonly number[]): number[] {
  const parts = [-1, -1, -1];
  for (const place of places) parts[words[place + 2] & 3] = place;
  return parts;
}

/** Visits the records of a partition that have one key and one group. */
function eachKey(
  words: Uint32Array,
  groupOf: (part: number) => number,
  visit: (words: Uint32Array, places: readonly number[]) => void,
): void {
  const count = words.length / width;
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  const scratch = new Uint32Array(count);
  for (const word of [2, 0, 1]) radixSort(order, scratch, 0, count, words, width, word);
  const places: number[] = [];
  for (let at = 0; at < count; at++) {
    const place = order[at] * width;
    const first = places[0];
    if (
      first !== undefined &&
      (words[first] !== words[place] ||
        words[first + 1] !== words[place + 1] ||
        groupOf(words[first + 2]) !== groupOf(words[place + 2]))
    ) {
      visit(words, places);
      places.length = 0;
    }
    places.push(place);
  }
  if (places.length > 0) visit(words, places);
}
