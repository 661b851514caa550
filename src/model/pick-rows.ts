import type { Batch, BytesColumn, Column, IntegerColumn } from "./batch.ts";
import type { TableSchema } from "./schema.ts";

/**
 * One batch of records picked from several of the same table: record `at` is row `pickedRows[at]` of `blocks[pickedRuns[at]]`. Copies,
 * column by column.
 */
export function pickRows(
  schema: TableSchema,
  table: number,
  blocks: readonly Batch[],
  pickedRuns: Uint32Array,
  pickedRows: Uint32Array,
  count: number,
): Batch {
  const columns = schema.columns.map((column, index): Column | undefined => {
    const sources = blocks.map((block) => block.columns[index]);
    if (sources.every((source) => source === undefined)) return undefined;
    return column.type === "bytes"
      ? copyBytes(sources as (BytesColumn | undefined)[], pickedRuns, pickedRows, count)
      : copyIntegers(
          sources as (IntegerColumn | undefined)[],
          pickedRuns,
          pickedRows,
          count,
          column.type === "u32" ? 1 : 2,
        );
  });
  return { table, count, columns };
}

function copyIntegers(
  sources: readonly (IntegerColumn | undefined)[],
  pickedRuns: Uint32Array,
  pickedRows: Uint32Array,
  count: number,
  width: number,
): IntegerColumn {
  const values = new Uint32Array(count * width);
  for (let at = 0; at < count; at += 1) {
    const source = sources[pickedRuns[at]];
    if (source === undefined) continue;
    const row = pickedRows[at];
    if (width === 1) values[at] = source.values[row];
    else {
      values[2 * at] = source.values[2 * row];
      values[2 * at + 1] = source.values[2 * row + 1];
    }
  }
  return { values };
}

function copyBytes(
  sources: readonly (BytesColumn | undefined)[],
  pickedRuns: Uint32Array,
  pickedRows: Uint32Array,
  count: number,
): BytesColumn {
  const offsets = new Uint32Array(count + 1);
  for (let at = 0; at < count; at += 1) {
    const source = sources[pickedRuns[at]];
    const row = pickedRows[at];
    offsets[at + 1] = offsets[at] + (source === undefined ? 0 : source.offsets[row + 1] - source.offsets[row]);
  }
  const arena = new Uint8Array(offsets[count]);
  for (let at = 0; at < count; at += 1) {
    const source = sources[pickedRuns[at]];
    if (source === undefined) continue;
    const row = pickedRows[at];
    const end = source.offsets[row + 1];
    let out = offsets[at];
    for (let from = source.offsets[row]; from < end; from += 1, out += 1) arena[out] = source.arena[from];
  }
  return { offsets, arena };
}
