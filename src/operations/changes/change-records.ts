import type { Batch, Row } from "../../model/batch.ts";
import { batchFromRows } from "../../model/batch.ts";
import { joinPieces } from "../../model/batch-pieces.ts";
import type { Piece } from "../../model/batch-pieces.ts";
import type { ColumnSchema, Kind, TableSchema } from "../../model/schema.ts";
import { tableNamed } from "../../model/schema.ts";
import { compareKeys } from "../../format/key.ts";
import type { RestoreChange } from "../restore-change.ts";
import type { RecordSource } from "./sorted-records.ts";

const dropColumn: ColumnSchema = { name: "drop", type: "u32", encoding: "plain" };

/** The schema of changes to a table: its columns, and whether the record of that key is to be dropped (1) or put (0). */
export function patchSchema(schema: TableSchema): TableSchema {
  return { ...schema, columns: [...schema.columns, dropColumn] };
}

export interface RecordChange {
  name: string;
  description: string;
  kind: Kind;
  table: string;
}

/** A change of a few records: those put (replaced, or added) and those dropped, of which only the key counts. In any order. */
export function changeRows(change: RecordChange, put: readonly Row[], drop: readonly Row[] = []): RestoreChange {
  const schema = patchSchema(tableNamed(change.kind, change.table));
  const rows = [...put.map((row) => [...row, 0]), ...drop.map((row) => [...row, 1])];
  const all = rows.map((row) => batchFromRows(schema, 0, [row]));
  all.sort((a, b) => compareKeys(schema, a, 0, b, 0));
  return changeRecords(change, { read: () => all.shift() });
}

/** A change of any number of records, given in key order by the schema of `patchSchema`. It can be applied once. */
export function changeRecords(change: RecordChange, patches: RecordSource & Partial<Disposable>): RestoreChange {
  const { name, description, kind, table } = change;
  const schema = tableNamed(kind, table);
  let changed = 0;
  return {
    name,
    description,
    table,
    apply: (batches) =>
      patchRecords(schema, kind.tables.indexOf(schema), batches, patches, () => {
        changed += 1;
      }),
    changedRecords: () => changed,
    [Symbol.dispose]: () => patches[Symbol.dispose]?.(),
  };
}

async function* patchRecords(
  schema: TableSchema,
  table: number,
  batches: AsyncIterable<Batch>,
  patches: RecordSource,
  onChange: () => void,
): AsyncGenerator<Batch> {
  const drop = schema.columns.length;
  let patch = patches.read();
  let at = 0;
  const take = (pieces: Piece[]): void => {
    if (patch === undefined) return;
    onChange();
    if (!isDrop(patch, drop, at)) pieces.push({ batch: patch, from: at, to: at + 1 });
    at += 1;
    if (at < patch.count) return;
    patch = patches.read();
    at = 0;
  };
  for await (const batch of batches) {
    const pieces: Piece[] = [];
    let from = 0;
    let isChanged = false;
    while (patch !== undefined) {
      const place = firstNotBelow(schema, batch, from, patch, at);
      if (place === batch.count) break;
      const replaces = compareKeys(schema, batch, place, patch, at) === 0;
      if (place > from) pieces.push({ batch, from, to: place });
      from = replaces ? place + 1 : place;
      isChanged = true;
      if (!replaces && isDrop(patch, drop, at)) throw new RangeError(`a record to drop is not in table ${schema.name}`);
      take(pieces);
    }
    if (!isChanged) yield batch;
    else {
      if (from < batch.count) pieces.push({ batch, from, to: batch.count });
      if (pieces.length > 0) yield joinPieces(schema, table, pieces);
    }
  }
  while (patch !== undefined) {
    const pieces: Piece[] = [];
    while (patch !== undefined && pieces.length < addedAtOnce) take(pieces);
    if (pieces.length > 0) yield joinPieces(schema, table, pieces);
  }
}

/** Records of a batch that is all new. */
const addedAtOnce = 8192;

function isDrop(patch: Batch, column: number, row: number): boolean {
  const data = patch.columns[column];
  return data !== undefined && "values" in data && data.values[row] === 1;
}

/** The first row from `from` on whose key is not below a patch's, or the batch's count. */
function firstNotBelow(schema: TableSchema, batch: Batch, from: number, patch: Batch, at: number): number {
  let low = from;
  let high = batch.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(schema, batch, middle, patch, at) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
