/** Single wrong values in the database of a restored volume, each with the record that a proof or a diff must name. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { bytesToText } from "../../src/std/byte-text.ts";

type SqlRow = Record<string, SQLOutputValue>;

export interface Flip {
  readonly name: string;
  /** Chooses a row; what it gives goes into `change` as named parameters and into `record`. */
  readonly pick: string;
  readonly change: string;
  /** The record in the words of the proof. */
  readonly record: (row: SqlRow) => string;
  /** What the proof says of it. */
  readonly says: string | ((row: SqlRow) => string);
}

/** One row in the middle, of those in a fixed order. */
const middle = (select: string, from: string): string =>
  `SELECT ${select} FROM ${from} ORDER BY 1 LIMIT 1 OFFSET (SELECT count(*) / 2 FROM ${from})`;

const nodeRecord = ({ inode }: SqlRow): string => `node inode=${String(inode)}`;
const edgeRecord = ({ parent, edge_name: name }: SqlRow): string =>
  `edge parent=${String(parent)} name=${bytesToText(name as Uint8Array)}`;
const file = "jfs_node WHERE type = 1 AND length > 0";
const edge = "jfs_edge WHERE type = 1";
const edgeColumns = "parent, CAST(name AS BLOB) AS edge_name, inode";
const ofEdge = "parent = :parent AND CAST(name AS BLOB) = :edge_name";

export const flips: readonly Flip[] = [
  {
    name: "a mode",
    pick: middle("inode, mode", file),
    change: "UPDATE jfs_node SET mode = :mode + 1 WHERE inode = :inode",
    record: nodeRecord,
    says: ({ mode }) => `mode ${Number(mode) + 1} instead of ${String(mode)}`,
  },
  {
    name: "a length",
    pick: middle("inode, length", file),
    change: "UPDATE jfs_node SET length = :length - 1 WHERE inode = :inode",
    record: nodeRecord,
    says: ({ length }) => `length ${Number(length) - 1} instead of ${String(length)}`,
  },
  {
    name: "nanoseconds of a time",
    pick: middle("inode, mtimensec", file),
    change: "UPDATE jfs_node SET mtimensec = (:mtimensec + 1) % 1000 WHERE inode = :inode",
    record: nodeRecord,
    says: "mtimensec ",
  },
  {
    name: "where a name leads",
    pick: middle(edgeColumns, edge),
    change: `UPDATE jfs_edge SET inode = :inode + 1 WHERE ${ofEdge}`,
    record: edgeRecord,
    says: ({ inode }) => `inode ${Number(inode) + 1} instead of ${String(inode)}`,
  },
  {
    name: "the last letter of a name",
    pick: middle(edgeColumns, edge),
    change: `UPDATE jfs_edge SET name = CAST(substr(name, 1, length(name) - 1) || '~' AS BLOB) WHERE ${ofEdge}`,
    record: edgeRecord,
    says: "missing",
  },
  {
    name: "a slice of a file",
    pick: middle("inode, indx", "jfs_chunk WHERE length(slices) = 24"),
    change: `UPDATE jfs_chunk SET slices = CAST(substr(CAST(slices AS BLOB), 1, 23) || x'01' AS BLOB) WHERE inode = :inode AND indx = :indx`,
    record: ({ inode, indx }) => `chunk inode=${String(inode)} index=${String(indx)}`,
    says: "slices 0x",
  },
  {
    name: "a reference count",
    pick: middle("chunkid, size, refs", "jfs_chunk_ref WHERE chunkid > 0"),
    change: "UPDATE jfs_chunk_ref SET refs = :refs + 5 WHERE chunkid = :chunkid",
    record: ({ chunkid, size }) => `slice_ref id=${String(chunkid)} size=${String(size)}`,
    says: "",
  },
  {
    name: "a counter",
    pick: "SELECT value FROM jfs_counter WHERE name = 'nextInode'",
    change: "UPDATE jfs_counter SET value = :value + 1 WHERE name = 'nextInode'",
    record: () => "counter name=nextInode",
    says: ({ value }) => `value ${Number(value) + 1} instead of ${String(value)}`,
  },
  {
    name: "the target of a symbolic link",
    pick: middle("inode", "jfs_symlink"),
    change: "UPDATE jfs_symlink SET target = x'7961' WHERE inode = :inode",
    record: ({ inode }) => `symlink inode=${String(inode)}`,
    says: "target 0x7961 instead of",
  },
  {
    name: "the value of an extended attribute",
    pick: middle("inode, name", "jfs_xattr WHERE length(value) > 0"),
    change: "UPDATE jfs_xattr SET value = x'00ff' WHERE inode = :inode AND name = :name",
    record: ({ inode, name }) => `xattr inode=${String(inode)} name=${String(name)}`,
    says: "value 0x00ff instead of",
  },
  {
    name: "a right in an access control list",
    pick: middle("id, mask", "jfs_acl"),
    change: "UPDATE jfs_acl SET mask = (:mask + 1) % 8 WHERE id = :id",
    record: ({ id }) => `acl id=${String(id)}`,
    says: "mask ",
  },
  {
    name: "the usage of a directory",
    pick: middle("inode, used_space", "jfs_dir_stats WHERE used_space > 0"),
    change: "UPDATE jfs_dir_stats SET used_space = :used_space + 4096 WHERE inode = :inode",
    record: ({ inode }) => `dir_stat inode=${String(inode)}`,
    says: "space ",
  },
  {
    name: "the limit of a quota",
    pick: middle("inode, max_space", "jfs_dir_quota"),
    change: "UPDATE jfs_dir_quota SET max_space = :max_space + 1 WHERE inode = :inode",
    record: ({ inode }) => `quota type=0 key=${String(inode)}`,
    says: "max_space ",
  },
  {
    name: "who holds a deleted file open",
    pick: middle("sid, inode", "jfs_sustained"),
    change: "UPDATE jfs_sustained SET sid = :sid + 100000 WHERE sid = :sid AND inode = :inode",
    record: ({ sid, inode }) => `sustained sid=${String(sid)} inode=${String(inode)}`,
    says: "missing",
  },
  {
    name: "a file too few",
    pick: middle("inode", file),
    change: "DELETE FROM jfs_node WHERE inode = :inode",
    record: nodeRecord,
    says: "missing",
  },
  {
    name: "a file too many",
    pick: "SELECT max(inode) + 1 AS inode FROM jfs_node WHERE inode < 1 << 62",
    change: `INSERT INTO jfs_node (inode, type, flags, mode, uid, gid, atime, mtime, ctime, nlink, length, rdev, parent, access_acl_id, default_acl_id)
      VALUES (:inode, 1, 0, 420, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0)`,
    record: nodeRecord,
    says: "not in the snapshot",
  },
];

/** Changes the database and gives the record's name. */
export function applyFlip(flip: Flip, path: string): { record: string; says: string } {
  const database = new DatabaseSync(path);
  try {
    const row = database.prepare(flip.pick).get();
    assert.ok(row !== undefined, `nothing to change: ${flip.name}`);
    const statement = database.prepare(flip.change);
    statement.setAllowUnknownNamedParameters(true);
    assert.equal(statement.run(row as Record<string, SQLInputValue>).changes, 1, flip.name);
    return { record: flip.record(row), says: typeof flip.says === "string" ? flip.says : flip.says(row) };
  } finally {
    database.close();
  }
}
