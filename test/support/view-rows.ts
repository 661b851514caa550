import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Batch, Row } from "../../src/model/batch.ts";
import { bytesOf, integersOf, releaseBatch, rowAt } from "../../src/model/batch.ts";
import type { SourceView } from "../../src/model/ports.ts";
import { compareRows, keyText, plainRows } from "./arbitrary-rows.ts";

/** What a view gave: every record by table name, as it came. */
export type ViewRows = Map<string, Row[]>;

/**
 * Takes all batches of a view, checks that each is what the port promises (columns and their sizes, nothing after the last of a table, every key
 * once, sorted tables in order), and frees them, as their last owner does.
 */
export async function takeChecked(view: SourceView): Promise<ViewRows> {
  const tables: ViewRows = new Map(view.kind.tables.map(({ name }) => [name, []]));
  const ended = new Set<number>();
  for await (const batch of view.batches()) {
    const schema = view.kind.tables[batch.table];
    assert.ok(schema !== undefined, `table ${batch.table}`);
    assert.ok(!ended.has(batch.table), `nothing of ${schema.name} follows its last batch`);
    if (batch.last === true) ended.add(batch.table);
    checkColumns(view, batch);
    const rows = tables.get(schema.name) ?? [];
    for (let row = 0; row < batch.count; row += 1) rows.push(rowAt(schema, batch, row));
    releaseBatch(batch);
  }
  for (const schema of view.kind.tables) {
    const rows = tables.get(schema.name) ?? [];
    assert.equal(new Set(rows.map((row) => keyText(schema, row))).size, rows.length, `each key of ${schema.name} once`);
    if (!view.sortedTables.includes(schema.name)) continue;
    const inOrder = rows.every((row, at) => at === 0 || compareRows(schema, rows[at - 1], row) < 0);
    assert.ok(inOrder, `${schema.name} comes in key order, as was said`);
  }
  return tables;
}

function checkColumns(view: SourceView, batch: Batch): void {
  const schema = view.kind.tables[batch.table];
  if (batch.count === 0) {
    assert.equal(batch.last, true, "a batch without records says that it is the last");
    return;
  }
  assert.equal(batch.columns.length, schema.columns.length);
  for (const [index, column] of schema.columns.entries()) {
    const what = `${schema.name}.${column.name}`;
    if (batch.columns[index] === undefined) {
      assert.ok(index >= schema.keyCount, `${what} is of the key`);
    } else if (column.type === "bytes") {
      const { offsets, arena } = bytesOf(batch, index);
      assert.ok(offsets.length > batch.count, what);
      for (let row = 0; row < batch.count; row += 1) assert.ok(offsets[row] <= offsets[row + 1], what);
      assert.ok(offsets[batch.count] <= arena.length, what);
    } else {
      assert.ok(integersOf(batch, index).length >= batch.count * (column.type === "u32" ? 1 : 2), what);
    }
  }
}

/** One digest of all records, whatever their order. */
export function digestOf(tables: ViewRows): string {
  const hash = createHash("sha256");
  for (const [name, rows] of tables) hash.update(`${name}\n${plainRows(rows).toSorted().join("\n")}\n`);
  return hash.digest("hex");
}
