import type { JuicefsLine } from "../lines.ts";
import { lineReaches } from "../lines.ts";

/** What JuiceFS' object mapper is told of a column (the Go type); each dialect has its own word for it. */
export type SqlType =
  | "u8"
  | "u16"
  | "u32"
  | "i16"
  | "i32"
  | "i64"
  | "u64"
  | "varbinary(255)"
  | "varbinary(4096)"
  | "blob"
  | "string"
  | "varchar(4096)"
  | "text";

/** A release that brought a table or column. `1.1` stands before every line that we create. */
export type Since = "1.1" | "1.2" | "1.4";

export interface SqlColumn {
  readonly name: string;
  readonly type: SqlType;
  /** The primary key; `serial` is numbered by the database. */
  readonly key?: "primary" | "serial";
  readonly isNullable?: true;
  /** NOT NULL DEFAULT 0. */
  readonly hasDefault?: true;
  /** The first release with the column. An older schema reads as 0 or no bytes. */
  readonly since?: Since;
  /** What clients before 1.4 declare instead. */
  readonly typeBefore14?: SqlType;
}

export interface SqlIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly columns: readonly string[];
}

export interface SqlTable {
  /** Without the prefix. */
  readonly name: string;
  readonly columns: readonly SqlColumn[];
  /** A key of several columns, declared after them. */
  readonly primaryKey?: readonly string[];
  readonly indexes: readonly SqlIndex[];
  readonly since?: Since;
  /** Known from old volumes, created by no line that we write. */
  readonly legacy?: true;
  /** Not metadata of files (sessions, locks, logs, tokens): counted, and left out. */
  readonly omitted?: true;
}

function column(name: string, type: SqlType, more: Partial<SqlColumn> = {}): SqlColumn {
  return { name, type, ...more };
}

function table(name: string, columns: readonly SqlColumn[], more: Partial<SqlTable> = {}): SqlTable {
  return { name, columns, indexes: [], ...more };
}

const serial = column("id", "i64", { key: "serial" });
const inodeKey = column("inode", "u64", { key: "primary" });
const nanoseconds = { hasDefault: true, since: "1.1" } as const;
const unique = (group: string, ...columns: string[]): SqlIndex => ({ name: group, unique: true, columns });
const index = (name: string): SqlIndex => ({ name, unique: false, columns: [name] });

