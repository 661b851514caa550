import type { Batch, BytesColumn, IntegerColumn } from "../../../model/batch.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import type { RowText } from "../../../protocols/mysql/row-text.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import {
  chunkTable,
  edgeTable,
  nodeMoments,
  nodeTable,
  plainTables,
  sliceRefTable,
  delayedSliceTable,
} from "../sql/canonical-tables.ts";
import type { SqlTime } from "../times.ts";
import { sqlTimeOf } from "../times.ts";

/** Writes the value of one record. */
type PutValue = (text: RowText, row: number) => void;

/** A column of a SQL table, and how it comes from a canonical batch. */
export interface RowField {
  readonly name: string;
  /** Canonical columns that it comes from: where all of them are default, the value is 0 or no bytes. None for the row's number. */
  readonly from: readonly number[];
  /** For a column of bytes. */
  readonly isBytes: boolean;
  /** Prepares one batch. `firstId` is the number of its first row. */
  bind(batch: Batch, firstId: number): PutValue;
}

/** How a canonical table goes into a SQL table. */
export interface RowLayout {
  /** Without the prefix. */
  readonly table: string;
  readonly fields: readonly RowField[];
}

/** Tables whose rows are numbered from 1. */
const numbered = new Set(["edge", "chunk", "xattr", "sustained"]);

const id: RowField = {
  name: "id",
  from: [],
  isBytes: false,
  bind: (_batch, firstId) => (text, row) => text.number(firstId + row),
};

/** The layout of a table whose rows are canonical records; columns that the line's table lacks are left out by the caller. */
function layoutOf({ table, canonicalTable, columns }: CanonicalTable): RowLayout {
  const plain = columns.map(([name, index]) => plainField(canonicalTable, name, index));
  const times = canonicalTable === juicefsTable.node ? nodeMoments.flatMap(momentFields) : [];
  return { table, fields: [...(numbered.has(table) ? [id] : []), ...plain, ...times] };
}

/** By the name of the SQL table. */
export const layouts: ReadonlyMap<string, RowLayout> = new Map(
  [nodeTable, edgeTable, chunkTable, sliceRefTable, delayedSliceTable, ...plainTables].map((table) => [
    table.table,
    layoutOf(table),
  ]),
);

function plainField(canonical: number, name: string, index: number): RowField {
  const { type } = juicefs.tables[canonical].columns[index];
  if (type === "bytes") return { name, from: [index], isBytes: true, bind: (batch) => bytesValue(batch, index) };
  const value = type === "u32" ? smallValue : largeValue;
  return { name, from: [index], isBytes: false, bind: (batch) => value(batch, index) };
}

const putZero: PutValue = (text) => text.number(0);

function smallValue(batch: Batch, index: number): PutValue {
  const column = batch.columns[index] as IntegerColumn | undefined;
  if (column === undefined) return putZero;
  const { values } = column;
  return (text, row) => text.number(values[row]);
}

function largeValue(batch: Batch, index: number): PutValue {
  const column = batch.columns[index] as IntegerColumn | undefined;
  if (column === undefined) return putZero;
  const { values } = column;
  return (text, row) => text.signed64(values[2 * row], values[2 * row + 1]);
}

function bytesValue(batch: Batch, index: number): PutValue {
  const column = batch.columns[index] as BytesColumn | undefined;
  if (column === undefined) return (text) => text.value(noBytes, 0, 0);
  const { offsets, arena } = column;
  return (text, row) => text.value(arena, offsets[row], offsets[row + 1]);
}

const noBytes = new Uint8Array(0);
const noValues = new Uint32Array(0);

/** A time is two columns: microseconds, and nanoseconds modulo 1000. */
function momentFields(name: (typeof nodeMoments)[number]): RowField[] {
  const index = juicefs.tables[juicefsTable.node].columns.findIndex((column) => column.name === name);
  const bindTime = (batch: Batch): ((row: number) => SqlTime) => {
    const seconds = (batch.columns[index] as IntegerColumn | undefined)?.values ?? noValues;
    const nanoseconds = (batch.columns[index + 1] as IntegerColumn | undefined)?.values ?? noValues;
    const moment: SqlTime = { micros: 0, nanos: 0 };
    return (row) => {
      sqlTimeOf(seconds[2 * row] ?? 0, seconds[2 * row + 1] ?? 0, nanoseconds[row] ?? 0, moment);
      return moment;
    };
  };
  return [
    {
      name,
      from: [index, index + 1],
      isBytes: false,
      bind(batch) {
        const time = bindTime(batch);
        return (text, row) => {
          const { micros } = time(row);
          if (typeof micros === "number") text.number(micros);
          else text.big(micros);
        };
      },
    },
    {
      name: `${name}nsec`,
      from: [index + 1],
      isBytes: false,
      bind(batch) {
        const time = bindTime(batch);
        return (text, row) => text.number(time(row).nanos);
      },
    },
  ];
}
