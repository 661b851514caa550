import type { FindingCode } from "./finding.ts";

/** What `juicefs fsck` makes of a defect. */
export type FsckVerdict =
  /** Both runs exit 0. */
  | "misses"
  /** One of them exits with another code. */
  | "finds"
  /** The volume is not opened at all. */
  | "refuses"
  /** It does not end. */
  | "hangs";

/**
 * One named defect of a volume in SQLite, made by SQL on a healthy one, with the code of the finding that the judge must make of it.
 *
 * `fsck` says what the real `juicefs fsck` of v1.4.1 makes of it on a volume whose bucket is complete, run plainly and with
 * `--path / --recursive`. All of them were measured (`judge.test.ts` does it again): it misses nearly everything.
 */
export interface Mutation {
  readonly name: string;
  readonly code: FindingCode;
  readonly fsck: FsckVerdict;
  /** Run in order on the volume's connection, where the temporary table `picked` (see PICKED) has one row. */
  readonly sql: readonly string[];
}

/**
 * Records to damage, picked from whatever volume it is: one row with the inode of each kind of node. A kind that the volume lacks is NULL,
 * its mutations then change nothing, which the test takes for a failure.
 */
export const PICKED = `CREATE TEMP TABLE picked AS SELECT
  (SELECT inode FROM jfs_node JOIN jfs_chunk USING (inode) WHERE type = 1 AND nlink = 1 AND parent BETWEEN 1 AND 9223372032828243967
    AND length > 0 AND indx = 0 AND EXISTS (SELECT 1 FROM jfs_chunk_ref
      WHERE refs = 1 AND printf('%016X', chunkid) = hex(substr(CAST(slices AS BLOB), 5, 8)))
    ORDER BY inode LIMIT 1) AS file,
  (SELECT parent FROM jfs_edge WHERE type = 2 AND parent BETWEEN 2 AND 9223372032828243967
    AND parent IN (SELECT inode FROM jfs_node WHERE type = 2 AND parent < 9223372032828243968) ORDER BY id LIMIT 1) AS directory,
  (SELECT inode FROM jfs_edge WHERE type = 2 AND parent BETWEEN 2 AND 9223372032828243967
    AND parent IN (SELECT inode FROM jfs_node WHERE type = 2 AND parent < 9223372032828243968) ORDER BY id LIMIT 1) AS subdirectory,
  (SELECT inode FROM jfs_symlink ORDER BY inode LIMIT 1) AS link,
  (SELECT inode FROM jfs_node WHERE type IN (4, 7) ORDER BY inode LIMIT 1) AS special,
  (SELECT inode FROM jfs_edge WHERE type = 1 GROUP BY inode HAVING count(*) > 1 ORDER BY inode LIMIT 1) AS hard_link,
  (SELECT inode FROM jfs_node WHERE inode > 9223372032828243968 ORDER BY inode LIMIT 1) AS trash_directory,
  (SELECT id FROM jfs_edge WHERE parent > 9223372032828243968 ORDER BY id LIMIT 1) AS trash_edge,
  (SELECT max(inode) + 1000 FROM jfs_node WHERE inode < 9223372032828243968) AS nobody`;

const file = "(SELECT file FROM picked)";
const directory = "(SELECT directory FROM picked)";
const subdirectory = "(SELECT subdirectory FROM picked)";
const link = "(SELECT link FROM picked)";
const special = "(SELECT special FROM picked)";
const hardLink = "(SELECT hard_link FROM picked)";
const trashDirectory = "(SELECT trash_directory FROM picked)";
const trashEdge = "(SELECT trash_edge FROM picked)";
const nobody = "(SELECT nobody FROM picked)";
const slices = "CAST(slices AS BLOB)";

/** Replaces bytes of a file's first slice record; `at` counts from 0. */
function patchSlice(at: number, hex: string): string {
  const after = at + hex.length / 2 + 1;
  const patched = `substr(${slices}, 1, ${at}) || x'${hex}' || substr(${slices}, ${after})`;
  return `UPDATE jfs_chunk SET slices = CAST(${patched} AS BLOB) WHERE inode = ${file} AND indx = 0`;
}