/** Every table that JuiceFS has had since v1.0, in the order in which v1.4 creates them (`pkg/meta/sql.go`). */
export const sqlTables: readonly SqlTable[] = [
  table("setting", [
    column("name", "string", { key: "primary" }),
    column("value", "text", { typeBefore14: "varchar(4096)" }),
  ]),
  table("counter", [column("name", "string", { key: "primary" }), column("value", "i64")]),
  table(
    "edge",
    [serial, column("parent", "u64"), column("name", "varbinary(255)"), column("inode", "u64"), column("type", "u8")],
    { indexes: [unique("edge", "parent", "name"), index("inode")] },
  ),
  table("node", [
    inodeKey,
    column("type", "u8"),
    column("flags", "u8"),
    column("mode", "u16"),
    column("uid", "u32"),
    column("gid", "u32"),
    column("atime", "i64"),
    column("mtime", "i64"),
    column("ctime", "i64"),
    column("atimensec", "i16", nanoseconds),
    column("mtimensec", "i16", nanoseconds),
    column("ctimensec", "i16", nanoseconds),
    column("nlink", "u32"),
    column("length", "u64"),
    column("rdev", "u32", { isNullable: true }),
    column("parent", "u64", { isNullable: true }),
    column("access_acl_id", "u32", { isNullable: true, since: "1.2" }),
    column("default_acl_id", "u32", { isNullable: true, since: "1.2" }),
    column("tier_id", "u8", { isNullable: true, since: "1.4" }),
  ]),
  table("symlink", [inodeKey, column("target", "varbinary(4096)")]),
  table("xattr", [serial, column("inode", "u64"), column("name", "string"), column("value", "blob")], {
    indexes: [unique("name", "inode", "name")],
  }),
  table("chunk", [serial, column("inode", "u64"), column("indx", "u32"), column("slices", "blob")], {
    indexes: [unique("chunk", "inode", "indx")],
  }),
  table("chunk_ref", [column("chunkid", "u64", { key: "primary" }), column("size", "u32"), column("refs", "i32")], {
    indexes: [index("refs")],
  }),
  table("delslices", [
    column("chunkid", "u64", { key: "primary" }),
    column("deleted", "i64"),
    column("slices", "blob"),
  ]),
  table(
    "session2",
    [column("sid", "u64", { key: "primary" }), column("expire", "i64"), column("info", "blob", { isNullable: true })],
    { omitted: true },
  ),
  table("sustained", [serial, column("sid", "u64"), column("inode", "u64")], {
    indexes: [unique("sustained", "sid", "inode")],
  }),
  table("delfile", [inodeKey, column("length", "u64"), column("expire", "i64")]),
  table(
    "flock",
    [serial, column("inode", "u64"), column("sid", "u64"), column("owner", "i64"), column("ltype", "u8")],
    { indexes: [unique("flock", "inode", "sid", "owner")], omitted: true },
  ),
  table(
    "plock",
    [serial, column("inode", "u64"), column("sid", "u64"), column("owner", "i64"), column("records", "blob")],
    { indexes: [unique("plock", "inode", "sid", "owner")], omitted: true },
  ),
  table(
    "dir_quota",
    [
      inodeKey,
      column("max_space", "i64"),
      column("max_inodes", "i64"),
      column("used_space", "i64"),
      column("used_inodes", "i64"),
    ],
    { since: "1.1" },
  ),
  table(
    "user_group_quota",
    [
      column("qtype", "u32"),
      column("qkey", "u64"),
      column("max_space", "i64"),
      column("max_inodes", "i64"),
      column("used_space", "i64"),
      column("used_inodes", "i64"),
    ],
    { primaryKey: ["qtype", "qkey"], since: "1.4" },
  ),
  table(
    "dir_stats",
    [inodeKey, column("data_length", "i64"), column("used_space", "i64"), column("used_inodes", "i64")],
    { since: "1.1" },
  ),
  table("detached_node", [inodeKey, column("added", "i64")], { since: "1.1" }),
  table(
    "acl",
    [
      column("id", "u32", { key: "serial" }),
      column("owner", "u16", { isNullable: true }),
      column("group", "u16", { isNullable: true }),
      column("mask", "u16", { isNullable: true }),
      column("other", "u16", { isNullable: true }),
      column("named_users", "blob", { isNullable: true }),
      column("named_groups", "blob", { isNullable: true }),
    ],
    { since: "1.2" },
  ),
  table("delegation_token", [column("id", "u32", { key: "serial" }), column("token", "blob", { isNullable: true })], {
    since: "1.4",
    omitted: true,
  }),
  table("change_log", [serial, column("entry", "text")], { since: "1.4", omitted: true }),
  table(
    "session",
    [
      column("sid", "u64", { key: "primary" }),
      column("heartbeat", "i64"),
      column("info", "blob", { isNullable: true }),
    ],
    { legacy: true, omitted: true },
  ),
];

/** The tables that clients of a line create, with the columns that they give them. */
export function tablesOfLine(line: JuicefsLine): SqlTable[] {
  const isNew = lineReaches(line, "1.4");
  return sqlTables
    .filter((candidate) => candidate.legacy !== true && isIn(candidate.since, line))
    .map((candidate) => ({
      ...candidate,
      columns: candidate.columns
        .filter((one) => isIn(one.since, line))
        .map((one) => (isNew || one.typeBefore14 === undefined ? one : { ...one, type: one.typeBefore14 })),
    }));
}

function isIn(since: Since | undefined, line: JuicefsLine): boolean {
  return since === undefined || since === "1.1" || lineReaches(line, since);
}
