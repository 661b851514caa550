import type { FindingCode } from "./finding.ts";
import type { RawVolume } from "./raw-volume.ts";
import { TRASH_INODE, TYPE_DIRECTORY, TYPE_REGULAR } from "./raw-volume.ts";
import { readSlices } from "./slices.ts";

/** Records of a volume to damage. */
export interface Picked {
  /** A file of one name with one chunk, whose first slice nothing else uses. */
  readonly file: bigint;
  readonly fileParent: bigint;
  readonly fileName: Uint8Array;
  readonly slice: { readonly id: bigint; readonly size: number };
  /** A slice that is used more than once. */
  readonly shared: { readonly id: bigint; readonly size: bigint };
  readonly directory: bigint;
  readonly subdirectory: bigint;
  readonly link: bigint;
  readonly hardLink: bigint;
  readonly hardLinkParent: bigint;
  readonly withXattr: bigint;
  readonly nobody: bigint;
  readonly highestSlice: bigint;
}

/** Picks records of a volume; throws where it lacks a kind. */
export function pickRecords(volume: RawVolume): Picked {
  const uses = new Map<bigint, number>();
  for (const chunk of volume.chunks) {
    for (const { id } of readSlices(chunk.slices)) uses.set(id, (uses.get(id) ?? 0) + 1);
  }
  const nodes = new Map(volume.nodes.map((node) => [node.inode, node]));
  const inTree = (inode: bigint | null | undefined): boolean =>
    inode !== null && (inode ?? 0n) > 1n && (inode ?? 0n) < TRASH_INODE;
  const chunk = found(
    volume.chunks.find(({ inode, index, slices }) => {
      const node = nodes.get(inode);
      const [first, ...others] = readSlices(slices);
      const isPlain = node?.type === TYPE_REGULAR && node.nlink === 1 && inTree(node.parent) && index === 0n;
      return isPlain && others.length === 0 && uses.get(first?.id ?? 0n) === 1;
    }),
  );
  const edge = found(volume.edges.find(({ inode }) => inode === chunk.inode));
  const nested = found(
    volume.edges.find(
      ({ parent, type }) => type === TYPE_DIRECTORY && inTree(parent) && inTree(nodes.get(parent)?.parent),
    ),
  );
  const hardLink = found(
    volume.nodes.find(({ type, nlink, parent }) => type === TYPE_REGULAR && nlink > 2 && parent === 0n),
  );
  return {
    file: chunk.inode,
    fileParent: edge.parent,
    fileName: edge.name,
    slice: found([...readSlices(chunk.slices)].at(0)),
    shared: found(volume.sliceRefs.find(({ id, refs }) => id > 0n && refs > 1n)),
    directory: nested.parent,
    subdirectory: nested.inode,
    link: found(volume.symlinks.at(0)).inode,
    hardLink: hardLink.inode,
    hardLinkParent: found(volume.edges.find(({ inode }) => inode === hardLink.inode)).parent,
    withXattr: found(volume.xattrs.at(0)).inode,
    nobody: (volume.counters.get("nextInode") ?? 0n) - 1n,
    highestSlice: [...uses.keys()].reduce((a, b) => (a > b ? a : b)),
  };
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the volume lacks a record that the mutations damage");
  return value;
}

/** One named defect, made by SQL on a healthy volume: either in the rows of `table`, or with its own statements that undo it. */
export interface SqlMutation {
  readonly name: string;
  readonly code: FindingCode;
  readonly sql: readonly string[];
  readonly table?: string;
  readonly undo?: readonly string[];
}

