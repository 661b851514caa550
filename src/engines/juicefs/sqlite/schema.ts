import type { JuicefsLine } from "../lines.ts";
import { lineReaches } from "../lines.ts";

export interface SqlColumn {
  readonly name: string;
  /** As JuiceFS' object mapper declares it in SQLite. */
  readonly declaration: string;
  /** The first release with the column: `1.1` stands before every line that we create. An older schema reads as 0 or no bytes. */
  readonly since?: "1.1" | "1.2" | "1.4";
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
  readonly since?: "1.1" | "1.2" | "1.4";
  /** Known from old volumes, created by no line that we write. */
  readonly legacy?: true;
  /** Not metadata of files (sessions, locks, logs, tokens): counted, and left out. */
  readonly omitted?: true;
}

const serial = "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL";
const key = "INTEGER PRIMARY KEY NOT NULL";
const integer = "INTEGER NOT NULL";
const blob = "BLOB NOT NULL";

type Declared = readonly [name: string, declaration: string, since?: "1.1" | "1.2" | "1.4"];

function table(name: string, columns: readonly Declared[], more: Partial<SqlTable> = {}): SqlTable {
  const declared = columns.map(([column, declaration, since]): SqlColumn =>
    since === undefined ? { name: column, declaration } : { name: column, declaration, since },
  );
  return { name, columns: declared, indexes: [], ...more };
}

const unique = (group: string, ...columns: string[]): SqlIndex => ({ name: group, unique: true, columns });
const index = (column: string): SqlIndex => ({ name: column, unique: false, columns: [column] });

/**
 * Every table that JuiceFS has had since v1.0, in the order in which v1.4 creates them (`pkg/meta/sql.go`). test/engines/sqlite-schema.test.ts
 * compares this with what the real clients create.
 */
