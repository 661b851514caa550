import type { Finding } from "../../../model/ports.ts";
import { radixSort } from "../../../std/radix-sort.ts";
import { FindingCount } from "../finding.ts";
import type { SliceSink } from "../volume-checks.ts";
import { WordPartitions } from "./word-partitions.ts";

/** Ids of one segment of the bitmap, 4 KiB. */
const segmentIds = 32_768;
/** 24 MiB: 200 million ids when they are dense, as JuiceFS hands them out. */
const segmentsMax = 6144;
/** Ids above have no place in the bitmap. */
const segmentNumberMax = 1 << 20;

const width = 5;
const kind = { repeated: 0, unmarked: 1, stored: 2 } as const;

/**
 * Redis keeps a reference count only where it is not 1, so a slice without one must be named exactly once. The stream cannot be read twice:
 * one bit for each id tells whether it was named before; what is named again, and every stored count, is put aside and joined at the end.
 * What finds no room in the bitmap is put aside, too, each time that it is named.
 */
export class SliceUses implements SliceSink, Disposable {
  readonly #segments: (Uint32Array | undefined)[] = [];
  #segmentCount = 0;
  readonly #aside: WordPartitions;
  #maxIdLow = 0;
  #maxIdHigh = 0;

  constructor(temporaryFolder: string) {
    this.#aside = new WordPartitions(temporaryFolder, width);
  }

  addMention(idLow: number, idHigh: number, size: number): void {
    if (idLow === 0 && idHigh === 0) return;
    this.#seeId(idLow, idHigh);
    const segment = this.#segmentOf(idLow, idHigh, true);
    if (segment === undefined) {
      this.#aside.add(idLow, idHigh, size, kind.unmarked);
      return;
    }
    const word = (idLow >>> 5) & (segmentIds / 32 - 1);
    const bit = 1 << (idLow & 31);
    if ((segment[word] & bit) === 0) segment[word] |= bit;
    else this.#aside.add(idLow, idHigh, size, kind.repeated);
  }

  /** `refs`: the real count, one more than Redis stores. */
  addStored(idLow: number, idHigh: number, size: number, refs: number): void {
    if (idLow === 0 && idHigh === 0) return;
    this.#seeId(idLow, idHigh);
    this.#aside.add(idLow, idHigh, size, kind.stored, Math.max(-0x80000000, Math.min(0x7fffffff, refs)));
  }

  #segmentOf(low: number, high: number, make: boolean): Uint32Array | undefined {
    const number = high * (4294967296 / segmentIds) + (low >>> 15);
    if (number >= segmentNumberMax) return undefined;
    const segment = this.#segments[number];
    if (segment !== undefined || !make || this.#segmentCount === segmentsMax) return segment;
    while (this.#segments.length <= number) this.#segments.push(undefined);
    this.#segmentCount++;
    return (this.#segments[number] = new Uint32Array(segmentIds / 32));
  }

  #seeId(low: number, high: number): void {
    if (high > this.#maxIdHigh || (high === this.#maxIdHigh && low > this.#maxIdLow)) {
      this.#maxIdHigh = high;
      this.#maxIdLow = low;
    }
  }

  /** The highest slice id seen on either side, 0 when there was none. */
  get maxId(): bigint {
    return (BigInt(this.#maxIdHigh) << 32n) | BigInt(this.#maxIdLow);
  }

  #isMarked(low: number, high: number): boolean {
    const segment = this.#segmentOf(low, high, false);
    return segment !== undefined && (segment[(low >>> 5) & (segmentIds / 32 - 1)] & (1 << (low & 31))) !== 0;
  }

  /** After the last slice. */
  findings(): Finding[] {
    const differs = new FindingCount(
      "slice-ref-differs",
      "warning",
      (count) => `${count} slices have a reference count that is not the number of their mentions`,
    );
    const leaked = new FindingCount(
      "slice-ref-leaked",
      "info",
      (count) => `${count} slices have a reference count but nothing refers to them`,
    );
    for (let partition = 0; partition < WordPartitions.count; partition++) {
      const words = this.#aside.read(partition);
      eachSlice(words, (low, high, size, mentionsAside, stored) => {
        const mentions = mentionsAside + (this.#isMarked(low, high) ? 1 : 0);
        const name = (): string => `slice ${(BigInt(high) << 32n) | BigInt(low)}, size ${size}`;
        if (mentions === 0) {
          if (stored !== undefined && stored > 0) leaked.add(() => `${name()}: stored ${stored}`);
        } else if ((stored ?? 1) !== mentions) {
          differs.add(() => `${name()}: stored ${stored ?? "none, which means 1"}, ${mentions} mentions`);
        }
      });
    }
    return [...differs.toFindings(), ...leaked.toFindings()];
  }

  [Symbol.dispose](): void {
    this.#aside[Symbol.dispose]();
  }
}

type SliceJudge = (low: number, high: number, size: number, mentions: number, stored: number | undefined) => void;

/** Joins the records of a partition by id and size. */
function eachSlice(words: Uint32Array, judge: SliceJudge): void {
  const count = words.length / width;
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  const scratch = new Uint32Array(count);
  for (const word of [2, 1, 0]) radixSort(order, scratch, 0, count, words, width, word);
  for (let from = 0; from < count;) {
    const first = order[from] * width;
    let mentions = 0;
    let stored: number | undefined;
    let to = from;
    for (; to < count; to++) {
      const at = order[to] * width;
      if (words[at] !== words[first] || words[at + 1] !== words[first + 1] || words[at + 2] !== words[first + 2]) break;
      if (words[at + 3] === kind.stored) stored = words[at + 4] | 0;
      else mentions++;
    }
    judge(words[first], words[first + 1], words[first + 2], mentions, stored);
    from = to;
  }
}
