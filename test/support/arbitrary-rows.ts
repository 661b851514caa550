import fc from "fast-check";
import type { Row, Value } from "../../src/model/batch.ts";
import type { ColumnSchema, TableSchema } from "../../src/model/schema.ts";
import { sliceRecord } from "./volume-rows.ts";

const u32 = fc.oneof(
  { weight: 3, arbitrary: fc.nat(5) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 255, 256, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xffffffff) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);
const u64 = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt(0n, 5n) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      0xffffffffn,
      1n << 32n,
      (1n << 53n) - 1n,
      1n << 53n,
      0x7fffffff10000000n,
      1n << 63n,
      (1n << 64n) - 1n,
    ),
  },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
);
const i64 = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt(-3n, 3n) },
  { weight: 1, arbitrary: fc.constantFrom(-(1n << 63n), (1n << 63n) - 1n, -(1n << 32n), -(1n << 31n), 1n << 31n) },
  { weight: 1, arbitrary: fc.bigInt(-(1n << 63n), (1n << 63n) - 1n) },
);
const hex = fc
  .array(fc.constantFrom(...Array.from("0123456789abcdef")), { maxLength: 40, size: "max" })
  .map((digits) => digits.join(""));
/** Names that share prefixes longer than the eight bytes a sorter compares at once, end in NUL bytes, are prefixes of each other, or hold hashes. */
const name = fc.oneof(
  fc
    .tuple(fc.constantFrom("", "blob-", "0f"), hex, fc.constantFrom("", ".A", "g0123456789abcdef0"))
    .map((parts) => new Uint8Array(Buffer.from(parts.join("")))),
  fc.uint8Array({ maxLength: 4, max: 1 }),
  fc.uint8Array({ maxLength: 20 }),
  fc
    .tuple(
      fc.constantFrom("", "a", "directory-0000", "a-long-shared-prefix-of-names-"),
      fc.uint8Array({ maxLength: 3, max: 2 }),
    )
    .map(([prefix, rest]) => new Uint8Array(Buffer.concat([Buffer.from(prefix), rest]))),
);
const slices = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(fc.tuple(u32, u64, u32, u32, u32), { maxLength: 4 })
      .map((records) => new Uint8Array(Buffer.concat(records.map((record) => sliceRecord(...record))))),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
);

/** Any value that a column may hold. */
export function arbitraryValue(column: ColumnSchema): fc.Arbitrary<Value> {
  if (column.encoding === "slices") return slices;
  if (column.type === "bytes") return name;
  if (column.type === "u32") return u32;
  return column.type === "u64" ? u64 : i64;
}

/** What a column holds when a source leaves it out. */
export function defaultValue(column: ColumnSchema): Value {
  if (column.type === "bytes") return new Uint8Array(0);
  return column.type === "u32" ? 0 : 0n;
}

/** Rows of a table with unique keys in no order; in some sets, some columns hold nothing but their default. */
export function arbitraryRows(schema: TableSchema, maxLength = 60): fc.Arbitrary<Row[]> {
  const row = fc.tuple(...schema.columns.map(arbitraryValue)) as fc.Arbitrary<Row>;
  const rows = fc.uniqueArray(row, { minLength: 1, maxLength, size: "max", selector: (each) => keyText(schema, each) });
  const blank = fc.tuple(
    ...schema.columns.map((_, index) => (index < schema.keyCount ? fc.constant(false) : fc.boolean())),
  );
  return fc
    .tuple(rows, blank)
    .map(([all, isBlank]) =>
      all.map((each) => each.map((value, index) => (isBlank[index] ? defaultValue(schema.columns[index]) : value))),
    );
}

/** A row's key as a string: equal keys, equal strings. */
export function keyText(schema: TableSchema, row: Row): string {
  return row
    .slice(0, schema.keyCount)
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value)))
    .join("/");
}

/** The order of two rows by key, in the plainest way there is. */
export function compareRows(schema: TableSchema, a: Row, b: Row): number {
  for (let index = 0; index < schema.keyCount; index += 1) {
    const left = a[index];
    const right = b[index];
    if (left instanceof Uint8Array) {
      const order = Buffer.compare(left, right as Uint8Array);
      if (order !== 0) return order;
    } else if (left !== right) return left < (right as number | bigint) ? -1 : 1;
  }
  return 0;
}

/** Rows as something `assert.deepEqual` compares fast and prints readably. */
export function plainRows(rows: readonly Row[]): string[] {
  return rows.map((row) =>
    row
      .map((value) => (value instanceof Uint8Array ? `0x${Buffer.from(value).toString("hex")}` : String(value)))
      .join(" "),
  );
}
