import { rowAt } from "../model/batch.ts";
import type { Batch, Value } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";
import { describeKey } from "../format/describe-key.ts";
import { compareKeys, encodeKey } from "../format/key.ts";
import { decodePage } from "../format/page.ts";
import type { RawPage } from "../format/pager.ts";
import { readTable } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";

const namesMax = 10;

/** Names the records in which pages read from an engine differ from a snapshot, a few at most: `node inode=5: mode 420 instead of 384`. */
export async function nameDifferences(snapshot: Snapshot, pages: readonly RawPage[]): Promise<string[]> {
  const names: string[] = [];
  for (const page of pages) {
    const schema = snapshot.kind.tables[page.table];
    const { batch } = decodePage(schema, page.table, page.raw);
    await comparePage(snapshot, schema, batch, page.firstKey, names);
    if (names.length >= namesMax) break;
  }
  return names.slice(0, namesMax);
}

async function comparePage(
  snapshot: Snapshot,
  schema: TableSchema,
  found: Batch,
  firstKey: Uint8Array,
  names: string[],
): Promise<void> {
  let row = 0;
  const missing = (batch: Batch, at: number): unknown =>
    names.push(`${schema.name} ${describeKey(schema, encodeKey(schema, batch, at))}: missing`);
  const unexpected = (at: number): unknown =>
    names.push(`${schema.name} ${describeKey(schema, encodeKey(schema, found, at))}: not in the snapshot`);
  for await (const stored of readTable(snapshot, schema.name, firstKey)) {
    let at = 0;
    while (at < stored.count && row < found.count && names.length < namesMax) {
      const order = compareKeys(schema, stored, at, found, row);
      if (order < 0) {
        if (Buffer.compare(encodeKey(schema, stored, at), firstKey) >= 0) missing(stored, at);
        at += 1;
      } else if (order > 0) {
        unexpected(row);
        row += 1;
      } else {
        const difference = describeChange(schema, stored, at, found, row);
        if (difference !== "")
          names.push(`${schema.name} ${describeKey(schema, encodeKey(schema, found, row))}: ${difference}`);
        at += 1;
        row += 1;
      }
    }
    if (row === found.count || names.length >= namesMax) return;
  }
  for (; row < found.count && names.length < namesMax; row += 1) unexpected(row);
}

function describeChange(schema: TableSchema, stored: Batch, storedRow: number, found: Batch, foundRow: number): string {
  const before = rowAt(schema, stored, storedRow);
  const after = rowAt(schema, found, foundRow);
  return schema.columns
    .map(({ name }, index) =>
      same(before[index], after[index]) ? "" : `${name} ${show(after[index])} instead of ${show(before[index])}`,
    )
    .filter((text) => text !== "")
    .join(", ");
}

function same(a: Value, b: Value): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
}

function show(value: Value): string {
  if (!(value instanceof Uint8Array)) return String(value);
  const hex = Buffer.from(value.subarray(0, 48)).toString("hex");
  return `0x${hex}${value.length > 48 ? `… (${value.length} bytes)` : ""}`;
}
