import { juicefs } from "../../../model/juicefs.ts";
import { chunkTable, delayedSliceTable, edgeTable, nodeTable, plainTables } from "./canonical-tables.ts";

/** SQL tables and the canonical ones that their rows are counted under. Reference counts of 1 are no records. */
export const estimatedTables: readonly (readonly [table: string, canonical: string])[] = [
  nodeTable,
  edgeTable,
  chunkTable,
  ...plainTables,
  delayedSliceTable,
].map(({ table, canonicalTable }) => [table, juicefs.tables[canonicalTable].name]);