/** Defects that are the same on every SQL server; `blob` gives a literal of bytes from hexadecimal digits. */
export function sqlMutations(picked: Picked, blob: (hex: string) => string): SqlMutation[] {
  const { file, directory, subdirectory, link, hardLink, nobody } = picked;
  const inTable = (table: string, name: string, code: FindingCode, sql: string): SqlMutation => ({
    name,
    code,
    sql: [sql],
    table,
  });
  const node = (name: string, code: FindingCode, inode: bigint, set: string): SqlMutation =>
    inTable("node", name, code, `UPDATE jfs_node SET ${set} WHERE inode = ${inode}`);
  const counter = (name: string, code: FindingCode, which: string, value: bigint): SqlMutation =>
    inTable("counter", name, code, `UPDATE jfs_counter SET value = ${value} WHERE name = '${which}'`);
  return [
    inTable("setting", "the setting is gone", "setting-missing", "DELETE FROM jfs_setting"),
    inTable(
      "setting",
      "the setting is cut",
      "setting-unparsable",
      "UPDATE jfs_setting SET value = substr(value, 1, 40)",
    ),
    inTable("counter", "a counter is gone", "counter-missing", "DELETE FROM jfs_counter WHERE name = 'nextInode'"),
    counter("nextInode is an inode in use", "counter-next-inode", "nextInode", hardLink),
    counter("nextChunk is a slice in use", "counter-next-chunk", "nextChunk", picked.highestSlice),
    inTable("node", "the root is gone", "root-missing", "DELETE FROM jfs_node WHERE inode = 1"),
    inTable("node", "the node of a name is gone", "edge-node-missing", `DELETE FROM jfs_node WHERE inode = ${file}`),
    node("a file has another parent", "node-parent", file, `parent = ${nobody}`),
    node("a hard link has a parent", "node-parent", hardLink, `parent = ${directory}`),
    node("a file has one name too few", "nlink-file", file, "nlink = 2"),
    node("a directory counts one sub-directory too many", "nlink-directory", directory, "nlink = nlink + 1"),
    node("a link has another length", "length-symlink", link, "length = length + 1"),
    node("nanoseconds exceed a microsecond", "node-time", file, "mtimensec = 1500"),
    node("a mode has the type in it", "node-mode", file, "mode = mode + 32768"),
    node("an owner is negative", "node-owner", file, "uid = -1"),
    node("a node refers to another ACL rule", "acl-missing", file, "access_acl_id = 4711"),
    inTable("edge", "the name of a file is gone", "node-unreachable", `DELETE FROM jfs_edge WHERE inode = ${file}`),
    inTable("edge", "a name says another type", "edge-type", `UPDATE jfs_edge SET type = 3 WHERE inode = ${file}`),
    inTable(
      "edge",
      "a name holds a slash",
      "edge-name",
      `UPDATE jfs_edge SET name = ${blob("612F62")} WHERE inode = ${file}`,
    ),
    inTable("edge", "a name is empty", "edge-name", `UPDATE jfs_edge SET name = ${blob("")} WHERE inode = ${file}`),
    inTable(
      "edge",
      "a name lies in no directory",
      "edge-parent-missing",
      `UPDATE jfs_edge SET parent = ${nobody} WHERE inode = ${file}`,
    ),
    inTable(
      "symlink",
      "the target of a link is gone",
      "symlink-target-missing",
      `DELETE FROM jfs_symlink WHERE inode = ${link}`,
    ),
    inTable(
      "xattr",
      "an attribute belongs to nobody",
      "xattr-orphan",
      `UPDATE jfs_xattr SET inode = ${nobody} WHERE inode = ${picked.withXattr}`,
    ),
    inTable(
      "chunk",
      "a chunk belongs to nobody",
      "chunk-orphan",
      `UPDATE jfs_chunk SET inode = ${nobody} WHERE inode = ${file}`,
    ),
    inTable("chunk", "the chunk of a file is gone", "slice-ref-orphan", `DELETE FROM jfs_chunk WHERE inode = ${file}`),
    inTable(
      "chunk",
      "a slice record is cut",
      "slice-record",
      `UPDATE jfs_chunk SET slices = ${blob("00")} WHERE inode = ${file}`,
    ),
    inTable(
      "chunk_ref",
      "a reference count is gone",
      "slice-ref-missing",
      `DELETE FROM jfs_chunk_ref WHERE chunkid = ${picked.slice.id}`,
    ),
    inTable(
      "chunk_ref",
      "a shared slice is counted once",
      "slice-ref-count",
      `UPDATE jfs_chunk_ref SET refs = 1 WHERE chunkid = ${picked.shared.id}`,
    ),
    inTable("acl", "the ACL rules are gone", "acl-missing", "DELETE FROM jfs_acl"),
    inTable(
      "sustained",
      "a sustained inode has a name",
      "sustained-linked",
      `INSERT INTO jfs_sustained (sid, inode) VALUES (1, ${file})`,
    ),
    inTable(
      "delfile",
      "a deleted file exists",
      "delfile-node",
      `INSERT INTO jfs_delfile (inode, length, expire) VALUES (${file}, 1, 1700000000)`,
    ),
    inTable(
      "dir_stats",
      "directory statistics are wrong",
      "dir-stats-wrong",
      `UPDATE jfs_dir_stats SET used_inodes = used_inodes + 1 WHERE inode = ${directory}`,
    ),
    inTable(
      "dir_quota",
      "a quota belongs to nobody",
      "quota-orphan",
      `INSERT INTO jfs_dir_quota (inode, max_space, max_inodes, used_space, used_inodes) VALUES (${nobody}, 1, 1, 0, 0)`,
    ),
    inTable(
      "edge",
      "a directory has two names",
      "directory-many-parents",
      `INSERT INTO jfs_edge (parent, name, inode, type) VALUES (1, ${blob("7365636F6E64")}, ${subdirectory}, 2)`,
    ),
  ];
}

