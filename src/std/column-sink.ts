/**
 * Where a reader puts one column. The arrays belong to the caller, who may put others in their place between two batches (to
 * hand the filled ones to another thread); the reader takes what it finds there. NULL counts are totals over all batches.
 */
export type ColumnSink = Unsigned32Sink | Integer64Sink | BytesSink;

/** Integers of 0 … 2^32 - 1, one element a row. Others are an error. */
export interface Unsigned32Sink {
  readonly type: "u32";
  values: Uint32Array;
  readonly nullValue: number;
  nullCount: number;
}

/** Signed 64-bit integers in two's complement, two elements a row, the low half first. */
export interface Integer64Sink {
  readonly type: "i64";
  values: Uint32Array;
  readonly nullValue: bigint;
  nullCount: number;
}

/** TEXT (its UTF-8 bytes) and BLOB; row `r` is `arena[offsets[r] … offsets[r + 1])`. NULL is taken for no bytes, and counted. */
export interface BytesSink {
  readonly type: "bytes";
  /** One more than rows. */
  offsets: Uint32Array;
  /** Replaced by a larger one when a value does not fit. */
  arena: Uint8Array;
  nullCount: number;
}

/** A sink for `rowCountMax` rows of 0 … 2^32 - 1. */
export function unsigned32Sink(rowCountMax: number, nullValue = 0): Unsigned32Sink {
  return { type: "u32", values: new Uint32Array(rowCountMax), nullValue, nullCount: 0 };
}

/** A sink for `rowCountMax` rows of 64-bit integers. */
export function integer64Sink(rowCountMax: number, nullValue = 0n): Integer64Sink {
  return { type: "i64", values: new Uint32Array(2 * rowCountMax), nullValue, nullCount: 0 };
}

/** A sink for `rowCountMax` rows of bytes, beginning with `arenaBytes` for them. */
export function bytesSink(rowCountMax: number, arenaBytes: number): BytesSink {
  return { type: "bytes", offsets: new Uint32Array(rowCountMax + 1), arena: new Uint8Array(arenaBytes), nullCount: 0 };
}

/** Rows that fit a sink's arrays. */
export function sinkRowCount(sink: ColumnSink): number {
  if (sink.type === "bytes") return sink.offsets.length - 1;
  return sink.type === "u32" ? sink.values.length : sink.values.length >>> 1;
}