export const sqlTables: readonly SqlTable[] = [
  table("setting", [
    ["name", "TEXT PRIMARY KEY NOT NULL"],
    ["value", "TEXT NOT NULL"],
  ]),
  table("counter", [
    ["name", "TEXT PRIMARY KEY NOT NULL"],
    ["value", integer],
  ]),
  table(
    "edge",
    [
      ["id", serial],
      ["parent", integer],
      ["name", blob],
      ["inode", integer],
      ["type", integer],
    ],
    { indexes: [unique("edge", "parent", "name"), index("inode")] },
  ),
  table("node", [
    ["inode", key],
    ["type", integer],
    ["flags", integer],
    ["mode", integer],
    ["uid", integer],
    ["gid", integer],
    ["atime", integer],
    ["mtime", integer],
    ["ctime", integer],
    ["atimensec", "INTEGER DEFAULT 0 NOT NULL", "1.1"],
    ["mtimensec", "INTEGER DEFAULT 0 NOT NULL", "1.1"],
    ["ctimensec", "INTEGER DEFAULT 0 NOT NULL", "1.1"],
    ["nlink", integer],
    ["length", integer],
    ["rdev", "INTEGER NULL"],
    ["parent", "INTEGER NULL"],
    ["access_acl_id", "INTEGER NULL", "1.2"],
    ["default_acl_id", "INTEGER NULL", "1.2"],
    ["tier_id", "INTEGER NULL", "1.4"],
  ]),
  table("symlink", [
    ["inode", key],
    ["target", blob],
  ]),
  table(
    "xattr",
    [
      ["id", serial],
      ["inode", integer],
      ["name", "TEXT NOT NULL"],
      ["value", blob],
    ],
    { indexes: [unique("name", "inode", "name")] },
  ),
  table(
    "chunk",
    [
      ["id", serial],
      ["inode", integer],
      ["indx", integer],
      ["slices", blob],
    ],
    { indexes: [unique("chunk", "inode", "indx")] },
  ),
  table(
    "chunk_ref",
    [
      ["chunkid", key],
      ["size", integer],
      ["refs", integer],
    ],
    { indexes: [index("refs")] },
  ),
  table("delslices", [
    ["chunkid", key],
    ["deleted", integer],
    ["slices", blob],
  ]),
  table(
    "session2",
    [
      ["sid", key],
      ["expire", integer],
      ["info", "BLOB NULL"],
    ],
    { omitted: true },
  ),
  table(
    "sustained",
    [
      ["id", serial],
      ["sid", integer],
      ["inode", integer],
    ],
    { indexes: [unique("sustained", "sid", "inode")] },
  ),
  table("delfile", [
    ["inode", key],
    ["length", integer],
    ["expire", integer],
  ]),
  table(
    "flock",
    [
      ["id", serial],
      ["inode", integer],
      ["sid", integer],
      ["owner", integer],
      ["ltype", integer],
    ],
    { indexes: [unique("flock", "inode", "sid", "owner")], omitted: true },
  ),
  table(
    "plock",
    [
      ["id", serial],
      ["inode", integer],
      ["sid", integer],
      ["owner", integer],
      ["records", blob],
    ],
    { indexes: [unique("plock", "inode", "sid", "owner")], omitted: true },
  ),
  table(
    "dir_quota",
    [
      ["inode", key],
      ["max_space", integer],
      ["max_inodes", integer],
      ["used_space", integer],
      ["used_inodes", integer],
    ],
    { since: "1.1" },
  ),
  table(
    "user_group_quota",
    [
      ["qtype", integer],
      ["qkey", integer],
      ["max_space", integer],
      ["max_inodes", integer],
      ["used_space", integer],
      ["used_inodes", integer],
    ],
    { primaryKey: ["qtype", "qkey"], since: "1.4" },
  ),
  table(
    "dir_stats",
    [
      ["inode", key],
      ["data_length", integer],
      ["used_space", integer],
      ["used_inodes", integer],
    ],
    { since: "1.1" },
  ),
  table(
    "detached_node",
    [
      ["inode", key],
      ["added", integer],
    ],
    { since: "1.1" },
  ),
  table(
    "acl",
    [
      ["id", serial],
      ["owner", "INTEGER NULL"],
      ["group", "INTEGER NULL"],
      ["mask", "INTEGER NULL"],
      ["other", "INTEGER NULL"],
      ["named_users", "BLOB NULL"],
      ["named_groups", "BLOB NULL"],
    ],
    { since: "1.2" },
  ),
  table(
    "delegation_token",
    [
      ["id", serial],
      ["token", "BLOB NULL"],
    ],
    { since: "1.4", omitted: true },
  ),
  table(
    "change_log",
    [
      ["id", serial],
      ["entry", "TEXT NOT NULL"],
    ],
    { since: "1.4", omitted: true },
  ),
  table(
    "session",
    [
      ["sid", key],
      ["heartbeat", integer],
      ["info", "BLOB NULL"],
    ],
    { legacy: true, omitted: true },
  ),
];

/** The tables that clients of a line create, with the columns that they give them. */
export function tablesOfLine(line: JuicefsLine): SqlTable[] {
  return sqlTables
    .filter((candidate) => candidate.legacy !== true && isIn(candidate.since, line))
    .map((candidate) => ({ ...candidate, columns: candidate.columns.filter((column) => isIn(column.since, line)) }));
}

function isIn(since: SqlColumn["since"], line: JuicefsLine): boolean {
  return since === undefined || since === "1.1" || lineReaches(line, since);
}

/** The statement that creates a table, letter for letter as the real client's. */
export function createTableSql(prefix: string, candidate: SqlTable): string {
  const parts = candidate.columns.map((column) => `\`${column.name}\` ${column.declaration}`);
  if (candidate.primaryKey !== undefined)
    parts.push(`PRIMARY KEY ( ${candidate.primaryKey.map((name) => `\`${name}\``).join(",")} )`);
  return `CREATE TABLE \`${prefix}${candidate.name}\` (${parts.join(", ")})`;
}

/** The statements that create a table's indexes, by their names in the schema. */
export function createIndexSql(prefix: string, candidate: SqlTable): string[] {
  return candidate.indexes.map((entry) => {
    const name = `${entry.unique ? "UQE" : "IDX"}_${prefix}${candidate.name}_${entry.name}`;
    const columns = entry.columns.map((column) => `\`${column}\``).join(",");
    return `CREATE ${entry.unique ? "UNIQUE " : ""}INDEX \`${name}\` ON \`${prefix}${candidate.name}\` (${columns})`;
  });
}