export const postgresMutations: readonly SqlMutation[] = [
  {
    name: "a sequence is too low",
    code: "sequence-low",
    sql: ["SELECT setval('jfs_edge_id_seq', 1)"],
    undo: ["SELECT setval('jfs_edge_id_seq', (SELECT max(id) FROM jfs_edge))"],
  },
  {
    name: "a table does not use its sequence",
    code: "schema-table-definition",
    sql: ["ALTER TABLE jfs_chunk ALTER COLUMN id DROP DEFAULT"],
    undo: ["ALTER TABLE jfs_chunk ALTER COLUMN id SET DEFAULT nextval('jfs_chunk_id_seq')"],
  },
  {
    name: "an index has another name",
    code: "schema-index",
    sql: ['ALTER INDEX "IDX_jfs_edge_inode" RENAME TO other'],
    undo: ['ALTER INDEX other RENAME TO "IDX_jfs_edge_inode"'],
  },
  {
    name: "a unique index is gone",
    code: "schema-index",
    sql: ['DROP INDEX "UQE_jfs_edge_edge"'],
    undo: ['CREATE UNIQUE INDEX "UQE_jfs_edge_edge" ON jfs_edge (parent, name)'],
  },
  {
    name: "a table is lost with the next crash",
    code: "schema-table-definition",
    sql: ["ALTER TABLE jfs_symlink SET UNLOGGED"],
    undo: ["ALTER TABLE jfs_symlink SET LOGGED"],
  },
  {
    name: "a column is wider",
    code: "schema-column",
    sql: ["ALTER TABLE jfs_node ALTER COLUMN uid TYPE bigint"],
    undo: ["ALTER TABLE jfs_node ALTER COLUMN uid TYPE integer"],
  },
];

