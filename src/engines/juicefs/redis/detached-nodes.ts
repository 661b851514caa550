import type { Batch } from "../../../model/batch.ts";
import { integersOf, unsignedAt } from "../../../model/batch.ts";
import { juicefsTable } from "../../../model/juicefs.ts";

/** Far more trees than are ever cloned or removed at a time. */
const inodesMax = 100_000;

/** The roots of trees that hang nowhere, from the batches that stream by. */
export function collectDetached(): { see(batch: Batch): void; has(this: void, inode: bigint): boolean } {
  const inodes = new Set<bigint>();
  return {
    see(batch) {
      if (batch.table !== juicefsTable.detachedNode) return;
      const values = integersOf(batch, 0);
      for (let row = 0; row < batch.count && inodes.size < inodesMax; row++) inodes.add(unsignedAt(values, row));
    },
    has: (inode) => inodes.has(inode),
  };
}
