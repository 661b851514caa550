import type { BytesColumn, IntegerColumn } from "../model/batch.ts";
import type { Piece } from "../model/batch-pieces.ts";
import { signedAt, unsignedAt } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";

/** Least and greatest value of a column; of a bytes column, of its lengths. Decimal strings. */
export interface Extreme {
  min: string;
  max: string;
}

interface Range {
  minLow: number;
  minHigh: number;
  maxLow: number;
  maxHigh: number;
}

/** Gathers the extremes of each column of a table, record by record: what an engine's limits are checked against. */
export class ColumnExtremes {
  readonly #schema: TableSchema;
  readonly #ranges: (Range | undefined)[];

  constructor(schema: TableSchema) {
    this.#schema = schema;
    this.#ranges = schema.columns.map(() => undefined);
  }

  add({ batch, from, to }: Piece): void {
    this.#schema.columns.forEach((column, index) => {
      const data = batch.columns[index];
      if (data === undefined) {
        this.#include(index, 0, 0);
        return;
      }
      if (column.type === "bytes") this.#addLengths(index, (data as BytesColumn).offsets, from, to);
      else if (column.type === "u32") this.#addU32(index, (data as IntegerColumn).values, from, to);
      else this.#add64(index, (data as IntegerColumn).values, from, to, column.type === "i64" ? 0x80000000 : 0);
    });
  }

  #addU32(index: number, values: Uint32Array, from: number, to: number): void {
    let min = 0xffffffff;
    let max = 0;
    for (let row = from; row < to; row += 1) {
      if (values[row] < min) min = values[row];
      if (values[row] > max) max = values[row];
    }
    this.#include(index, min, 0);
    this.#include(index, max, 0);
  }

  #addLengths(index: number, offsets: Uint32Array, from: number, to: number): void {
    let min = 0xffffffff;
    let max = 0;
    for (let row = from; row < to; row += 1) {
      const length = offsets[row + 1] - offsets[row];
      if (length < min) min = length;
      if (length > max) max = length;
    }
    this.#include(index, min, 0);
    this.#include(index, max, 0);
  }

  #add64(index: number, values: Uint32Array, from: number, to: number, flip: number): void {
    let min = from;
    let max = from;
    for (let row = from + 1; row < to; row += 1) {
      const high = (values[2 * row + 1] ^ flip) >>> 0;
      const minHigh = (values[2 * min + 1] ^ flip) >>> 0;
      if (high < minHigh || (high === minHigh && values[2 * row] < values[2 * min])) min = row;
      const maxHigh = (values[2 * max + 1] ^ flip) >>> 0;
      if (high > maxHigh || (high === maxHigh && values[2 * row] > values[2 * max])) max = row;
    }
    this.#include(index, values[2 * min], values[2 * min + 1]);
    this.#include(index, values[2 * max], values[2 * max + 1]);
  }

  #include(index: number, low: number, high: number): void {
    const flip = this.#schema.columns[index].type === "i64" ? 0x80000000 : 0;
    const flipped = (high ^ flip) >>> 0;
    const range = this.#ranges[index];
    if (range === undefined) {
      this.#ranges[index] = { minLow: low, minHigh: flipped, maxLow: low, maxHigh: flipped };
      return;
    }
    if (flipped < range.minHigh || (flipped === range.minHigh && low < range.minLow)) {
      range.minLow = low;
      range.minHigh = flipped;
    }
    if (flipped > range.maxHigh || (flipped === range.maxHigh && low > range.maxLow)) {
      range.maxLow = low;
      range.maxHigh = flipped;
    }
  }

  /** By column name; columns of an empty table are left out. */
  finish(): Record<string, Extreme> {
    const result: Record<string, Extreme> = {};
    this.#schema.columns.forEach((column, index) => {
      const range = this.#ranges[index];
      if (range === undefined) return;
      const signed = column.type === "i64";
      const flip = signed ? 0x80000000 : 0;
      const text = (low: number, high: number): string => {
        const value = Uint32Array.of(low, (high ^ flip) >>> 0);
        return String(signed ? signedAt(value, 0) : unsignedAt(value, 0));
      };
      result[column.name] = { min: text(range.minLow, range.minHigh), max: text(range.maxLow, range.maxHigh) };
    });
    return result;
  }
}