export const mysqlMutations: readonly SqlMutation[] = [
  {
    name: "a table is of an engine without transactions",
    code: "schema-table-definition",
    sql: ["ALTER TABLE jfs_symlink ENGINE = MyISAM"],
    undo: ["ALTER TABLE jfs_symlink ENGINE = InnoDB"],
  },
  {
    name: "a table gives no ids",
    code: "schema-table-definition",
    sql: ["ALTER TABLE jfs_flock MODIFY id bigint(20) NOT NULL"],
    undo: ["ALTER TABLE jfs_flock MODIFY id bigint(20) NOT NULL AUTO_INCREMENT"],
  },
  {
    name: "a unique index is gone",
    code: "schema-index",
    sql: ["ALTER TABLE jfs_edge DROP INDEX UQE_jfs_edge_edge"],
    undo: ["ALTER TABLE jfs_edge ADD UNIQUE INDEX UQE_jfs_edge_edge (parent, name)"],
  },
  {
    name: "an index has another name",
    code: "schema-index",
    sql: ["ALTER TABLE jfs_edge RENAME INDEX IDX_jfs_edge_inode TO other"],
    undo: ["ALTER TABLE jfs_edge RENAME INDEX other TO IDX_jfs_edge_inode"],
  },
  {
    name: "a column has another type",
    code: "schema-column",
    sql: ["ALTER TABLE jfs_node MODIFY uid bigint(20) NOT NULL"],
    undo: ["ALTER TABLE jfs_node MODIFY uid int(11) NOT NULL"],
  },
];

/** One named defect of a volume in Redis: commands, and the keys that they change. */
export interface RedisMutation {
  readonly name: string;
  readonly code: FindingCode;
  readonly keys: readonly string[];
  readonly commands: readonly (readonly (string | Buffer)[])[];
}

const bigEndian = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};

