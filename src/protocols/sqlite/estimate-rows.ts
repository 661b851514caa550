import { corrupt } from "./corrupt.ts";
import type { Database } from "./database.ts";
import { openPageReader } from "./page-source.ts";
import { pageNumber } from "./table-leaves.ts";

/** Children of each interior page that are looked into. */
const sampleMax = 8;
const depthMax = 20;

/**
 * Estimates a table's rows from a few hundred pages at most: exact for a table of one page, within some per cent where rows are
 * of similar size. Errors as for `openTableScan`.
 */
export function estimateRows(database: Database, tableName: string): number {
  const { pages } = database;
  const table = database.table(tableName);
  const reader = openPageReader(pages, pages.pageSize);

  function rowsBelow(page: number, depth: number): number {
    const { bytes } = reader;
    const start = reader.load(page) + (page === 1 ? 100 : 0);
    const count = (bytes[start + 3] << 8) | bytes[start + 4];
    if (bytes[start] === 13) return count;
    if (bytes[start] !== 5 || depth >= depthMax || 12 + 2 * count > pages.usableBytes) {
      throw corrupt(pages.path, `table ${table.name}, page ${page}: this is no page of a table`, {
        table: table.name,
        page,
      });
    }
    const sample: number[] = [];
    const sampleCount = Math.min(sampleMax, count + 1);
    for (let index = 0; index < sampleCount; index++) {
      const child = Math.floor((index * (count + 1)) / sampleCount);
      if (child === count) sample.push(pageNumber(bytes, start + 8));
      else {
        const pointer = (bytes[start + 12 + 2 * child] << 8) | bytes[start + 13 + 2 * child];
        if (pointer + 4 > pages.usableBytes) {
          throw corrupt(pages.path, `table ${table.name}, page ${page}: cell ${child} is outside the page`, {
            table: table.name,
            page,
          });
        }
        sample.push(pageNumber(bytes, start - (page === 1 ? 100 : 0) + pointer));
      }
    }
    let sum = 0;
    for (const child of sample) sum += rowsBelow(child, depth + 1);
    return (sum / sampleCount) * (count + 1);
  }

  return Math.round(rowsBelow(table.rootPage, 0));
}
