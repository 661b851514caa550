import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { batchFromRows } from "../model/batch.ts";
import type { Row } from "../model/batch.ts";
import { juicefs } from "../model/juicefs.ts";
import { tableNamed } from "../model/schema.ts";
import type { TableSchema } from "../model/schema.ts";
import { counts } from "../../test/counts.ts";
import {
  arbitraryRows,
  arbitraryValue,
  compareRows,
  defaultValue,
  keyText,
} from "../../test/support/arbitrary-rows.ts";
import { indexSchema } from "./index-page.ts";
import { decodePage, encodePage } from "./page.ts";
import { applyPatchScript, encodePatchScript } from "./patch.ts";
import { pathSchema } from "./path-index.ts";

/** What may happen to one record of the old page. */
type Edit = { kind: "keep" | "delete" } | { kind: "set"; column: number; value: Row[number] };

function arbitraryEdit(schema: TableSchema): fc.Arbitrary<Edit> {
  const columns = schema.columns.slice(schema.keyCount);
  const sets = columns.map((column, at) =>
    fc
      .oneof(fc.constant(defaultValue(column)), arbitraryValue(column))
      .map((value): Edit => ({ kind: "set", column: schema.keyCount + at, value })),
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant<Edit>({ kind: "keep" }) },
    { weight: 1, arbitrary: fc.constant<Edit>({ kind: "delete" }) },
    ...sets.map((arbitrary) => ({ weight: 1, arbitrary })),
  );
}

/** Two pages of a table: the second is the first with records deleted, changed and inserted, some columns becoming all default. */
function arbitraryPair(schema: TableSchema): fc.Arbitrary<[Row[], Row[]]> {
  return fc
    .tuple(
      arbitraryRows(schema, 40),
      fc.array(arbitraryEdit(schema), { minLength: 40, maxLength: 40 }),
      fc.oneof(fc.constant<Row[]>([]), arbitraryRows(schema, 20)),
      fc.option(fc.integer({ min: schema.keyCount, max: Math.max(schema.keyCount, schema.columns.length - 1) })),
    )
    .map(([before, edits, added, cleared]) => {
      const byKey = new Map(added.map((row) => [keyText(schema, row), row]));
      before.forEach((row, at) => {
        const edit = edits[at];
        if (edit.kind === "delete") return;
        byKey.set(keyText(schema, row), edit.kind === "set" ? row.with(edit.column, edit.value) : row);
      });
      const after = [...byKey.values()].map((row) =>
        cleared !== null && cleared < schema.columns.length
          ? row.with(cleared, defaultValue(schema.columns[cleared]))
          : row,
      );
      const sorted = (rows: readonly Row[]): Row[] => rows.toSorted((a, b) => compareRows(schema, a, b));
      return [sorted(before), sorted(after.length === 0 ? before : after)];
    });
}

for (const schema of [...juicefs.tables, pathSchema, indexSchema]) {
  test(`a patch of ${schema.name} makes the new page of the old one`, () => {
    fc.assert(
      fc.property(arbitraryPair(schema), ([before, after]) => {
        // Bases come from pages, where columns of defaults are absent.
        const base = decodePage(
          schema,
          0,
          encodePage(schema, batchFromRows(schema, 0, before), 0, before.length).raw,
        ).batch;
        const page = encodePage(schema, batchFromRows(schema, 0, after), 0, after.length).raw;
        const target = decodePage(schema, 0, page).batch;
        const made = applyPatchScript(schema, base, encodePatchScript(schema, base, target));
        assert.deepEqual(encodePage(schema, made, 0, made.count).raw, page);
      }),
      { numRuns: counts.propertyRuns },
    );
  });
}

test("a script for another base is refused", () => {
  const schema = tableNamed(juicefs, "counter");
  const one = batchFromRows(schema, 0, [[Uint8Array.of(1), 5n]]);
  const two = batchFromRows(schema, 0, [
    [Uint8Array.of(1), 5n],
    [Uint8Array.of(2), 6n],
  ]);
  const script = encodePatchScript(schema, one, two);
  assert.throws(() => applyPatchScript(schema, two, script), {
    code: "page-damaged",
    message: /another number of records/,
  });
});

test("a script of another version is refused by name", () => {
  const schema = tableNamed(juicefs, "counter");
  const one = batchFromRows(schema, 0, [[Uint8Array.of(1), 5n]]);
  const script = encodePatchScript(schema, one, one);
  script[0] = 2;
  assert.throws(() => applyPatchScript(schema, one, script), {
    code: "page-damaged",
    message: /version is 2.*reads version 1/,
  });
});
