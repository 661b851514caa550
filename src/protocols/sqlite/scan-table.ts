import { CairnError } from "../../model/errors.ts";
import { sinkRowCount } from "../../std/column-sink.ts";
import type { BytesSink, ColumnSink, Integer64Sink } from "../../std/column-sink.ts";
import { corrupt } from "./corrupt.ts";
import type { Database } from "./database.ts";
import { localPayloadBytes, openOverflowReader } from "./overflow.ts";
import { actionOf, planColumns } from "./scan-plan.ts";
import { openTableLeaves } from "./table-leaves.ts";
import type { RowidRange } from "./table-leaves.ts";
import { readVarint } from "./varint.ts";
import type { Varint } from "./varint.ts";

export interface TableScanOptions extends RowidRange {
  /** Where each wanted column goes, by name; other columns are skipped. */
  readonly columns: Readonly<Record<string, ColumnSink>>;
  /** Where the row id goes, for a table whose key is no column. */
  readonly rowid?: Integer64Sink;
  /** Rows of a batch; as many as the sinks hold unless said. */
  readonly rowCountMax?: number;
  /** A batch ends with the row that fills this many bytes over all bytes sinks; 4 MiB unless said. */
  readonly arenaBytesMax?: number;
  /** Size of the read buffer; 1 MiB unless said. */
  readonly bufferBytes?: number;
}

/** A scan of one table in the order of row ids. Holds one read buffer and nothing to close. */
export interface TableScan {
  /** Fills the sinks with the next rows, from element 0; their number, or 0 after the last row. */
  next(): number;
  /** Rows given so far. */
  readonly rowCount: number;
}

/** Bytes of a value by serial type, for types of one varint byte. */
const lengths = Uint8Array.from({ length: 128 }, (_, type) =>
  type >= 12 ? (type - 12) >>> 1 : [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type],
);
/** Values up to this length are copied byte by byte, which is faster than a call. */
const shortCopyBytes = 48;
const smallestInt = -2147483648;

/**
 * Opens a scan that decodes records straight into the caller's arrays, with no object for a row.
 * Errors: `sqlite-no-table`, `sqlite-no-column`, `sqlite-unsupported`, `sqlite-corrupt`, and `sqlite-unexpected-value`, which
 * names table, column and row id, for a value that the sink cannot hold.
 */
