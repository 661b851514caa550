import type { Batch, BytesColumn, IntegerColumn } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { nodeColumn } from "../../../model/juicefs.ts";
import type { CopyValues } from "../../../protocols/postgres/copy-writer.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import { nodeMoments, nodeTable } from "../sql/canonical-tables.ts";
import type { SqlColumn, SqlTable } from "../sql/tables.ts";
import type { SqlTime } from "../times.ts";
import { sqlTimeOf } from "../times.ts";
import { typeOf } from "./schema.ts";

/** The columns of a table of PostgreSQL, in their order, filled from a batch of the canonical one. `firstId` is the next number of a row. */
export function rowColumns(table: SqlTable, canonical: CanonicalTable, batch: Batch, firstId: number): CopyValues[] {
  const times = canonical === nodeTable ? timeColumns(batch) : undefined;
  return table.columns.map((column) => {
    const mapped = canonical.columns.find(([name]) => name === column.name);
    if (mapped !== undefined) return valuesOf(column, batch, mapped[1]);
    const time = times?.get(column.name);
    if (time !== undefined) return time;
    if (column.key === "serial") return { type: "serial", first: firstId };
    throw new RangeError(`column ${column.name} of table ${table.name} has no canonical one`);
  });
}

function valuesOf(column: SqlColumn, batch: Batch, index: number): CopyValues {
  const data = batch.columns[index];
  const type = typeOf(column.type);
  if (type === "bigint") return { type: "int8", values: (data as IntegerColumn | undefined)?.values };
  if (type === "integer") {
    const values = (data as IntegerColumn | undefined)?.values;
    return { type: column.type === "i32" ? "int4-of-8" : "int4", values };
  }
  const bytes = data as BytesColumn | undefined;
  return { type: "bytes", offsets: bytes?.offsets, arena: bytes?.arena ?? noBytes };
}

const noBytes = new Uint8Array(0);
const noValues = new Uint32Array(0);

/** Each time in its two columns: microseconds, and the nanoseconds' rest. */
function timeColumns(batch: Batch): Map<string, CopyValues> {
  const columns = new Map<string, CopyValues>();
  const moment: SqlTime = { micros: 0, nanos: 0 };
  for (const name of nodeMoments) {
    const seconds = (batch.columns[nodeColumn[name]] as IntegerColumn | undefined)?.values ?? noValues;
    const nanoseconds = (batch.columns[nodeColumn[name] + 1] as IntegerColumn | undefined)?.values ?? noValues;
    const micros = new Uint32Array(2 * batch.count);
    const rests = new Uint32Array(batch.count);
    for (let row = 0; row < batch.count; row++) {
      sqlTimeOf(seconds[2 * row] ?? 0, seconds[2 * row + 1] ?? 0, nanoseconds[row] ?? 0, moment);
      putMicros(micros, row, moment.micros);
      rests[row] = moment.nanos;
    }
    columns.set(name, { type: "int8", values: micros });
    columns.set(`${name}nsec`, { type: "int4", values: rests });
  }
  return columns;
}

function putMicros(values: Uint32Array, row: number, micros: number | bigint): void {
  if (typeof micros === "number") {
    values[2 * row] = micros;
    values[2 * row + 1] = Math.floor(micros / 4294967296);
    return;
  }
  if (BigInt.asIntN(64, micros) !== micros) {
    throw new CairnError(
      "does-not-fit",
      "a time of the snapshot does not fit into PostgreSQL: it is over 292,000 years from 1970",
      {
        next: "restore into another engine (docs/engines/limits.md)",
        exit: "targetRefused",
      },
    );
  }
  values[2 * row] = Number(BigInt.asUintN(32, micros));
  values[2 * row + 1] = Number(BigInt.asUintN(32, micros >> 32n));
}
