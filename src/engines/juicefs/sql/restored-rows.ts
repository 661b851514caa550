import type { Batch } from "../../../model/batch.ts";
import { bytesAt, bytesOf, integersOf, signedAt } from "../../../model/batch.ts";
import type { Facts } from "../../../model/ports.ts";
import { factCounter, factCounters } from "../counters.ts";

/** Counters that every client expects to find: it updates them with plain UPDATE statements. */
const expectedCounters = ["nextInode", "nextChunk", "nextSession", "usedSpace", "totalInodes", "nextCleanupSlices"];

/** Adds the records of a batch of table `counter`. */
export function takeCounters(batch: Batch, into: Map<string, bigint>): void {
  const names = bytesOf(batch, 0);
  for (let row = 0; row < batch.count; row++) {
    const name = new TextDecoder().decode(bytesAt(names, row));
    into.set(name, batch.columns[1] === undefined ? 0n : signedAt(integersOf(batch, 1), row));
  }
}

/**
 * The rows of table `counter` that a restore writes: the snapshot's records, what the facts know beside them, and no session number below one that
 * still holds deleted files.
 */
export function counterRows(
  records: ReadonlyMap<string, bigint>,
  facts: Facts,
  sessions: ReadonlySet<bigint>,
): Map<string, bigint> {
  const values = new Map(expectedCounters.map((name) => [name, 0n]));
  for (const [name, value] of records) if (name !== "nextTrash" || value !== 0n) values.set(name, value);
  for (const name of factCounters) {
    // A position in a log that is not carried.
    if (name === "lastChangelog") continue;
    const value = factCounter(facts, name);
    if (value !== undefined) values.set(name, value);
  }
  for (const session of sessions) if (session > (values.get("nextSession") ?? 0n)) values.set("nextSession", session);
  return values;
}
