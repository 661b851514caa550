import { CairnError } from "../../model/errors.ts";
import type { ColumnSink } from "../../std/column-sink.ts";
import { sameName } from "./create-table.ts";
import type { Table } from "./database.ts";

/** What a scan does with a column of a record. */
export const actionOf = { skip: 0, u32: 1, i64: 2, bytes: 3, rowid: 4 } as const;

/** Columns of a table's records up to the last wanted one, with what to do with each. */
export interface ScanPlan {
  readonly count: number;
  readonly names: readonly string[];
  readonly actions: Uint8Array;
  /** 1 where the sink takes 32 bits. */
  readonly narrow: Uint8Array;
  /** By column; `undefined` where it is skipped. */
  readonly sinks: readonly (ColumnSink | undefined)[];
  /** What a record without the column holds instead; `undefined` when that is not known. Strings are UTF-8 bytes. */
  readonly defaults: readonly (null | bigint | Uint8Array | undefined)[];
  /** What a column's sink takes, for messages. */
  wants(column: number): string;
}

/** Matches wanted columns with a table's. Errors: `sqlite-no-column`. */
export function planColumns(path: string, table: Table, wanted: Readonly<Record<string, ColumnSink>>): ScanPlan {
  const stored = table.columns.filter((column) => column.generated !== "virtual");
  const sinks: (ColumnSink | undefined)[] = stored.map(() => undefined);
  for (const [name, sink] of Object.entries(wanted)) {
    const index = stored.findIndex((column) => sameName(column.name, name));
    if (index < 0) {
      throw new CairnError("sqlite-no-column", `${path}: table ${table.name} has no stored column ${name}`, {
        unharmed: "the database was only read",
        details: { table: table.name, column: name },
      });
    }
    sinks[index] = sink;
  }
  const count = sinks.findLastIndex((sink) => sink !== undefined) + 1;
  const rowidColumn = table.rowidColumn < 0 ? undefined : table.columns[table.rowidColumn];
  const actions = new Uint8Array(count);
  const narrow = new Uint8Array(count);
  for (let column = 0; column < count; column++) {
    const sink = sinks[column];
    if (sink === undefined) continue;
    actions[column] = actionOf[sink.type];
    if (sink.type === "u32") narrow[column] = 1;
    if (stored[column] !== rowidColumn) continue;
    if (sink.type === "bytes") throw new TypeError(`column ${stored[column].name} is a row id, not bytes`);
    actions[column] = actionOf.rowid;
  }
  return {
    count,
    names: stored.map((column) => column.name),
    actions,
    narrow,
    sinks: sinks.slice(0, count),
    defaults: stored.slice(0, count).map((column) => {
      if (column.default.kind === "expression") return undefined;
      const { value } = column.default;
      if (typeof value === "string") return new Uint8Array(Buffer.from(value, "utf8"));
      if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
      return value;
    }),
    wants(column) {
      const type = sinks[column]?.type;
      if (type === "bytes") return "TEXT or BLOB";
      return type === "u32" ? "an integer of 0 to 4294967295" : "an integer";
    },
  };
}
