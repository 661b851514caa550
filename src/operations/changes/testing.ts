import { tmpdir } from "node:os";
import type { Batch, Row } from "../../model/batch.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { rowsOf } from "../../../test/support/synthetic-snapshot.ts";
import type { RestoreChange } from "../restore-change.ts";
import { planChanges } from "./plan-changes.ts";
import type { WantedChanges } from "./plan-changes.ts";

/** Plans changes in a test. */
export function planInTest(
  snapshot: Snapshot,
  wanted: Partial<WantedChanges>,
  memoryBytes = 256 << 20,
): Promise<RestoreChange[]> {
  const progress = { report: () => undefined, warn: () => undefined };
  const { signal } = new AbortController();
  return planChanges(
    snapshot,
    { repair: [], set: {}, ...wanted },
    { signal, temporaryFolder: tmpdir(), memoryBytes, progress },
  );
}

/** A table's records as a restore with these changes would write them. */
export function changedRows(snapshot: Snapshot, table: string, changes: readonly RestoreChange[]): Promise<Row[]> {
  let batches: AsyncIterable<Batch> = readTable(snapshot, table);
  for (const change of changes) if (change.table === table) batches = change.apply(batches);
  return rowsOf(table, batches);
}
