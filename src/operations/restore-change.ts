import type { Batch } from "../model/batch.ts";

/** A change of one table that the user asked for, applied to the stream of its records during a restore and named in the proof. */
export interface RestoreChange {
  /** `repair-counters`, `advance-ids`, `set`, … */
  readonly name: string;
  /** For people: "next inode 1025 becomes 2049". */
  readonly description: string;
  readonly table: string;
  /** The table's records in key order, changed; the input's batches may be reused. */
  apply(batches: AsyncIterable<Batch>): AsyncIterable<Batch>;
  /** Records changed so far: final when the stream has ended. */
  changedRecords(): number;
  /** Lets go of what it keeps for `apply`; the restore calls it when it ends, however it ends. */
  [Symbol.dispose]?(): void;
}
