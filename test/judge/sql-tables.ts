/**
 * The tables of a JuiceFS volume in SQL, written down from §3 of the reference: what each column is stored as in SQLite, since which
 * version it exists, and which keys and indexes there are.
 */
export interface ExpectedTable {
  readonly since: Line;
  readonly columns: Readonly<Record<string, ExpectedColumn>>;
  readonly primaryKey: readonly string[];
  readonly unique?: readonly string[];
  readonly index?: readonly string[];
  /** The ids are generated and never given twice (`AUTOINCREMENT`). */
  readonly generated?: true;
  /** The table exists in some volumes only. */
  readonly optional?: true;
}

/** How a column is stored. `null` means that NULL is allowed and read as 0 or nothing. */
export interface ExpectedColumn {
  readonly storage: "integer" | "text" | "blob";
  readonly nullable: boolean;
  readonly since: Line;
  /** JuiceFS appends to the bytes with `||`, whose result SQLite stores as a text. */
  readonly appended?: true;
}

/** The release lines whose schemas differ. 1.3 has the tables of 1.2. */
export const LINES = ["1.0", "1.1", "1.2", "1.4"] as const;
export type Line = (typeof LINES)[number];

/** Whether something that came with `since` is there in a schema of `line`. */
export function exists(since: Line, line: Line): boolean {
  return LINES.indexOf(since) <= LINES.indexOf(line);
}

function column(storage: ExpectedColumn["storage"], since: Line = "1.0", nullable = false): ExpectedColumn {
  return { storage, nullable, since };
}

const INTEGER = column("integer");
const TEXT = column("text");
const BLOB = column("blob");
const usage = { used_space: INTEGER, used_inodes: INTEGER };
const limits = { max_space: INTEGER, max_inodes: INTEGER };

export const EXPECTED_TABLES: Readonly<Record<string, ExpectedTable>> = {
  setting: { since: "1.0", columns: { name: TEXT, value: TEXT }, primaryKey: ["name"] },
  counter: { since: "1.0", columns: { name: TEXT, value: INTEGER }, primaryKey: ["name"] },
  edge: {
    since: "1.0",
    columns: { id: INTEGER, parent: INTEGER, name: BLOB, inode: INTEGER, type: INTEGER },
    primaryKey: ["id"],
    unique: ["parent", "name"],
    index: ["inode"],
    generated: true,
  },
  node: {
    since: "1.0",
    columns: {
      inode: INTEGER,
      type: INTEGER,
      flags: INTEGER,
      mode: INTEGER,
      uid: INTEGER,
      gid: INTEGER,
      atime: INTEGER,
      mtime: INTEGER,
      ctime: INTEGER,
      atimensec: column("integer", "1.1"),
      mtimensec: column("integer", "1.1"),
      ctimensec: column("integer", "1.1"),
      nlink: INTEGER,
      length: INTEGER,
      rdev: column("integer", "1.0", true),
      parent: column("integer", "1.0", true),
      access_acl_id: column("integer", "1.2", true),
      default_acl_id: column("integer", "1.2", true),
      tier_id: column("integer", "1.4", true),
    },
    primaryKey: ["inode"],
  },
  acl: {
    since: "1.2",
    columns: {
      id: INTEGER,
      owner: column("integer", "1.2", true),
      group: column("integer", "1.2", true),
      mask: column("integer", "1.2", true),
      other: column("integer", "1.2", true),
      named_users: column("blob", "1.2", true),
      named_groups: column("blob", "1.2", true),
    },
    primaryKey: ["id"],
    generated: true,
  },
  delegation_token: {
    since: "1.4",
    columns: { id: INTEGER, token: column("blob", "1.4", true) },
    primaryKey: ["id"],
    generated: true,
  },
  chunk: {
    since: "1.0",
    columns: { id: INTEGER, inode: INTEGER, indx: INTEGER, slices: { ...BLOB, appended: true } },
    primaryKey: ["id"],
    unique: ["inode", "indx"],
    generated: true,
  },
  chunk_ref: {
    since: "1.0",
    columns: { chunkid: INTEGER, size: INTEGER, refs: INTEGER },
    primaryKey: ["chunkid"],
    index: ["refs"],
  },
  delslices: {
    since: "1.0",
    columns: { chunkid: INTEGER, deleted: INTEGER, slices: BLOB },
    primaryKey: ["chunkid"],
  },
  symlink: { since: "1.0", columns: { inode: INTEGER, target: BLOB }, primaryKey: ["inode"] },
  xattr: {
    since: "1.0",
    columns: { id: INTEGER, inode: INTEGER, name: TEXT, value: BLOB },
    primaryKey: ["id"],
    unique: ["inode", "name"],
    generated: true,
  },
  flock: {
    since: "1.0",
    columns: { id: INTEGER, inode: INTEGER, sid: INTEGER, owner: INTEGER, ltype: INTEGER },
    primaryKey: ["id"],
    unique: ["inode", "sid", "owner"],
    generated: true,
  },
  plock: {
    since: "1.0",
    columns: { id: INTEGER, inode: INTEGER, sid: INTEGER, owner: INTEGER, records: BLOB },
    primaryKey: ["id"],
    unique: ["inode", "sid", "owner"],
    generated: true,
  },
  session: {
    since: "1.0",
    columns: { sid: INTEGER, heartbeat: INTEGER, info: column("blob", "1.0", true) },
    primaryKey: ["sid"],
    optional: true,
  },
  session2: {
    since: "1.0",
    columns: { sid: INTEGER, expire: INTEGER, info: column("blob", "1.0", true) },
    primaryKey: ["sid"],
  },
  sustained: {
    since: "1.0",
    columns: { id: INTEGER, sid: INTEGER, inode: INTEGER },
    primaryKey: ["id"],
    unique: ["sid", "inode"],
    generated: true,
  },
  delfile: { since: "1.0", columns: { inode: INTEGER, length: INTEGER, expire: INTEGER }, primaryKey: ["inode"] },
  dir_stats: {
    since: "1.1",
    columns: { inode: INTEGER, data_length: INTEGER, ...usage },
    primaryKey: ["inode"],
  },
  detached_node: { since: "1.1", columns: { inode: INTEGER, added: INTEGER }, primaryKey: ["inode"] },
  dir_quota: { since: "1.1", columns: { inode: INTEGER, ...limits, ...usage }, primaryKey: ["inode"] },
  user_group_quota: {
    since: "1.4",
    columns: { qtype: INTEGER, qkey: INTEGER, ...limits, ...usage },
    primaryKey: ["qtype", "qkey"],
  },
  change_log: { since: "1.4", columns: { id: INTEGER, entry: TEXT }, primaryKey: ["id"], generated: true },
};
