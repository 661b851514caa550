import type { Batch, IntegerColumn } from "../../../model/batch.ts";
import { integersOf } from "../../../model/batch.ts";

/** A batch of quotas in two: those of directories (type 0, which come first) and of users and groups. Views into the batch; undefined where there are none. */
export function splitQuotas(batch: Batch): { dirs: Batch | undefined; owners: Batch | undefined } {
  let dirs = batch.count;
  if (batch.columns[0] !== undefined) {
    const types = integersOf(batch, 0);
    dirs = 0;
    while (dirs < batch.count && types[dirs] === 0) dirs++;
  }
  return {
    dirs: dirs === 0 ? undefined : rowsOf(batch, 0, dirs),
    owners: dirs === batch.count ? undefined : rowsOf(batch, dirs, batch.count),
  };
}

/** Numbers only: the first column has 32 bits, the others 64. */
function rowsOf(batch: Batch, from: number, to: number): Batch {
  const columns = (batch.columns as readonly (IntegerColumn | undefined)[]).map((column, index) =>
    column === undefined ? undefined : { values: column.values.subarray(index === 0 ? from : 2 * from) },
  );
  return { table: batch.table, count: to - from, columns };
}
