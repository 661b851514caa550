import type { Batch } from "../model/batch.ts";
import { mapOrdered } from "../std/map-ordered.ts";
import type { IndexEntry } from "../format/index-page.ts";
import { encodeKey } from "../format/key.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { compareAligned, compareMerged, DifferenceList, sameKeys } from "./diff-rows.ts";
import type { RowDifferences } from "./diff-rows.ts";
import { PagePairs } from "./diff-pages.ts";

/** Differing records of one table among two pages; valid until the next are asked for. A batch is there wherever a row refers to it. */
export interface PageDifferences extends RowDifferences {
  a: Batch | undefined;
  b: Batch | undefined;
}

const readAhead = 6;

/**
 * The records in which one table of two snapshots differs, in key order. Pages that both hold are neither read nor decoded: equal ids are
 * equal records, at the same place in the order; so only the others are merged.
 */
export async function* diffTable(
  a: Snapshot,
  b: Snapshot,
  table: string,
  signal: AbortSignal,
): AsyncGenerator<PageDifferences> {
  const schema = a.kind.tables.find(({ name }) => name === table);
  const hashOf = ({ manifest }: Snapshot): string | undefined => {
    const found = manifest.tables.find(({ name }) => name === table);
    return found === undefined || found.records === 0 ? undefined : found.hash;
  };
  if (schema === undefined || hashOf(a) === hashOf(b)) return;
  const [idsA, idsB] = await Promise.all([pageIds(a, table), pageIds(b, table)]);
  const pairs = new PagePairs(schema);
  const pagesA = mapOrdered(pagesWithout(a, table, idsB), readAhead, (entry) => pairs.readFirst(a, entry));
  const pagesB = mapOrdered(pagesWithout(b, table, idsA), readAhead, (entry) => pairs.readSecond(b, entry));
  try {
    let [batchA, batchB] = await Promise.all([nextOf(pagesA), nextOf(pagesB)]);
    let rowA = 0;
    let rowB = 0;
    while (batchA !== undefined || batchB !== undefined) {
      signal.throwIfAborted();
      const out = new DifferenceList();
      const [left, right]: (Batch | undefined)[] = [batchA, batchB];
      if (left === undefined || right === undefined) {
        for (; left !== undefined && rowA < left.count; rowA += 1) out.add(rowA, -1, 0);
        for (; right !== undefined && rowB < right.count; rowB += 1) out.add(-1, rowB, 0);
      } else if (rowA === 0 && rowB === 0 && sameKeys(schema, left, right)) {
        compareAligned(schema, left, right, out);
        rowA = left.count;
        rowB = right.count;
      } else ({ rowA, rowB } = compareMerged(schema, left, rowA, right, rowB, out));
      if (out.count > 0) yield Object.assign(out, { a: left, b: right });
      if (left !== undefined && rowA === left.count) {
        pairs.release(left);
        batchA = await nextOf(pagesA);
        rowA = 0;
      }
      if (right !== undefined && rowB === right.count) {
        pairs.release(right);
        batchB = await nextOf(pagesB);
        rowB = 0;
      }
    }
  } finally {
    await Promise.all([pagesA.return(undefined), pagesB.return(undefined)]);
  }
}

async function nextOf(pages: AsyncGenerator<Batch>): Promise<Batch | undefined> {
  const next = await pages.next();
  return next.done === true ? undefined : next.value;
}

async function pageIds(snapshot: Snapshot, table: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const { id } of snapshot.index(table).entries()) ids.add(id);
  return ids;
}

async function* pagesWithout(snapshot: Snapshot, table: string, ids: ReadonlySet<string>): AsyncGenerator<IndexEntry> {
  for await (const entry of snapshot.index(table).entries()) if (!ids.has(entry.id)) yield entry;
}

/** One record in which two snapshots differ: for names and messages. */
export interface RecordDifference {
  table: string;
  key: Uint8Array;
  side: "a" | "b" | "both";
  /** Names of the columns that differ; empty where one side alone has the record. */
  columns: string[];
}

/** All records in which two snapshots of one kind differ, table by table in the kind's order, by key. */
export async function* diffRecords(a: Snapshot, b: Snapshot, signal: AbortSignal): AsyncGenerator<RecordDifference> {
  for (const schema of a.kind.tables) {
    for await (const page of diffTable(a, b, schema.name, signal)) {
      for (let at = 0; at < page.count; at += 1) {
        const rowA = page.rowsA[at];
        const rowB = page.rowsB[at];
        const key = rowA >= 0 ? encodeKey(schema, page.a as Batch, rowA) : encodeKey(schema, page.b as Batch, rowB);
        const columns = schema.columns.filter((_, index) => ((page.columns[at] >>> index) & 1) === 1);
        const side = rowB < 0 ? "a" : rowA < 0 ? "b" : "both";
        yield { table: schema.name, key, side, columns: columns.map(({ name }) => name) };
      }
    }
  }
}
