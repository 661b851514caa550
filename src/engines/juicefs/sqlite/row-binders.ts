import type { Batch, BytesColumn, IntegerColumn } from "../../../model/batch.ts";
import { signedAt } from "../../../model/batch.ts";
import { juicefsTable, nodeColumn } from "../../../model/juicefs.ts";
import type { SqlTime } from "../times.ts";
import { sqlTimeOf } from "../times.ts";
import type { SqlInput } from "./sync-database.ts";

/** Writes the values of one record, in the order of `columns`, into `values` from position `at`. */
type PutRow = (values: SqlInput[], at: number, row: number) => void;

/** How a canonical table goes into a table of SQLite. */
export interface TableBinder {
  /** Without the prefix. */
  readonly table: string;
  /** Columns that are bound. A `text` column is bound as bytes and cast: its bytes need not be UTF-8. */
  readonly columns: readonly string[];
  readonly text: readonly string[];
  /**
   * Prepares one batch. `firstId` is the next number of a table that has an `id`; `columnCount` is less than all where the line's table lacks
   * the last ones.
   */
  bind(batch: Batch, firstId: number, columnCount: number): PutRow;
}

const noBytes = new Uint8Array(0);

/** A column of 32-bit numbers, all 0 when absent. */
function small(batch: Batch, index: number): (row: number) => number {
  const column = batch.columns[index] as IntegerColumn | undefined;
  if (column === undefined) return () => 0;
  const { values } = column;
  return (row) => values[row];
}

/** A column of 64-bit numbers: a number where it is exact, else a bigint. */
function large(batch: Batch, index: number): (row: number) => number | bigint {
  const column = batch.columns[index] as IntegerColumn | undefined;
  if (column === undefined) return () => 0;
  const { values } = column;
  return (row) => {
    const high = values[2 * row + 1];
    return high < 0x200000 ? high * 4294967296 + values[2 * row] : signedAt(values, row);
  };
}

function bytes(batch: Batch, index: number): (row: number) => Uint8Array {
  const column = batch.columns[index] as BytesColumn | undefined;
  if (column === undefined) return () => noBytes;
  const { offsets, arena } = column;
  return (row) => arena.subarray(offsets[row], offsets[row + 1]);
}

type Reader = (batch: Batch, index: number) => (row: number) => SqlInput;

/** A table whose columns are the canonical ones under other names, in some order; with `id`, numbered from 1. */
function plain(
  table: string,
  columns: readonly (readonly [name: string, index: number, read: Reader])[],
  options: { numbered?: boolean; text?: readonly string[] } = {},
): TableBinder {
  const names = columns.map(([name]) => name);
  const numbered = options.numbered === true;
  return {
    table,
    columns: numbered ? ["id", ...names] : names,
    text: options.text ?? [],
    bind(batch, firstId) {
      const readers = columns.map(([, index, read]) => read(batch, index));
      return (values, at, row) => {
        let place = at;
        if (numbered) values[place++] = firstId + row;
        for (const read of readers) values[place++] = read(row);
      };
    },
  };
}

/** Nearly all records of a volume are nodes, edges and chunks: those have a closure of their own each. */
const node: TableBinder = {
  table: "node",
  columns: [
    "inode",
    "type",
    "flags",
    "mode",
    "uid",
    "gid",
    "nlink",
    "length",
    "rdev",
    "parent",
    "access_acl_id",
    "default_acl_id",
    "atime",
    "atimensec",
    "mtime",
    "mtimensec",
    "ctime",
    "ctimensec",
    "tier_id",
  ],
  text: [],
  bind(batch, _firstId, columnCount) {
    const hasTier = columnCount === 19;
    const inode = large(batch, nodeColumn.inode);
    const type = small(batch, nodeColumn.type);
    const flags = small(batch, nodeColumn.flags);
    const mode = small(batch, nodeColumn.mode);
    const uid = small(batch, nodeColumn.uid);
    const gid = small(batch, nodeColumn.gid);
    const nlink = small(batch, nodeColumn.nlink);
    const length = large(batch, nodeColumn.length);
    const rdev = small(batch, nodeColumn.rdev);
    const parent = large(batch, nodeColumn.parent);
    const accessAcl = small(batch, nodeColumn.accessAcl);
    const defaultAcl = small(batch, nodeColumn.defaultAcl);
    const tier = small(batch, nodeColumn.tier);
    const atime = time(batch, nodeColumn.atime);
    const mtime = time(batch, nodeColumn.mtime);
    const ctime = time(batch, nodeColumn.ctime);
    const moment: SqlTime = { micros: 0, nanos: 0 };
    return (values, at, row) => {
      values[at] = inode(row);
      values[at + 1] = type(row);
      values[at + 2] = flags(row);
      values[at + 3] = mode(row);
      values[at + 4] = uid(row);
      values[at + 5] = gid(row);
      values[at + 6] = nlink(row);
      values[at + 7] = length(row);
      values[at + 8] = rdev(row);
      values[at + 9] = parent(row);
      values[at + 10] = accessAcl(row);
      values[at + 11] = defaultAcl(row);
      atime(row, moment);
      values[at + 12] = moment.micros;
      values[at + 13] = moment.nanos;
      mtime(row, moment);
      values[at + 14] = moment.micros;
      values[at + 15] = moment.nanos;
      ctime(row, moment);
      values[at + 16] = moment.micros;
      values[at + 17] = moment.nanos;
      if (hasTier) values[at + 18] = tier(row);
    };
  },
};

