import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { batchFromRows } from "../model/batch.ts";
import type { Row } from "../model/batch.ts";
import type { ColumnSchema, ColumnType, TableSchema } from "../model/schema.ts";
import { counts } from "../../test/counts.ts";
import { arbitraryValue, compareRows } from "../../test/support/arbitrary-rows.ts";
import { compareKeys, encodeKey } from "../format/key.ts";
import { sortOrder } from "./sort-order.ts";

function keyOf(...types: ColumnType[]): TableSchema {
  const columns = types.map((type, at): ColumnSchema => ({
    name: `key${at}`,
    type,
    encoding: type === "bytes" ? "front" : "delta",
  }));
  return { name: types.join(" "), keyCount: types.length, columns };
}

const shapes = [
  keyOf("bytes"),
  keyOf("u64", "bytes"),
  keyOf("u32", "u64"),
  keyOf("i64", "u32", "bytes"),
  keyOf("u64", "i64"),
  keyOf("i64"),
];

function order(schema: TableSchema, rows: readonly Row[]): number[] {
  const batch = batchFromRows(schema, 0, rows);
  return [...(sortOrder(schema, batch) ?? rows.keys())];
}

for (const schema of shapes) {
  test(`records with the key (${schema.name}) are sorted as a plain stable sort does`, () => {
    const row = fc.tuple(...schema.columns.map(arbitraryValue)) as fc.Arbitrary<Row>;
    fc.assert(
      fc.property(fc.array(row, { maxLength: 120, size: "max" }), (rows) => {
        const expected = [...rows.keys()].toSorted((a, b) => compareRows(schema, rows[a], rows[b]) || a - b);
        assert.deepEqual(order(schema, rows), expected);
      }),
      { numRuns: counts.propertyRuns },
    );
  });

  test(`encoded keys (${schema.name}) stand in the order of their records`, () => {
    const row = fc.tuple(...schema.columns.map(arbitraryValue)) as fc.Arbitrary<Row>;
    fc.assert(
      fc.property(row, row, (a, b) => {
        const batch = batchFromRows(schema, 0, [a, b]);
        const expected = Math.sign(compareRows(schema, a, b));
        assert.equal(Math.sign(compareKeys(schema, batch, 0, batch, 1)), expected);
        assert.equal(Buffer.compare(encodeKey(schema, batch, 0), encodeKey(schema, batch, 1)), expected);
      }),
      { numRuns: counts.propertyRuns },
    );
  });
}

test("many names that agree in more than eight bytes are sorted", () => {
  const schema = keyOf("u64", "bytes");
  const rows: Row[] = Array.from({ length: 3000 }, (_, at): Row => {
    const number = (at * 7919) % 3000;
    const text = `a-common-prefix-of-many-bytes-${String(number).padStart(9, "0")}${number % 3 === 0 ? "\0".repeat(number % 7) : ""}`;
    return [1n, new Uint8Array(Buffer.from(text))];
  });
  const expected = [...rows.keys()].toSorted((a, b) => compareRows(schema, rows[a], rows[b]) || a - b);
  assert.deepEqual(order(schema, rows), expected);
});
