import type { ColumnSchema, Kind, TableSchema } from "./schema.ts";

type Encoding = ColumnSchema["encoding"];

const u32 = (name: string, encoding: Encoding = "plain"): ColumnSchema => ({ name, type: "u32", encoding });
const u64 = (name: string, encoding: Encoding = "plain"): ColumnSchema => ({ name, type: "u64", encoding });
const i64 = (name: string, encoding: Encoding = "plain"): ColumnSchema => ({ name, type: "i64", encoding });
const bytes = (name: string, encoding: Encoding = "bytes"): ColumnSchema => ({ name, type: "bytes", encoding });

function table(name: string, keyCount: number, columns: readonly ColumnSchema[]): TableSchema {
  return { name, keyCount, columns };
}

/**
 * JuiceFS' metadata in its canonical form (docs/format.md, "Kind juicefs"; JuiceFS `pkg/meta`, v1.0 to v1.4).
 * The order is the order in which tables are hashed and restored; `setting` comes first, but a target writes it last.
 */
export const juicefs: Kind = {
  name: "juicefs",
  schemaVersion: 1,
  tables: [
    table("setting", 1, [bytes("field", "front"), u32("type"), bytes("value")]),
    table("counter", 1, [bytes("name", "front"), i64("value")]),
    table("node", 1, [
      u64("inode", "delta"),
      u32("type"),
      u32("flags"),
      u32("mode"),
      u32("uid"),
      u32("gid"),
      i64("mtime", "delta"),
      u32("mtimensec"),
      i64("ctime", { from: "mtime" }),
      u32("ctimensec", { from: "mtimensec" }),
      i64("atime", { from: "mtime" }),
      u32("atimensec", { from: "mtimensec" }),
      u32("nlink"),
      u64("length"),
      u32("rdev"),
      u64("parent", "delta"),
      u32("access_acl"),
      u32("default_acl"),
      u32("tier"),
    ]),
    table("edge", 2, [u64("parent", "delta"), bytes("name", "front"), u64("inode", "delta"), u32("type")]),
    table("chunk", 2, [u64("inode", "delta"), u32("index"), bytes("slices", "slices")]),
    table("slice_ref", 2, [u64("id", "delta"), u32("size"), i64("refs")]),
    table("symlink", 1, [u64("inode", "delta"), bytes("target")]),
    table("xattr", 2, [u64("inode", "delta"), bytes("name", "front"), bytes("value")]),
    table("acl", 1, [
      u32("id", "delta"),
      u32("owner"),
      u32("group"),
      u32("mask"),
      u32("other"),
      bytes("users"),
      bytes("groups"),
    ]),
    table("dir_stat", 1, [u64("inode", "delta"), i64("length"), i64("space"), i64("inodes")]),
    table("quota", 2, [
      u32("type"),
      u64("key", "delta"),
      i64("max_space"),
      i64("max_inodes"),
      i64("used_space"),
      i64("used_inodes"),
    ]),
    table("deleted_file", 2, [u64("inode", "delta"), u64("length"), i64("expire")]),
    table("delayed_slice", 2, [u64("id", "delta"), i64("deleted"), bytes("slices")]),
    table("detached_node", 1, [u64("inode", "delta"), i64("added")]),
    table("sustained", 2, [u64("sid", "delta"), u64("inode", "delta")]),
  ],
};

/** Positions of the tables in `juicefs.tables`, for code that handles each by name. */
export const juicefsTable = {
  setting: 0,
  counter: 1,
  node: 2,
  edge: 3,
  chunk: 4,
  sliceRef: 5,
  symlink: 6,
  xattr: 7,
  acl: 8,
  dirStat: 9,
  quota: 10,
  deletedFile: 11,
  delayedSlice: 12,
  detachedNode: 13,
  sustained: 14,
} as const;

/** Positions of the columns of `node`. */
export const nodeColumn = {
  inode: 0,
  type: 1,
  flags: 2,
  mode: 3,
  uid: 4,
  gid: 5,
  mtime: 6,
  mtimensec: 7,
  ctime: 8,
  ctimensec: 9,
  atime: 10,
  atimensec: 11,
  nlink: 12,
  length: 13,
  rdev: 14,
  parent: 15,
  accessAcl: 16,
  defaultAcl: 17,
  tier: 18,
} as const;

/** JuiceFS' file types (`pkg/meta/interface.go`). */
export const fileType = {
  regular: 1,
  directory: 2,
  symlink: 3,
  fifo: 4,
  blockDevice: 5,
  charDevice: 6,
  socket: 7,
} as const;

/** The inode under which deleted files are kept; its sub-directories are this plus 1, 2, … */
export const trashInode = 0x7fffffff10000000n;

/** How a setting field's value is written in the `setting` table (docs/format.md, "setting"). */
export const settingType = { string: 0, integer: 1, boolean: 2, json: 3 } as const;