const noValues = new Uint32Array(0);

/** Seconds at `index` and nanoseconds at the next column. */
function time(batch: Batch, index: number): (row: number, into: SqlTime) => void {
  const seconds = (batch.columns[index] as IntegerColumn | undefined)?.values ?? noValues;
  const nanoseconds = (batch.columns[index + 1] as IntegerColumn | undefined)?.values ?? noValues;
  return (row, into) => sqlTimeOf(seconds[2 * row] ?? 0, seconds[2 * row + 1] ?? 0, nanoseconds[row] ?? 0, into);
}

const edge: TableBinder = {
  table: "edge",
  columns: ["id", "parent", "name", "inode", "type"],
  text: [],
  bind(batch, firstId) {
    const parent = large(batch, 0);
    const name = bytes(batch, 1);
    const inode = large(batch, 2);
    const type = small(batch, 3);
    return (values, at, row) => {
      values[at] = firstId + row;
      values[at + 1] = parent(row);
      values[at + 2] = name(row);
      values[at + 3] = inode(row);
      values[at + 4] = type(row);
    };
  },
};

const chunk: TableBinder = {
  table: "chunk",
  columns: ["id", "inode", "indx", "slices"],
  text: [],
  bind(batch, firstId) {
    const inode = large(batch, 0);
    const index = small(batch, 1);
    const slices = bytes(batch, 2);
    return (values, at, row) => {
      values[at] = firstId + row;
      values[at + 1] = inode(row);
      values[at + 2] = index(row);
      values[at + 3] = slices(row);
    };
  },
};

/** Quota usage has two tables: that of directories has no type. */
export const dirQuotaBinder = plain("dir_quota", [
  ["inode", 1, large],
  ["max_space", 2, large],
  ["max_inodes", 3, large],
  ["used_space", 4, large],
  ["used_inodes", 5, large],
]);

export const ownerQuotaBinder = plain("user_group_quota", [
  ["qtype", 0, small],
  ["qkey", 1, large],
  ["max_space", 2, large],
  ["max_inodes", 3, large],
  ["used_space", 4, large],
  ["used_inodes", 5, large],
]);

/** By canonical table. `setting` is held back, `counter` is written at the end, `quota` is split. */
export const tableBinders: Readonly<Record<number, TableBinder>> = {
  [juicefsTable.node]: node,
  [juicefsTable.edge]: edge,
  [juicefsTable.chunk]: chunk,
  [juicefsTable.sliceRef]: plain("chunk_ref", [
    ["chunkid", 0, large],
    ["size", 1, small],
    ["refs", 2, large],
  ]),
  [juicefsTable.symlink]: plain("symlink", [
    ["inode", 0, large],
    ["target", 1, bytes],
  ]),
  [juicefsTable.xattr]: plain(
    "xattr",
    [
      ["inode", 0, large],
      ["name", 1, bytes],
      ["value", 2, bytes],
    ],
    { numbered: true, text: ["name"] },
  ),
  [juicefsTable.acl]: plain("acl", [
    ["id", 0, small],
    ["owner", 1, small],
    ["group", 2, small],
    ["mask", 3, small],
    ["other", 4, small],
    ["named_users", 5, bytes],
    ["named_groups", 6, bytes],
  ]),
  [juicefsTable.dirStat]: plain("dir_stats", [
    ["inode", 0, large],
    ["data_length", 1, large],
    ["used_space", 2, large],
    ["used_inodes", 3, large],
  ]),
  [juicefsTable.deletedFile]: plain("delfile", [
    ["inode", 0, large],
    ["length", 1, large],
    ["expire", 2, large],
  ]),
  [juicefsTable.delayedSlice]: plain("delslices", [
    ["chunkid", 0, large],
    ["deleted", 1, large],
    ["slices", 2, bytes],
  ]),
  [juicefsTable.detachedNode]: plain("detached_node", [
    ["inode", 0, large],
    ["added", 1, large],
  ]),
  [juicefsTable.sustained]: plain(
    "sustained",
    [
      ["sid", 0, large],
      ["inode", 1, large],
    ],
    { numbered: true },
  ),
};