function setNode(inode: string, assignment: string): string {
  return `UPDATE jfs_node SET ${assignment} WHERE inode = ${inode}`;
}

function setEdge(inode: string, assignment: string): string {
  return `UPDATE jfs_edge SET ${assignment} WHERE inode = ${inode}`;
}

function setCounter(name: string, value: string): string {
  return `UPDATE jfs_counter SET value = ${value} WHERE name = '${name}'`;
}

/** Every defect the judge is tried on. */
export const MUTATIONS: readonly Mutation[] = [
  // Setting and counters
  { name: "the setting is gone", code: "setting-missing", fsck: "refuses", sql: ["DELETE FROM jfs_setting"] },
  {
    name: "the setting is cut",
    code: "setting-unparsable",
    fsck: "refuses",
    sql: ["UPDATE jfs_setting SET value = substr(value, 1, 40)"],
  },
  {
    name: "the setting has no UUID",
    code: "setting-field",
    fsck: "misses",
    sql: [`UPDATE jfs_setting SET value = json_set(value, '$.UUID', 'none')`],
  },
  {
    name: "the secret key does not open",
    code: "setting-secret",
    fsck: "refuses",
    sql: [
      `UPDATE jfs_setting SET value = json_set(value, '$.KeyEncrypted', json('true'), '$.SecretKey', 'bm90IGEgd3JhcHBlZCBzZWNyZXQgYXQgYWxsISEhISEhISEh')`,
    ],
  },
  {
    name: "the secret key was removed",
    code: "setting-secret-removed",
    fsck: "misses",
    sql: [`UPDATE jfs_setting SET value = json_set(value, '$.SecretKey', 'removed')`],
  },
  {
    name: "a counter exists twice",
    code: "counter-duplicate",
    fsck: "misses",
    sql: [
      "ALTER TABLE jfs_counter RENAME TO old",
      "CREATE TABLE jfs_counter (name TEXT NOT NULL, value INTEGER NOT NULL)",
      "INSERT INTO jfs_counter SELECT * FROM old UNION ALL SELECT * FROM old",
      "DROP TABLE old",
    ],
  },
  {
    name: "the counter nextInode is gone",
    code: "counter-missing",
    fsck: "misses",
    sql: [`DELETE FROM jfs_counter WHERE name = 'nextInode'`],
  },
  {
    name: "nextInode is an inode in use",
    code: "counter-next-inode",
    fsck: "misses",
    sql: [setCounter("nextInode", "(SELECT max(inode) FROM jfs_node WHERE inode < 9223372032828243968)")],
  },
  {
    name: "nextInode is a deleted file whose chunks wait",
    code: "counter-next-inode",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_delfile (inode, length, expire) SELECT value + 5, 100, 1700000000 FROM jfs_counter WHERE name = 'nextInode'`,
    ],
  },
  {
    name: "nextChunk is a slice in use",
    code: "counter-next-chunk",
    fsck: "misses",
    sql: [setCounter("nextChunk", "(SELECT max(chunkid) FROM jfs_chunk_ref)")],
  },
  {
    name: "nextTrash is below a trash directory",
    code: "counter-next-trash",
    fsck: "misses",
    sql: [setCounter("nextTrash", "0")],
  },
  {
    name: "nextSession is below a session that keeps a file",
    code: "counter-next-session",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_sustained (sid, inode) SELECT value + 1, ${file} FROM jfs_counter WHERE name = 'nextSession'`,
    ],
  },
  {
    name: "nextChunk is negative",
    code: "counter-range",
    fsck: "misses",
    sql: [setCounter("nextChunk", "-1")],
  },
  {
    name: "usedSpace is off by a page",
    code: "counter-used-space",
    fsck: "misses",
    sql: [setCounter("usedSpace", "value + 4096")],
  },
  {
    name: "a file is longer than it was",
    code: "counter-used-space",
    fsck: "misses",
    sql: [setNode(file, "length = length + 8192")],
  },
  {
    name: "totalInodes is off by one",
    code: "counter-total-inodes",
    fsck: "misses",
    sql: [setCounter("totalInodes", "value - 1")],
  },

  // Roots and trash
  { name: "the root is gone", code: "root-missing", fsck: "finds", sql: ["DELETE FROM jfs_node WHERE inode = 1"] },
  { name: "the root has no parent", code: "root-wrong", fsck: "misses", sql: [setNode("1", "parent = 0")] },
  {
    name: "the trash root is gone",
    code: "trash-root-missing",
    fsck: "misses",
    sql: ["DELETE FROM jfs_node WHERE inode = 9223372032828243968"],
  },
  {
    name: "the trash root is a file",
    code: "trash-root-wrong",
    fsck: "misses",
    sql: [setNode("9223372032828243968", "type = 1")],
  },
  {
    name: "a trash directory hangs in the root",
    code: "trash-directory",
    fsck: "finds",
    sql: [setEdge(trashDirectory, "parent = 1"), setNode(trashDirectory, "parent = 1")],
  },
  {
    name: "a trash entry lost its inode",
    code: "trash-entry-name",
    fsck: "misses",
    sql: [`UPDATE jfs_edge SET name = CAST('x' AS BLOB) WHERE id = ${trashEdge}`],
  },

  // Nodes
  {
    name: "a node has inode 0",
    code: "node-inode",
    fsck: "misses",
    sql: [`UPDATE jfs_node SET inode = 0 WHERE inode = ${file}`],
  },
  { name: "a node has type 9", code: "node-type", fsck: "misses", sql: [setNode(file, "type = 9")] },
  { name: "a mode has the type in it", code: "node-mode", fsck: "misses", sql: [setNode(file, "mode = mode | 32768")] },
  { name: "flags are out of range", code: "node-flags", fsck: "misses", sql: [setNode(file, "flags = 200")] },
  { name: "an owner is negative", code: "node-owner", fsck: "misses", sql: [setNode(file, "uid = -1")] },
  {
    name: "nanoseconds exceed a microsecond",
    code: "node-time",
    fsck: "misses",
    sql: [setNode(file, "mtimensec = 1500")],
  },
  { name: "a file has a device number", code: "node-rdev", fsck: "misses", sql: [setNode(file, "rdev = 259")] },
  { name: "a file is of an unlisted tier", code: "node-tier", fsck: "misses", sql: [setNode(file, "tier_id = 77")] },
  {
    name: "a directory has length 0",
    code: "length-directory",
    fsck: "misses",
    sql: [setNode(directory, "length = 0")],
  },
  {
    name: "a link has another length",
    code: "length-symlink",
    fsck: "misses",
    sql: [setNode(link, "length = length + 1")],
  },
  { name: "a special file has a length", code: "length-other", fsck: "misses", sql: [setNode(special, "length = 1")] },
  { name: "a file has one name too few", code: "nlink-file", fsck: "misses", sql: [setNode(file, "nlink = 2")] },
  {
    name: "a hard link lost a count",
    code: "nlink-file",
    fsck: "misses",
    sql: [setNode(hardLink, "nlink = nlink - 1")],
  },
  {
    name: "a directory counts one sub-directory too many",
    code: "nlink-directory",
    fsck: "finds",
    sql: [setNode(directory, "nlink = nlink + 1")],
  },
  {
    name: "a trash directory has another link count",
    code: "nlink-trash",
    fsck: "misses",
    sql: [setNode(trashDirectory, "nlink = 5")],
  },
  {
    name: "a file has another parent",
    code: "node-parent",
    fsck: "misses",
    sql: [setNode(file, `parent = ${nobody}`)],
  },
  {
    name: "a directory has another parent",
    code: "node-parent",
    fsck: "misses",
    sql: [setNode(subdirectory, "parent = 1")],
  },
  {
    name: "a hard link has a parent",
    code: "node-parent",
    fsck: "misses",
    sql: [setNode(hardLink, `parent = ${directory}`)],
  },
  {
    name: "a directory has parent 0",
    code: "node-parent",
    fsck: "misses",
    sql: [setNode(subdirectory, "parent = 0")],
  },

  // Edges
  {
    name: "the node of a name is gone",
    code: "edge-node-missing",
    fsck: "misses",
    sql: [`DELETE FROM jfs_node WHERE inode = ${file}`],
  },
  {
    name: "the name of a file is gone",
    code: "node-unreachable",
    fsck: "misses",
    sql: [`DELETE FROM jfs_edge WHERE inode = ${file}`],
  },
  {
    name: "the name of a directory is gone",
    code: "node-unreachable",
    fsck: "finds",
    sql: [`DELETE FROM jfs_edge WHERE inode = ${subdirectory}`],
  },
  { name: "a name says another type", code: "edge-type", fsck: "misses", sql: [setEdge(file, "type = 3")] },
  { name: "a name holds a slash", code: "edge-name", fsck: "misses", sql: [setEdge(file, `name = x'612F62'`)] },
  { name: "a name holds a NUL", code: "edge-name", fsck: "misses", sql: [setEdge(file, `name = x'610062'`)] },
  { name: "a name is empty", code: "edge-name", fsck: "misses", sql: [setEdge(file, `name = x''`)] },
  { name: "a name has two dots", code: "edge-name", fsck: "misses", sql: [setEdge(file, `name = x'2E2E'`)] },
  {
    name: "a name has 256 bytes",
    code: "edge-name",
    fsck: "misses",
    sql: [setEdge(file, "name = zeroblob(0) || randomblob(256)")],
  },
  {
    name: "a name lies in no directory",
    code: "edge-parent-missing",
    fsck: "misses",
    sql: [setEdge(file, `parent = ${nobody}`)],
  },
  { name: "a name lies in a link", code: "edge-parent-type", fsck: "misses", sql: [setEdge(file, `parent = ${link}`)] },
  {
    name: "a name leads to the root",
    code: "edge-to-root",
    fsck: "hangs",
    sql: [`INSERT INTO jfs_edge (parent, name, inode, type) SELECT ${directory}, CAST('loop' AS BLOB), 1, 2`],
  },
  {
    name: "a name exists twice",
    code: "edge-duplicate",
    fsck: "misses",
    sql: [
      "DROP INDEX UQE_jfs_edge_edge",
      `INSERT INTO jfs_edge (parent, name, inode, type) SELECT parent, name, inode, type FROM jfs_edge WHERE inode = ${file}`,
    ],
  },
  {
    name: "a directory has two names",
    code: "directory-many-parents",
    fsck: "finds",
    sql: [`INSERT INTO jfs_edge (parent, name, inode, type) SELECT 1, CAST('second' AS BLOB), ${subdirectory}, 2`],
  },
  {
    name: "a directory lies in its own sub-directory",
    code: "directory-loop",
    fsck: "finds",
    sql: [setEdge(directory, `parent = ${subdirectory}`), setNode(directory, `parent = ${subdirectory}`)],
  },

  // Contents
  {
    name: "the target of a link is gone",
    code: "symlink-target-missing",
    fsck: "misses",
    sql: [`DELETE FROM jfs_symlink WHERE inode = ${link}`],
  },
  {
    name: "the target of a link is empty",
    code: "symlink-target",
    fsck: "misses",
    sql: [`UPDATE jfs_symlink SET target = x'' WHERE inode = ${link}`],
  },
  {
    name: "a file has a target",
    code: "symlink-orphan",
    fsck: "misses",
    sql: [`INSERT INTO jfs_symlink (inode, target) SELECT ${file}, x'61'`],
  },
  {
    name: "an extended attribute belongs to nobody",
    code: "xattr-orphan",
    fsck: "misses",
    sql: [`INSERT INTO jfs_xattr (inode, name, value) SELECT ${nobody}, 'user.a', x'61'`],
  },
  {
    name: "an extended attribute has no name",
    code: "xattr-name",
    fsck: "misses",
    sql: [`INSERT INTO jfs_xattr (inode, name, value) SELECT ${file}, '', x'61'`],
  },
  {
    name: "an extended attribute exists twice",
    code: "xattr-duplicate",
    fsck: "misses",
    sql: [
      "DROP INDEX UQE_jfs_xattr_name",
      `INSERT INTO jfs_xattr (inode, name, value) SELECT ${file}, 'user.a', x'61'`,
      `INSERT INTO jfs_xattr (inode, name, value) SELECT ${file}, 'user.a', x'62'`,
    ],
  },
  {
    name: "a chunk belongs to nobody",
    code: "chunk-orphan",
    fsck: "misses",
    sql: [`UPDATE jfs_chunk SET inode = ${nobody} WHERE inode = ${file}`],
  },
  {
    name: "a chunk belongs to a directory",
    code: "chunk-not-file",
    fsck: "misses",
    sql: [`UPDATE jfs_chunk SET inode = ${directory} WHERE inode = ${file}`],
  },
  {
    name: "a chunk exists twice",
    code: "chunk-duplicate",
    fsck: "misses",
    sql: [
      "DROP INDEX UQE_jfs_chunk_chunk",
      `INSERT INTO jfs_chunk (inode, indx, slices) SELECT inode, indx, slices FROM jfs_chunk WHERE inode = ${file}`,
    ],
  },
  {
    name: "a chunk has a negative index",
    code: "chunk-index",
    fsck: "misses",
    sql: [`UPDATE jfs_chunk SET indx = -1 WHERE inode = ${file} AND indx = 0`],
  },
  {
    name: "a chunk lies beyond its file",
    code: "chunk-beyond-length",
    fsck: "misses",
    sql: [`UPDATE jfs_chunk SET indx = 1000 WHERE inode = ${file} AND indx = 0`],
  },
  {
    name: "a chunk is empty",
    code: "chunk-empty",
    fsck: "misses",
    sql: [`UPDATE jfs_chunk SET slices = x'' WHERE inode = ${file} AND indx = 0`],
  },
  {
    name: "the chunk of a file is gone",
    code: "slice-ref-orphan",
    fsck: "misses",
    sql: [`DELETE FROM jfs_chunk WHERE inode = ${file} AND indx = 0`],
  },
  {
    name: "a slice record is cut",
    code: "slice-record",
    fsck: "misses",
    sql: [
      `UPDATE jfs_chunk SET slices = substr(${slices}, 1, length(${slices}) - 1) WHERE inode = ${file} AND indx = 0`,
    ],
  },
  { name: "a slice lies beyond its chunk", code: "slice-position", fsck: "misses", sql: [patchSlice(0, "04000000")] },
  { name: "a window lies beyond its slice", code: "slice-window", fsck: "misses", sql: [patchSlice(16, "3FFFFFFF")] },
  { name: "a slice has no length", code: "slice-empty", fsck: "misses", sql: [patchSlice(20, "00000000")] },
  {
    name: "a hole has a size",
    code: "slice-hole",
    fsck: "misses",
    sql: [
      `UPDATE jfs_chunk SET slices = CAST(${slices} || x'000000000000000000000000000000010000000000000001' AS BLOB) WHERE inode = ${file} AND indx = 0`,
    ],
  },
  {
    name: "a slice has two sizes",
    code: "slice-size",
    fsck: "finds",
    sql: [
      `INSERT INTO jfs_chunk (inode, indx, slices) SELECT inode, 900, CAST(substr(${slices}, 1, 12) || x'00FFFFFF' || substr(${slices}, 17, 8) AS BLOB) FROM jfs_chunk WHERE inode = ${file} AND indx = 0`,
    ],
  },
  {
    name: "a slice of another id is named",
    code: "slice-ref-missing",
    fsck: "finds",
    sql: [patchSlice(4, "00000000000FFFFF")],
  },

  // References
  {
    name: "a reference count is gone",
    code: "slice-ref-missing",
    fsck: "misses",
    sql: ["DELETE FROM jfs_chunk_ref WHERE chunkid = (SELECT min(chunkid) FROM jfs_chunk_ref WHERE refs = 1)"],
  },
  {
    name: "a reference count is one too high",
    code: "slice-ref-count",
    fsck: "misses",
    sql: ["UPDATE jfs_chunk_ref SET refs = 2 WHERE chunkid = (SELECT min(chunkid) FROM jfs_chunk_ref WHERE refs = 1)"],
  },
  {
    name: "a shared slice is counted once",
    code: "slice-ref-count",
    fsck: "misses",
    sql: ["UPDATE jfs_chunk_ref SET refs = 1 WHERE chunkid = (SELECT min(chunkid) FROM jfs_chunk_ref WHERE refs > 1)"],
  },
  {
    name: "a reference count belongs to nobody",
    code: "slice-ref-orphan",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_chunk_ref (chunkid, size, refs) SELECT value - 1, 4096, 1 FROM jfs_counter WHERE name = 'nextChunk'`,
    ],
  },
  {
    name: "a slice waits for its deletion",
    code: "slice-ref-pending",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_chunk_ref (chunkid, size, refs) SELECT value - 1, 4096, 0 FROM jfs_counter WHERE name = 'nextChunk'`,
    ],
  },
  {
    name: "delayed slices are cut",
    code: "delslices-record",
    fsck: "misses",
    sql: [`INSERT INTO jfs_delslices (chunkid, deleted, slices) VALUES (1, 1700000000, x'0001')`],
  },
  {
    name: "delayed slices are gone",
    code: "slice-ref-orphan",
    fsck: "misses",
    sql: ["DELETE FROM jfs_delslices"],
  },

  // Access control
  { name: "the ACL rule of a node is gone", code: "acl-missing", fsck: "misses", sql: ["DELETE FROM jfs_acl"] },
  {
    name: "a node refers to another ACL rule",
    code: "acl-missing",
    fsck: "misses",
    sql: [setNode(file, "access_acl_id = 4711")],
  },
  { name: "an ACL rule grants permission 9", code: "acl-rule", fsck: "misses", sql: ["UPDATE jfs_acl SET owner = 9"] },
  {
    name: "the users of an ACL rule are cut",
    code: "acl-rule",
    fsck: "misses",
    sql: [`INSERT INTO jfs_acl (owner, "group", mask, other, named_users) VALUES (7, 5, 7, 5, x'000003E900')`],
  },
  {
    name: "an ACL rule names a user and has no mask",
    code: "acl-rule",
    fsck: "misses",
    sql: [`INSERT INTO jfs_acl (owner, "group", mask, other, named_users) VALUES (7, 5, 65535, 5, x'000003E90007')`],
  },
  {
    name: "a file has a default ACL",
    code: "acl-default",
    fsck: "misses",
    sql: [setNode(file, "default_acl_id = (SELECT min(id) FROM jfs_acl)")],
  },

  // Side records
  {
    name: "a sustained inode does not exist",
    code: "sustained-orphan",
    fsck: "misses",
    sql: [`INSERT INTO jfs_sustained (sid, inode) SELECT 1, ${nobody}`],
  },
  {
    name: "a sustained inode has a name",
    code: "sustained-linked",
    fsck: "misses",
    sql: [`INSERT INTO jfs_sustained (sid, inode) SELECT 1, ${file}`],
  },
  {
    name: "a sustained inode belongs to no session",
    code: "sustained-session",
    fsck: "misses",
    sql: [`INSERT INTO jfs_sustained (sid, inode) SELECT 999999, ${file}`],
  },
  {
    name: "a deleted file exists",
    code: "delfile-node",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_delfile (inode, length, expire) SELECT inode, length, 1700000000 FROM jfs_node WHERE inode = ${file}`,
    ],
  },
  {
    name: "a deleted file has a negative length",
    code: "delfile-length",
    fsck: "misses",
    sql: [`INSERT INTO jfs_delfile (inode, length, expire) SELECT ${nobody}, -1, 1700000000`],
  },
  {
    name: "a detached node has a name",
    code: "detached-linked",
    fsck: "misses",
    sql: [`INSERT INTO jfs_detached_node (inode, added) SELECT ${subdirectory}, 1700000000`],
  },
  {
    name: "a detached node does not exist",
    code: "detached-orphan",
    fsck: "misses",
    sql: [`INSERT INTO jfs_detached_node (inode, added) SELECT ${nobody}, 1700000000`],
  },
  {
    name: "a session tells nothing",
    code: "session-info",
    fsck: "misses",
    sql: [`INSERT INTO jfs_session2 (sid, expire, info) VALUES (1000000, 1700000000, x'7B')`],
  },
  {
    name: "a lock belongs to nobody",
    code: "lock-orphan",
    fsck: "misses",
    sql: [`INSERT INTO jfs_flock (inode, sid, owner, ltype) SELECT ${nobody}, 1, 1, 87`],
  },
  {
    name: "a flock is neither shared nor exclusive",
    code: "lock-record",
    fsck: "misses",
    sql: [`INSERT INTO jfs_flock (inode, sid, owner, ltype) SELECT ${file}, 1, 1, 88`],
  },
  {
    name: "a range lock is cut",
    code: "lock-record",
    fsck: "misses",
    sql: [`INSERT INTO jfs_plock (inode, sid, owner, records) SELECT ${file}, 1, 1, x'00000001'`],
  },
  {
    name: "directory statistics are gone",
    code: "dir-stats-missing",
    fsck: "finds",
    sql: [`DELETE FROM jfs_dir_stats WHERE inode = ${directory}`],
  },
  {
    name: "directory statistics belong to nobody",
    code: "dir-stats-orphan",
    fsck: "misses",
    sql: [`INSERT INTO jfs_dir_stats (inode, data_length, used_space, used_inodes) SELECT ${nobody}, 0, 0, 0`],
  },
  {
    name: "directory statistics are wrong",
    code: "dir-stats-wrong",
    fsck: "misses",
    sql: [`UPDATE jfs_dir_stats SET used_inodes = used_inodes + 1 WHERE inode = ${directory}`],
  },
  {
    name: "a quota belongs to nobody",
    code: "quota-orphan",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_dir_quota (inode, max_space, max_inodes, used_space, used_inodes) SELECT ${nobody}, 1, 1, 0, 0`,
    ],
  },
  {
    name: "a quota limits to a negative size",
    code: "quota-range",
    fsck: "misses",
    sql: [
      `INSERT OR REPLACE INTO jfs_dir_quota (inode, max_space, max_inodes, used_space, used_inodes) SELECT ${subdirectory}, -5, 1, 0, 0`,
    ],
  },
  {
    name: "the usage of a quota is wrong",
    code: "quota-usage",
    fsck: "misses",
    sql: [
      `INSERT OR REPLACE INTO jfs_dir_quota (inode, max_space, max_inodes, used_space, used_inodes) SELECT ${directory}, -1, -1, 1, 1`,
    ],
  },
  {
    name: "the quota of a user is wrong",
    code: "quota-usage",
    fsck: "misses",
    sql: [
      `INSERT OR REPLACE INTO jfs_user_group_quota (qtype, qkey, max_space, max_inodes, used_space, used_inodes) VALUES (1, 4242, -1, -1, 1, 1)`,
    ],
  },
  {
    name: "a quota is of another kind",
    code: "record-unreadable",
    fsck: "misses",
    sql: [
      `INSERT INTO jfs_user_group_quota (qtype, qkey, max_space, max_inodes, used_space, used_inodes) VALUES (7, 1, -1, -1, 0, 0)`,
    ],
  },

  // Storage
  {
    name: "a name is stored as a text",
    code: "storage-class",
    fsck: "misses",
    sql: [setEdge(file, "name = CAST(name AS TEXT)")],
  },
  {
    name: "the target of a link is stored as a text",
    code: "storage-class",
    fsck: "misses",
    sql: [`UPDATE jfs_symlink SET target = CAST(target AS TEXT) WHERE inode = ${link}`],
  },
  {
    name: "an inode is stored as a text",
    code: "storage-class",
    fsck: "misses",
    sql: [setEdge(file, `type = x'31'`)],
  },
  {
    name: "a sequence is too low",
    code: "sequence-low",
    fsck: "misses",
    sql: [`UPDATE sqlite_sequence SET seq = 1 WHERE name = 'jfs_edge'`],
  },
  {
    name: "a sequence is gone",
    code: "sequence-missing",
    fsck: "misses",
    sql: [`DELETE FROM sqlite_sequence WHERE name = 'jfs_chunk'`],
  },

  // Schema
  { name: "a unique index is gone", code: "schema-index", fsck: "misses", sql: ["DROP INDEX UQE_jfs_edge_edge"] },
  { name: "an index is gone", code: "schema-index", fsck: "misses", sql: ["DROP INDEX IDX_jfs_edge_inode"] },
  {
    name: "an index has another name",
    code: "schema-index",
    fsck: "misses",
    sql: ["DROP INDEX IDX_jfs_edge_inode", "CREATE INDEX other ON jfs_edge (inode)"],
  },
  {
    name: "there is an index more",
    code: "schema-index-unknown",
    fsck: "misses",
    sql: ["CREATE INDEX other ON jfs_node (parent)"],
  },
  { name: "a table is gone", code: "schema-table-missing", fsck: "misses", sql: ["DROP TABLE jfs_flock"] },
  {
    name: "there is a table more",
    code: "schema-table-unknown",
    fsck: "misses",
    sql: ["CREATE TABLE jfs_more (x INTEGER)"],
  },
  {
    name: "a column is gone",
    code: "schema-column-missing",
    fsck: "finds",
    sql: ["ALTER TABLE jfs_node DROP COLUMN rdev"],
  },
  {
    name: "there is a column more",
    code: "schema-column-unknown",
    fsck: "misses",
    sql: ["ALTER TABLE jfs_node ADD COLUMN more INTEGER"],
  },
  {
    name: "a column allows NULL",
    code: "schema-column",
    fsck: "misses",
    sql: [
      "ALTER TABLE jfs_dir_stats RENAME TO old",
      "CREATE TABLE jfs_dir_stats (inode INTEGER PRIMARY KEY NOT NULL, data_length INTEGER, used_space INTEGER NOT NULL, used_inodes INTEGER NOT NULL)",
      "INSERT INTO jfs_dir_stats SELECT * FROM old",
      "DROP TABLE old",
    ],
  },
  {
    name: "a table has no key",
    code: "schema-column",
    fsck: "misses",
    sql: [
      "ALTER TABLE jfs_symlink RENAME TO old",
      "CREATE TABLE jfs_symlink (inode INTEGER NOT NULL, target BLOB NOT NULL)",
      "INSERT INTO jfs_symlink SELECT * FROM old",
      "DROP TABLE old",
    ],
  },
  {
    name: "a symbolic link has two targets",
    code: "symlink-duplicate",
    fsck: "misses",
    sql: [
      "ALTER TABLE jfs_symlink RENAME TO old",
      "CREATE TABLE jfs_symlink (inode INTEGER NOT NULL, target BLOB NOT NULL)",
      "INSERT INTO jfs_symlink SELECT * FROM old UNION ALL SELECT * FROM old",
      "DROP TABLE old",
    ],
  },
  {
    name: "a table gives ids again",
    code: "schema-table-definition",
    fsck: "misses",
    sql: [
      "DROP TABLE jfs_flock",
      "CREATE TABLE jfs_flock (id INTEGER PRIMARY KEY NOT NULL, inode INTEGER NOT NULL, sid INTEGER NOT NULL, owner INTEGER NOT NULL, ltype INTEGER NOT NULL)",
      "CREATE UNIQUE INDEX UQE_jfs_flock_flock ON jfs_flock (inode, sid, owner)",
    ],
  },
  { name: "the file has another version", code: "schema-pragma", fsck: "misses", sql: ["PRAGMA user_version = 7"] },
  {
    name: "an index misses a row",
    code: "integrity",
    fsck: "misses",
    sql: [
      "CREATE TABLE spare (inode INTEGER)",
      "CREATE INDEX spare_index ON spare (inode)",
      "PRAGMA writable_schema = ON",
      `UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'spare_index') WHERE name = 'IDX_jfs_edge_inode'`,
      `DELETE FROM sqlite_master WHERE name = 'spare_index'`,
      "PRAGMA writable_schema = RESET",
    ],
  },
];