export function openTableScan(database: Database, tableName: string, options: TableScanOptions): TableScan {
  const { pages } = database;
  const table = database.table(tableName);
  const plan = planColumns(database.path, table, options.columns);
  const { actions, sinks, count: columnCount, defaults } = plan;
  const rowidSink = options.rowid;
  const leaves = openTableLeaves(pages, { ...options, table: table.name, rootPage: table.rootPage });
  const overflow = openOverflowReader(pages, leaves.countPage, fail);
  const { usableBytes } = pages;
  const localMax = usableBytes - 35;
  const arenaBytesMax = options.arenaBytesMax ?? 4194304;
  const nullCounts = new Float64Array(columnCount);

  // The sinks' arrays as of this batch, by column; empty ones where the column has none of that kind.
  const none32 = new Uint32Array(0);
  const none8 = new Uint8Array(0);
  const values: Uint32Array[] = sinks.map(() => none32);
  const offsets: Uint32Array[] = sinks.map(() => none32);
  const arenas: Uint8Array[] = sinks.map(() => none8);
  const ends = new Uint32Array(columnCount);

  const varint: Varint = { low: 0, high: 0, end: 0 };
  let row = 0;
  let rowMax = 0;
  let arenaBytes = 0;
  let rowCount = 0;
  let cell = 0;
  let endCell = 0;
  let ended = false;
  // The last row id; its low half with the top bit flipped, so that a signed comparison orders it.
  let lastHigh = smallestInt;
  let lastLow = smallestInt;
  let anyRow = false;

  function fail(message: string): CairnError {
    return corrupt(pages.path, `table ${table.name}, page ${leaves.page}: ${message}`, {
      table: table.name,
      page: leaves.page,
    });
  }

  function unexpected(column: number, high: number, low: number, what: string): CairnError {
    const rowid = (BigInt(high) << 32n) | BigInt(low >>> 0);
    const name = plan.names[column];
    return new CairnError(
      "sqlite-unexpected-value",
      `${pages.path}: table ${table.name}, column ${name}, row ${rowid}: ${what}`,
      {
        unharmed: "the database was only read",
        details: { table: table.name, column: name, rowid: String(rowid) },
      },
    );
  }

  /** Makes room for `wanted` more bytes; the arena as it is then. */
  function growArena(column: number, wanted: number): Uint8Array {
    const used = ends[column];
    const size = Math.max(1024, Math.ceil((used + wanted) * 1.5));
    if (size > 0xffffffff) throw fail("a batch's bytes exceed 4 GiB");
    const grown = new Uint8Array(size);
    grown.set(arenas[column].subarray(0, used));
    arenas[column] = grown;
    (sinks[column] as BytesSink).arena = grown;
    return grown;
  }

  function appendBytes(column: number, source: Uint8Array, at: number, length: number): void {
    const used = ends[column];
    let arena = arenas[column];
    if (used + length > arena.length) arena = growArena(column, length);
    if (length <= shortCopyBytes) for (let index = 0; index < length; index++) arena[used + index] = source[at + index];
    else arena.set(source.subarray(at, at + length), used);
    ends[column] = used + length;
    offsets[column][row + 1] = used + length;
    arenaBytes += length;
  }

  function putInteger(column: number, high: number, low: number, rowHigh: number, rowLow: number): void {
    if (plan.narrow[column] === 1) {
      if (high !== 0)
        throw unexpected(
          column,
          rowHigh,
          rowLow,
          `${(BigInt(high) << 32n) | BigInt(low >>> 0)} is no number of 0 to 4294967295`,
        );
      values[column][row] = low;
    } else {
      values[column][2 * row] = low;
      values[column][2 * row + 1] = high;
    }
  }

  /** What the hot loop leaves out: NULL, REAL, missing columns, values of the wrong kind. `type` -1 is a missing column. */
  function putOther(
    column: number,
    type: number,
    source: Uint8Array,
    at: number,
    rowHigh: number,
    rowLow: number,
  ): void {
    if (type === 7) {
      const real = new DataView(source.buffer, source.byteOffset + at, 8).getFloat64(0);
      if (
        !Number.isInteger(real) ||
        real < -9223372036854775808 ||
        real >= 9223372036854775808 ||
        actions[column] === actionOf.bytes
      ) {
        throw unexpected(column, rowHigh, rowLow, `REAL ${real} stands where ${plan.wants(column)} is expected`);
      }
      const exact = BigInt(real);
      putInteger(column, Number(exact >> 32n), Number(exact & 0xffffffffn), rowHigh, rowLow);
      return;
    }
    const missing = type === -1 ? defaults[column] : undefined;
    if (type === -1 && missing === undefined) {
      throw unexpected(column, rowHigh, rowLow, "the record is older than the column, whose default is not known");
    }
    if (type === 0 || missing === null) {
      nullCounts[column]++;
      const sink = sinks[column] as ColumnSink;
      if (sink.type === "bytes") appendBytes(column, none8, 0, 0);
      else if (sink.type === "u32") values[column][row] = sink.nullValue;
      else
        putInteger(
          column,
          Number(BigInt.asIntN(64, sink.nullValue) >> 32n),
          Number(sink.nullValue & 0xffffffffn),
          rowHigh,
          rowLow,
        );
      return;
    }
    if (missing instanceof Uint8Array && actions[column] === actionOf.bytes) {
      appendBytes(column, missing, 0, missing.length);
      return;
    }
    if (typeof missing === "bigint" && actions[column] !== actionOf.bytes) {
      putInteger(column, Number(missing >> 32n), Number(missing & 0xffffffffn), rowHigh, rowLow);
      return;
    }
    if (type === 10 || type === 11) throw fail(`a record has the unknown serial type ${type}`);
    const stored =
      type === -1 ? "a default of another type" : type < 12 ? "INTEGER" : (type & 1) === 1 ? "TEXT" : "BLOB";
    throw unexpected(column, rowHigh, rowLow, `${stored} stands where ${plan.wants(column)} is expected`);
  }

  /**
   * Decodes cells of the current leaf into the sinks until the leaf or the batch ends. One long function by design: each call or
   * object for a value would cost more than the value itself, at 18 million values a second.
   */
  function scanLeaf(): void {
    const { bytes: page, start } = leaves;
    const pageEnd = start + usableBytes;
    const bodyMin = leaves.pointers + 2 * endCell;
    let pointer = leaves.pointers + 2 * cell;

    while (cell < endCell && row < rowMax && arenaBytes < arenaBytesMax) {
      let at = start + ((page[pointer] << 8) | page[pointer + 1]);
      pointer += 2;
      if (at < bodyMin || at >= pageEnd) throw fail(`cell ${cell} is outside the page`);

      let payload = page[at++];
      if (payload >= 0x80) {
        const next = page[at];
        if (next < 0x80) {
          payload = ((payload & 0x7f) << 7) | next;
          at++;
        } else {
          readVarint(page, at - 1, pageEnd, varint);
          if (varint.end > pageEnd || varint.high !== 0 || varint.low < 0)
            throw fail(`cell ${cell} has an impossible size`);
          payload = varint.low;
          at = varint.end;
        }
      }

      let rowLow = 0;
      let rowHigh = 0;
      const first = page[at];
      const second = page[at + 1];
      const third = page[at + 2];
      if (first >= 0x80 && second >= 0x80 && third < 0x80 && at + 3 < pageEnd) {
        rowLow = ((first & 0x7f) << 14) | ((second & 0x7f) << 7) | third;
        at += 3;
      } else {
        readVarint(page, at, pageEnd, varint);
        if (varint.end > pageEnd) throw fail(`cell ${cell} is cut off`);
        rowLow = varint.low;
        rowHigh = varint.high;
        at = varint.end;
      }
      const orderLow = rowLow ^ smallestInt;
      if (anyRow && (rowHigh < lastHigh || (rowHigh === lastHigh && orderLow <= lastLow))) {
        throw fail("its row ids are out of order");
      }
      lastHigh = rowHigh;
      lastLow = orderLow;
      anyRow = true;

      let source = page;
      let end = at + payload;
      if (payload > localMax) {
        const local = localPayloadBytes(payload, usableBytes);
        if (at + local + 4 > pageEnd) throw fail(`cell ${cell} reaches beyond the page`);
        overflow.read(page, at, local, payload);
        source = overflow.bytes;
        at = 0;
        end = payload;
      } else if (end > pageEnd) throw fail(`cell ${cell} reaches beyond the page`);

      let headerEnd = at < end ? source[at] : 0;
      let header = at + 1;
      if (headerEnd >= 0x80) {
        readVarint(source, at, end, varint);
        if (varint.end > end || varint.high !== 0) throw fail("a record's header is cut off");
        header = varint.end;
        headerEnd = varint.low;
      }
      headerEnd += at;
      if (headerEnd > end || headerEnd < header) throw fail("a record's header does not fit its record");

      let body = headerEnd;
      for (let column = 0; column < columnCount; column++) {
        if (header >= headerEnd) {
          if (actions[column] === actionOf.skip) continue;
          if (actions[column] !== actionOf.rowid) {
            putOther(column, -1, source, 0, rowHigh, rowLow);
            continue;
          }
        }
        let type = 0;
        let length = 0;
        if (header < headerEnd) {
          type = source[header++];
          if (type < 0x80) length = lengths[type];
          else {
            const next = header < headerEnd ? source[header] : 0xff;
            if (next < 0x80) {
              type = ((type & 0x7f) << 7) | next;
              header++;
            } else {
              readVarint(source, header - 1, headerEnd, varint);
              if (varint.end > headerEnd || varint.high !== 0 || varint.low < 0)
                throw fail("a record's header is cut off");
              type = varint.low;
              header = varint.end;
            }
            length = type >= 12 ? (type - 12) >>> 1 : lengths[type];
          }
        }
        const value = body;
        body += length;
        if (body > end) throw fail("a value reaches beyond the end of its record");

        switch (actions[column]) {
          case actionOf.skip:
            break;
          case actionOf.i64: {
            const out = values[column];
            let low = 0;
            let high = 0;
            switch (type) {
              case 1:
                low = (source[value] << 24) >> 24;
                high = low >> 31;
                break;
              case 2:
                low = ((source[value] << 24) >> 16) | source[value + 1];
                high = low >> 31;
                break;
              case 3:
                low = ((source[value] << 24) >> 8) | (source[value + 1] << 8) | source[value + 2];
                high = low >> 31;
                break;
              case 4:
                low = (source[value] << 24) | (source[value + 1] << 16) | (source[value + 2] << 8) | source[value + 3];
                high = low >> 31;
                break;
              case 5:
                high = ((source[value] << 24) >> 16) | source[value + 1];
                low =
                  (source[value + 2] << 24) | (source[value + 3] << 16) | (source[value + 4] << 8) | source[value + 5];
                break;
              case 6:
                high = (source[value] << 24) | (source[value + 1] << 16) | (source[value + 2] << 8) | source[value + 3];
                low =
                  (source[value + 4] << 24) | (source[value + 5] << 16) | (source[value + 6] << 8) | source[value + 7];
                break;
              case 8:
                break;
              case 9:
                low = 1;
                break;
              default:
                putOther(column, type, source, value, rowHigh, rowLow);
                continue;
            }
            out[2 * row] = low;
            out[2 * row + 1] = high;
            break;
          }
          case actionOf.u32: {
            let low = 0;
            switch (type) {
              case 1:
                low = (source[value] << 24) >> 24;
                break;
              case 2:
                low = ((source[value] << 24) >> 16) | source[value + 1];
                break;
              case 3:
                low = ((source[value] << 24) >> 8) | (source[value + 1] << 8) | source[value + 2];
                break;
              case 4:
                low = (source[value] << 24) | (source[value + 1] << 16) | (source[value + 2] << 8) | source[value + 3];
                break;
              case 5:
              case 6: {
                const wide = type === 6 ? 2 : 0;
                const high =
                  wide === 0
                    ? ((source[value] << 24) >> 16) | source[value + 1]
                    : (source[value] << 24) | (source[value + 1] << 16) | (source[value + 2] << 8) | source[value + 3];
                low =
                  (source[value + 2 + wide] << 24) |
                  (source[value + 3 + wide] << 16) |
                  (source[value + 4 + wide] << 8) |
                  source[value + 5 + wide];
                putInteger(column, high, low, rowHigh, rowLow);
                continue;
              }
              case 8:
                break;
              case 9:
                low = 1;
                break;
              default:
                putOther(column, type, source, value, rowHigh, rowLow);
                continue;
            }
            if (low < 0) putInteger(column, -1, low, rowHigh, rowLow);
            values[column][row] = low;
            break;
          }
          case actionOf.bytes: {
            if (type < 12) {
              putOther(column, type, source, value, rowHigh, rowLow);
              continue;
            }
            const used = ends[column];
            let arena = arenas[column];
            if (used + length > arena.length) arena = growArena(column, length);
            if (length <= shortCopyBytes)
              for (let index = 0; index < length; index++) arena[used + index] = source[value + index];
            else arena.set(source.subarray(value, body), used);
            ends[column] = used + length;
            offsets[column][row + 1] = used + length;
            arenaBytes += length;
            break;
          }
          default:
            putInteger(column, rowHigh, rowLow, rowHigh, rowLow);
        }
      }
      if (rowidSink !== undefined) {
        rowidSink.values[2 * row] = rowLow;
        rowidSink.values[2 * row + 1] = rowHigh;
      }
      cell++;
      row++;
    }
  }

  function beginBatch(): void {
    row = 0;
    arenaBytes = 0;
    rowMax = options.rowCountMax ?? Number.MAX_SAFE_INTEGER;
    if (rowidSink !== undefined) rowMax = Math.min(rowMax, sinkRowCount(rowidSink));
    sinks.forEach((sink, column) => {
      if (sink === undefined) return;
      rowMax = Math.min(rowMax, sinkRowCount(sink));
      if (sink.type === "bytes") {
        sink.offsets[0] = 0;
        ends[column] = 0;
        offsets[column] = sink.offsets;
        arenas[column] = sink.arena;
      } else values[column] = sink.values;
    });
    if (rowMax === Number.MAX_SAFE_INTEGER) rowMax = 65536;
    if (rowMax <= 0) throw new RangeError(`the sinks for table ${table.name} hold no row`);
  }

  function endBatch(): void {
    sinks.forEach((sink, column) => {
      if (sink === undefined) return;
      sink.nullCount += nullCounts[column];
      nullCounts[column] = 0;
    });
    rowCount += row;
  }

  return {
    next() {
      if (ended) return 0;
      beginBatch();
      while (row < rowMax && arenaBytes < arenaBytesMax) {
        if (cell >= endCell) {
          if (!leaves.next()) {
            ended = true;
            break;
          }
          cell = leaves.firstCell;
          endCell = leaves.endCell;
        }
        scanLeaf();
      }
      endBatch();
      return row;
    },
    get rowCount() {
      return rowCount;
    },
  };
}
