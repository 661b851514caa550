/**
 * How one column is held in a batch.
 *
 * - `u32`: `Uint32Array`, one element a record. Also for what engines call u8 and u16.
 * - `u64`, `i64`: `Uint32Array` with two elements a record, the low half first; `i64` is two's complement.
 * - `bytes`: an arena `Uint8Array` and `Uint32Array` offsets, one more than records.
 */
export type ColumnType = "u32" | "u64" | "i64" | "bytes";

/**
 * How a page writes a column (docs/format.md, "Columns"). It is part of the schema, and so of the identity version, because a
 * page's bytes must follow from its records alone.
 *
 * - `plain`: each value as it is.
 * - `delta`: the difference from the record before.
 * - `{ from }`: the difference from another column of the same record, which must stand earlier in the schema.
 * - `front`: bytes that share a prefix with the record before (sorted names).
 * - `bytes`: bytes as they are.
 * - `slices`: runs of JuiceFS' 24-byte slice records, split into their fields.
 */
export type ColumnEncoding = "plain" | "delta" | { readonly from: string } | "front" | "bytes" | "slices";

export interface ColumnSchema {
  readonly name: string;
  readonly type: ColumnType;
  readonly encoding: ColumnEncoding;
}

export interface TableSchema {
  readonly name: string;
  /** The first `keyCount` columns are the key; records are sorted by them, unsigned and bytewise, and keys are unique. */
  readonly keyCount: number;
  readonly columns: readonly ColumnSchema[];
}

/** A data model: its tables in the fixed order in which they are hashed, restored and listed. */
export interface Kind {
  readonly name: string;
  /** Raised when tables or columns are added; stands in the manifest, not in the root. */
  readonly schemaVersion: number;
  readonly tables: readonly TableSchema[];
}

/** The table of that name; the caller knows that it exists. */
export function tableNamed(kind: Kind, name: string): TableSchema {
  const table = kind.tables.find((candidate) => candidate.name === name);
  if (table === undefined) throw new RangeError(`kind ${kind.name} has no table ${name}`);
  return table;
}

/** The position of a column in its table; the caller knows that it exists. */
export function columnIndex(table: TableSchema, name: string): number {
  const index = table.columns.findIndex((column) => column.name === name);
  if (index < 0) throw new RangeError(`table ${table.name} has no column ${name}`);
  return index;
}
