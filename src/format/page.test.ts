import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { batchFromRows, rowAt } from "../model/batch.ts";
import type { Batch, Row } from "../model/batch.ts";
import { juicefs } from "../model/juicefs.ts";
import { tableNamed } from "../model/schema.ts";
import type { TableSchema } from "../model/schema.ts";
import { counts } from "../../test/counts.ts";
import { arbitraryRows, compareRows, plainRows } from "../../test/support/arbitrary-rows.ts";
import { sliceRecord } from "../../test/support/volume-rows.ts";
import { indexSchema } from "./index-page.ts";
import { decodePage, encodePage } from "./page.ts";
import { pathSchema } from "./path-index.ts";

/** A kind of its own for the encodings that `juicefs` has no column for. */
const otherSchema: TableSchema = {
  name: "other",
  keyCount: 2,
  columns: [
    { name: "when", type: "i64", encoding: "delta" },
    { name: "name", type: "bytes", encoding: "front" },
    { name: "flags", type: "u32", encoding: "delta" },
    { name: "near", type: "u32", encoding: { from: "flags" } },
    { name: "size", type: "u64", encoding: "plain" },
    { name: "used", type: "u64", encoding: { from: "size" } },
  ],
};

/** The bytes of a page of all records of a batch, or of some. */
function rawPage(schema: TableSchema, batch: Batch, from = 0, to = batch.count): Uint8Array {
  return encodePage(schema, batch, from, to).raw;
}

function rowsOf(schema: TableSchema, batch: Batch): Row[] {
  return Array.from({ length: batch.count }, (_, row) => rowAt(schema, batch, row));
}

for (const schema of [...juicefs.tables, pathSchema, otherSchema]) {
  test(`a page of ${schema.name} decodes to its records, and they encode to the same page`, () => {
    fc.assert(
      fc.property(arbitraryRows(schema), fc.nat(3), (unsorted, extra) => {
        const rows = unsorted.toSorted((a, b) => compareRows(schema, a, b));
        // A page is often a part of a longer batch.
        const around = Array.from({ length: extra }, () => rows[0]);
        const batch = batchFromRows(schema, 3, [...around, ...rows, ...around]);
        const page = rawPage(schema, batch, extra, extra + rows.length);
        const decoded = decodePage(schema, 3, page);
        assert.deepEqual(plainRows(rowsOf(schema, decoded.batch)), plainRows(rows));
        assert.deepEqual(rawPage(schema, decoded.batch, 0, rows.length), page);
        assert.deepEqual(rawPage(schema, batchFromRows(schema, 0, rows), 0, rows.length), page);
      }),
      { numRuns: counts.propertyRuns },
    );
  });
}

test("a page without a column is the page with that column's defaults", () => {
  const schema = tableNamed(juicefs, "node");
  const rows = [1n, 2n, 3n].map((inode) => [
    inode,
    ...schema.columns.slice(1).map((column) => (column.type === "u32" ? 0 : 0n)),
  ]);
  const whole = batchFromRows(schema, 0, rows);
  const sparse = { ...whole, columns: whole.columns.map((column, index) => (index === 0 ? column : undefined)) };
  assert.deepEqual(rawPage(schema, sparse, 0, 3), rawPage(schema, whole, 0, 3));
});

test("a chunk of 10,000 slices goes through a page", () => {
  const schema = tableNamed(juicefs, "chunk");
  const slices = Buffer.concat(
    Array.from({ length: 10_000 }, (_, at) => sliceRecord(at * 37, BigInt(at) * 0x1_0000_0001n, at + 5, at % 3, at)),
  );
  const rows: Row[] = [
    [5n, 0, new Uint8Array(slices)],
    [5n, 1, new Uint8Array(0)],
  ];
  const page = rawPage(schema, batchFromRows(schema, 0, rows), 0, 2);
  assert.deepEqual(plainRows(rowsOf(schema, decodePage(schema, 0, page).batch)), plainRows(rows));
});

test("a damaged page is refused and never read otherwise", () => {
  const schema = tableNamed(juicefs, "edge");
  const rows: Row[] = Array.from({ length: 50 }, (_, at) => [
    1n,
    new Uint8Array(Buffer.from(`name-${100 + at}`)),
    BigInt(at + 2),
    1,
  ]);
  const page = rawPage(schema, batchFromRows(schema, 0, rows), 0, rows.length);
  for (let length = 0; length < page.length; length += 1) {
    assert.throws(() => decodePage(schema, 0, page.subarray(0, length)), { code: "page-damaged" });
  }
  assert.throws(() => decodePage(schema, 0, Buffer.concat([page, Buffer.of(0)])), { code: "page-damaged" });
  assert.throws(() => decodePage(indexSchema, 0, page), { code: "page-damaged", message: /another table/ });
});

test("a page of another identity version or with an unknown column is refused by name", () => {
  const known: TableSchema = {
    name: "node",
    keyCount: 1,
    columns: [{ name: "inode", type: "u64", encoding: "delta" }],
  };
  const newer: TableSchema = {
    ...known,
    columns: [...known.columns, { name: "colour", type: "u32", encoding: "plain" }],
  };
  const page = rawPage(newer, batchFromRows(newer, 0, [[1n, 7]]), 0, 1);
  assert.throws(() => decodePage(known, 0, page), { code: "page-damaged", message: /column "colour".*newer/ });
  const other = page.slice();
  other[0] = 2;
  assert.throws(() => decodePage(newer, 0, other), {
    code: "page-damaged",
    message: /identity version 2.*reads version 1/,
  });
});