/** Defects of a volume in Redis; `attr` gives the bytes of a node's key as they are. */
export function redisMutations(picked: Picked, attr: (inode: bigint) => Buffer): RedisMutation[] {
  const { file, directory, link, hardLink, nobody } = picked;
  const make = (name: string, code: FindingCode, key: string, ...commands: (string | Buffer)[][]): RedisMutation => ({
    name,
    code,
    keys: [key],
    commands,
  });
  const patched = (inode: bigint, at: number, bytes: Buffer | readonly number[]): (string | Buffer)[] => {
    const changed = Buffer.from(attr(inode));
    Buffer.from(bytes as number[]).copy(changed, at);
    return ["SET", `i${inode}`, changed];
  };
  const node = (name: string, code: FindingCode, inode: bigint, at: number, bytes: Buffer | readonly number[]) =>
    make(name, code, `i${inode}`, patched(inode, at, bytes));
  const name = Buffer.from(picked.fileName);
  const entry = (type: number, inode: bigint): Buffer => Buffer.concat([Buffer.from([type]), bigEndian(inode)]);
  const d = `d${picked.fileParent}`;
  return [
    make("the setting is gone", "setting-missing", "setting", ["DEL", "setting"]),
    make("the setting is cut", "setting-unparsable", "setting", ["SETRANGE", "setting", "0", "x"]),
    make("nextinode is one too low", "counter-next-inode", "nextinode", ["SET", "nextinode", String(hardLink - 1n)]),
    make("nextchunk is one too low", "counter-next-chunk", "nextchunk", [
      "SET",
      "nextchunk",
      String(picked.highestSlice - 1n),
    ]),
    make("a counter is no number", "record-unreadable", "usedSpace", ["SET", "usedSpace", "4096 bytes"]),
    make("the next ACL id is given again", "counter-acl-id", "aclMaxId", ["SET", "aclMaxId", "1"]),
    make("the root is gone", "root-missing", "i1", ["DEL", "i1"]),
    make("the node of a name is gone", "edge-node-missing", `i${file}`, ["DEL", `i${file}`]),
    make("a node lost its last byte", "attr-form", `i${file}`, ["SET", `i${file}`, attr(file).subarray(0, 71)]),
    make("a node has bytes to spare", "attr-form", `i${file}`, ["APPEND", `i${file}`, "more"]),
    node("a node does not end in 0", "attr-form", file, attr(file).length - 1, [7]),
    node("a file has another parent", "node-parent", file, 63, bigEndian(nobody)),
    node("a hard link has a parent", "node-parent", hardLink, 63, bigEndian(directory)),
    node("a file has one name too few", "nlink-file", file, 50, [2]),
    node("a directory counts another number of sub-directories", "nlink-directory", directory, 50, [99]),
    node("a link has another length", "length-symlink", link, 57, [99, 99]),
    node("nanoseconds make up more than a second", "node-time", file, 31, [0x3f, 0xff, 0xff, 0xff]),
    make("the parents of a hard link are gone", "parents-record", `p${hardLink}`, ["DEL", `p${hardLink}`]),
    make("a parents record counts a name too many", "parents-record", `p${hardLink}`, [
      "HINCRBY",
      `p${hardLink}`,
      String(picked.hardLinkParent),
      "1",
    ]),
    make("a file of one name has parents", "parents-record", `p${file}`, [
      "HSET",
      `p${file}`,
      String(picked.fileParent),
      "1",
    ]),
    make("the name of a file is gone", "node-unreachable", d, ["HDEL", d, name]),
    make("a name says another type", "edge-type", d, ["HSET", d, name, entry(3, file)]),
    make("a name leads nowhere", "edge-node-missing", d, ["HSET", d, name, entry(1, nobody)]),
    make("an entry is cut", "record-unreadable", d, ["HSET", d, name, entry(1, file).subarray(0, 5)]),
    make("a name holds a slash", "edge-name", d, ["HSET", d, "a/b", entry(1, file)]),
    make("the target of a link is gone", "symlink-target-missing", `s${link}`, ["DEL", `s${link}`]),
    make("an attribute belongs to nobody", "xattr-orphan", `x${nobody}`, ["HSET", `x${nobody}`, "user.a", "b"]),
    make("the chunk of a file is of another file", "chunk-orphan", `c${nobody}_0`, [
      "COPY",
      `c${file}_0`,
      `c${nobody}_0`,
    ]),
    make("a slice record is cut", "slice-record", `c${file}_0`, ["LSET", `c${file}_0`, "0", "short"]),
    make("a slice is counted twice", "slice-ref-count", "sliceRef", [
      "HSET",
      "sliceRef",
      `k${picked.slice.id}_${picked.slice.size}`,
      "1",
    ]),
    make("a slice counts as deleted", "slice-ref-count", "sliceRef", [
      "HSET",
      "sliceRef",
      `k${picked.slice.id}_${picked.slice.size}`,
      "-1",
    ]),
    make("a shared slice has no count", "slice-ref-missing", "sliceRef", [
      "HDEL",
      "sliceRef",
      `k${picked.shared.id}_${picked.shared.size}`,
    ]),
    make("a count belongs to nobody", "slice-ref-orphan", "sliceRef", [
      "HSET",
      "sliceRef",
      `k${picked.highestSlice}_77`,
      "1",
    ]),
    make("the ACL rules are gone", "acl-missing", "acl", ["DEL", "acl"]),
    make("an ACL rule is cut", "acl-rule", "acl", ["HSET", "acl", "1", Buffer.alloc(17)]),
    make("a sustained inode has a name", "sustained-linked", "session1", ["SADD", "session1", String(file)]),
    make("a deleted file exists", "delfile-node", "delfiles", ["ZADD", "delfiles", "1700000000", `${file}:1`]),
    make("delayed slices are cut", "delslices-record", "delSlices", ["HSET", "delSlices", "1_1700000000", "short"]),
    make("directory statistics are wrong", "dir-stats-wrong", "dirUsedInodes", [
      "HINCRBY",
      "dirUsedInodes",
      String(directory),
      "1",
    ]),
    make("a quota is cut", "record-unreadable", "dirQuota", ["HSET", "dirQuota", String(directory), "short"]),
    make("a key expires", "key-expires", `i${file}`, ["EXPIRE", `i${file}`, "1000"]),
    make("a key is of another type", "record-unreadable", "delfiles", ["DEL", "delfiles"], ["SET", "delfiles", "text"]),
    make("there is a key more", "key-unknown", "cairn:restore", ["SET", "cairn:restore", "1"]),
  ];
}
