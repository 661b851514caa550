import type { Batch, BytesColumn, Column, IntegerColumn } from "./batch.ts";
import type { TableSchema } from "./schema.ts";

/** The records `order[from … to)` of a batch as a batch of their own; `order` undefined stands for the batch's own order. */
export function gather(
  schema: TableSchema,
  batch: Batch,
  order: Uint32Array | undefined,
  from: number,
  to: number,
): Batch {
  const columns = schema.columns.map((column, index): Column | undefined => {
    const data = batch.columns[index];
    if (data === undefined) return undefined;
    if (column.type === "bytes") return gatherBytes(data as BytesColumn, order, from, to);
    const { values } = data as IntegerColumn;
    return { values: gatherIntegers(values, order, from, to, column.type === "u32" ? 1 : 2) };
  });
  return { table: batch.table, count: to - from, columns };
}

function gatherIntegers(
  values: Uint32Array,
  order: Uint32Array | undefined,
  from: number,
  to: number,
  width: number,
): Uint32Array {
  if (order === undefined) return values.slice(from * width, to * width);
  const gathered = new Uint32Array((to - from) * width);
  if (width === 1) for (let at = from; at < to; at += 1) gathered[at - from] = values[order[at]];
  else {
    for (let at = from, out = 0; at < to; at += 1, out += 2) {
      const source = order[at] * 2;
      gathered[out] = values[source];
      gathered[out + 1] = values[source + 1];
    }
  }
  return gathered;
}

function gatherBytes(column: BytesColumn, order: Uint32Array | undefined, from: number, to: number): BytesColumn {
  const { offsets, arena } = column;
  const gathered = new Uint32Array(to - from + 1);
  if (order === undefined) {
    for (let at = from; at < to; at += 1) gathered[at - from + 1] = offsets[at + 1] - offsets[from];
    return { offsets: gathered, arena: arena.slice(offsets[from], offsets[to]) };
  }
  let total = 0;
  for (let at = from; at < to; at += 1) {
    total += offsets[order[at] + 1] - offsets[order[at]];
    gathered[at - from + 1] = total;
  }
  const bytes = new Uint8Array(total);
  let out = 0;
  for (let at = from; at < to; at += 1) {
    const end = offsets[order[at] + 1];
    for (let source = offsets[order[at]]; source < end; source += 1, out += 1) bytes[out] = arena[source];
  }
  return { offsets: gathered, arena: bytes };
}
