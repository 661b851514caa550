import type { Database } from "./database.ts";
import { openPageReader } from "./page-source.ts";
import { pageNumber } from "./table-leaves.ts";

const interiorTable = 5;
const leafTable = 13;
const depthMax = 20;
/** Paths from the root to a leaf that are looked at. */
const paths = 5;

/**
 * About how many rows a table has: the product of the fan-outs along a few paths through its b-tree, a handful of page reads whatever its
 * size. (`max(rowid)` says nothing where row ids are sparse.) Never throws: damage gives 0.
 */
export function estimateRows(database: Database, tableName: string): number {
  const { pages } = database;
  const reader = openPageReader(pages, pages.pageSize);
  const { bytes } = reader;
  const root = database.table(tableName).rootPage;

  function followPath(share: number): number {
    let page = root;
    let product = 1;
    for (let depth = 0; depth < depthMax; depth++) {
      const start = reader.load(page);
      const at = start + (page === 1 ? 100 : 0);
      const cells = (bytes[at + 3] << 8) | bytes[at + 4];
      if (bytes[at] === leafTable) return product * cells;
      if (bytes[at] !== interiorTable) return 0;
      product *= cells + 1;
      const child = Math.floor(share * (cells + 1));
      const pointer = start + ((bytes[at + 12 + 2 * child] << 8) | bytes[at + 13 + 2 * child]);
      const from = child >= cells ? at + 8 : pointer;
      page = pageNumber(bytes, from);
    }
    return 0;
  }

  try {
    let sum = 0;
    for (let path = 0; path < paths; path++) sum += followPath((path + 0.5) / paths);
    return Math.round(sum / paths);
  } catch {
    return 0;
  }
}
