import { CairnError } from "../../model/errors.ts";
import { corrupt } from "./corrupt.ts";
import { localPayloadBytes, openOverflowReader } from "./overflow.ts";
import type { PageSource } from "./page-source.ts";
import { decodeRecord } from "./record.ts";
import type { SqlValue } from "./record.ts";
import { openTableLeaves } from "./table-leaves.ts";
import type { RowidRange } from "./table-leaves.ts";
import { readVarint, varintToBigint } from "./varint.ts";
import type { Varint } from "./varint.ts";

export interface StoredRow {
  readonly rowid: bigint;
  /** The record as stored: the row-id column is null in it, and columns that were added later may be missing at its end. */
  readonly values: SqlValue[];
}

export interface ReadRowsOptions extends RowidRange {
  /** For messages. */
  readonly table: string;
  readonly rootPage: number;
  /** More rows than this are an error, `sqlite-too-many-rows`: for small tables, whose size somebody promised. */
  readonly rowCountMax: number;
}

/** Reads a small table whole, as plain values; large ones are for `openTableScan`. */
export function readRows(pages: PageSource, options: ReadRowsOptions): StoredRow[] {
  const { table, rowCountMax } = options;
  const leaves = openTableLeaves(pages, { ...options, bufferBytes: 65536 });
  const fail = (message: string): Error =>
    corrupt(pages.path, `table ${table}, page ${leaves.page}: ${message}`, { table, page: leaves.page });
  const overflow = openOverflowReader(pages, leaves.countPage, fail);
  const varint: Varint = { low: 0, high: 0, end: 0 };
  const rows: StoredRow[] = [];
  let previous = -(2n ** 63n) - 1n;
  while (leaves.next()) {
    const { bytes, start } = leaves;
    const pageEnd = start + pages.usableBytes;
    for (let cell = leaves.firstCell; cell < leaves.endCell; cell++) {
      if (rows.length === rowCountMax) {
        throw new CairnError(
          "sqlite-too-many-rows",
          `${pages.path}: table ${table} has more than ${rowCountMax} rows`,
          {
            unharmed: "the database was only read",
          },
        );
      }
      const pointer = leaves.pointers + 2 * cell;
      const at = start + ((bytes[pointer] << 8) | bytes[pointer + 1]);
      readVarint(bytes, at, pageEnd, varint);
      const payloadBytes = varint.low;
      if (varint.end > pageEnd || varint.high !== 0 || payloadBytes < 0)
        throw fail(`cell ${cell} has an impossible size`);
      readVarint(bytes, varint.end, pageEnd, varint);
      if (varint.end > pageEnd) throw fail(`cell ${cell} is cut off`);
      const rowid = varintToBigint(varint);
      if (rowid <= previous) throw fail("its row ids are out of order");
      previous = rowid;
      const local = localPayloadBytes(payloadBytes, pages.usableBytes);
      const inline = local === payloadBytes;
      if (varint.end + local + (inline ? 0 : 4) > pageEnd) throw fail(`cell ${cell} reaches beyond the page`);
      if (!inline) overflow.read(bytes, varint.end, local, payloadBytes);
      const values = inline
        ? decodeRecord(bytes, varint.end, varint.end + payloadBytes)
        : decodeRecord(overflow.bytes, 0, payloadBytes);
      if (typeof values === "string") throw fail(`${values} (row ${rowid})`);
      rows.push({ rowid, values });
    }
  }
  return rows;
}
