import { juicefsTable, nodeColumn } from "../../../model/juicefs.ts";
import type { ColumnMap } from "../take-columns.ts";

/** A SQL table, the canonical one that it belongs to, and its columns that are canonical ones as they stand. */
export interface CanonicalTable {
  /** Without the prefix. */
  readonly table: string;
  readonly canonicalTable: number;
  readonly columns: ColumnMap;
}

/** Times are missing here: each is two columns in SQL (times.ts), `mtime` and `mtimensec`, … */
export const nodeTable: CanonicalTable = {
  table: "node",
  canonicalTable: juicefsTable.node,
  columns: [
    ["inode", nodeColumn.inode],
    ["type", nodeColumn.type],
    ["flags", nodeColumn.flags],
    ["mode", nodeColumn.mode],
    ["uid", nodeColumn.uid],
    ["gid", nodeColumn.gid],
    ["nlink", nodeColumn.nlink],
    ["length", nodeColumn.length],
    ["rdev", nodeColumn.rdev],
    ["parent", nodeColumn.parent],
    ["access_acl_id", nodeColumn.accessAcl],
    ["default_acl_id", nodeColumn.defaultAcl],
    ["tier_id", nodeColumn.tier],
  ],
};

/** The columns of `node` that hold a time, by the canonical one of the seconds; the nanoseconds are the next. */
export const nodeMoments = ["mtime", "ctime", "atime"] as const;

export const edgeTable: CanonicalTable = {
  table: "edge",
  canonicalTable: juicefsTable.edge,
  columns: [
    ["parent", 0],
    ["name", 1],
    ["inode", 2],
    ["type", 3],
  ],
};

export const chunkTable: CanonicalTable = {
  table: "chunk",
  canonicalTable: juicefsTable.chunk,
  columns: [
    ["inode", 0],
    ["indx", 1],
    ["slices", 2],
  ],
};

/** Every slice has a row; only counts that are not 1 are canonical records. */
export const sliceRefTable: CanonicalTable = {
  table: "chunk_ref",
  canonicalTable: juicefsTable.sliceRef,
  columns: [
    ["chunkid", 0],
    ["size", 1],
    ["refs", 2],
  ],
};

export const delayedSliceTable: CanonicalTable = {
  table: "delslices",
  canonicalTable: juicefsTable.delayedSlice,
  columns: [
    ["chunkid", 0],
    ["deleted", 1],
    ["slices", 2],
  ],
};

/** Quotas have two tables: that of directories has no type. */
export const dirQuotaTable: CanonicalTable = {
  table: "dir_quota",
  canonicalTable: juicefsTable.quota,
  columns: [
    ["inode", 1],
    ["max_space", 2],
    ["max_inodes", 3],
    ["used_space", 4],
    ["used_inodes", 5],
  ],
};

export const ownerQuotaTable: CanonicalTable = {
  table: "user_group_quota",
  canonicalTable: juicefsTable.quota,
  columns: [
    ["qtype", 0],
    ["qkey", 1],
    ["max_space", 2],
    ["max_inodes", 3],
    ["used_space", 4],
    ["used_inodes", 5],
  ],
};

/** The tables that are read and written as they stand, beside those above. */
export const plainTables: readonly CanonicalTable[] = [
  {
    table: "symlink",
    canonicalTable: juicefsTable.symlink,
    columns: [
      ["inode", 0],
      ["target", 1],
    ],
  },
  {
    table: "xattr",
    canonicalTable: juicefsTable.xattr,
    columns: [
      ["inode", 0],
      ["name", 1],
      ["value", 2],
    ],
  },
  {
    table: "acl",
    canonicalTable: juicefsTable.acl,
    columns: [
      ["id", 0],
      ["owner", 1],
      ["group", 2],
      ["mask", 3],
      ["other", 4],
      ["named_users", 5],
      ["named_groups", 6],
    ],
  },
  {
    table: "dir_stats",
    canonicalTable: juicefsTable.dirStat,
    columns: [
      ["inode", 0],
      ["data_length", 1],
      ["used_space", 2],
      ["used_inodes", 3],
    ],
  },
  dirQuotaTable,
  ownerQuotaTable,
  {
    table: "delfile",
    canonicalTable: juicefsTable.deletedFile,
    columns: [
      ["inode", 0],
      ["length", 1],
      ["expire", 2],
    ],
  },
  {
    table: "detached_node",
    canonicalTable: juicefsTable.detachedNode,
    columns: [
      ["inode", 0],
      ["added", 1],
    ],
  },
  {
    table: "sustained",
    canonicalTable: juicefsTable.sustained,
    columns: [
      ["sid", 0],
      ["inode", 1],
    ],
  },
];
