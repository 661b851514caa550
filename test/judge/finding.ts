/** How grave a finding is: an `error` is a defect of the volume; an `info` is something a healthy, mounted volume may show too. */
export type Severity = "error" | "info";

/** One thing the judge found: a stable code, its severity, the record it is about, and what is wrong with it. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** The record, as `table key`, for example `edge 1/etc%2Fx` or `node 17`. Bytes that are not printable stand as `%XX`. */
  readonly record: string;
  readonly message: string;
}

/**
 * Every code the judge knows, with its severity and the rule that was broken. Rules are those of the reference (the numbers are its
 * sections); where a rule was read too strictly there and a real volume showed otherwise, the comment says so.
 */
export const FINDING_CODES = {
  // Setting, §1.5
  "setting-missing": ["error", "the setting exists"],
  "setting-unparsable": ["error", "the setting is a JSON object"],
  "setting-field": ["error", "a field of the setting has a valid value"],
  "setting-secret": ["error", "wrapped secrets of the setting open with the UUID"],
  "setting-secret-removed": ["info", "no secret of the setting was removed"],

  // Counters, §1.4
  "counter-missing": ["error", "the counters an engine must have exist"],
  "counter-duplicate": ["error", "a counter exists once"],
  "counter-range": ["error", "a counter is in its range"],
  "counter-next-inode": ["error", "nextInode is above every inode that is referred to"],
  "counter-next-chunk": ["error", "nextChunk is above every slice id that is referred to"],
  "counter-next-trash": ["error", "nextTrash is not below the highest trash directory"],
  "counter-next-session": ["error", "nextSession is not below the highest session id"],
  "counter-acl-id": ["error", "the next ACL id is above every ACL id"],
  "counter-used-space": ["info", "usedSpace is the sum over all nodes (clients flush late)"],
  "counter-total-inodes": ["info", "totalInodes is the number of nodes (clients flush late)"],

  // Root and trash, §1.2
  "root-missing": ["error", "inode 1 exists"],
  "root-wrong": ["error", "inode 1 is a directory whose parent is itself"],
  "trash-root-missing": ["error", "the trash root exists when TrashDays is above 0"],
  "trash-root-wrong": ["error", "the trash root is a directory below inode 1"],
  "trash-directory": ["error", "inodes above the trash root are directories in it, named by hour"],
  "trash-entry-name": ["error", "an entry of a trash directory is named parent-inode-name"],

  // Nodes, §1.2
  "node-inode": ["error", "an inode number is above 0"],
  "node-duplicate": ["error", "an inode exists once"],
  "node-type": ["error", "a type is one of 1 to 7"],
  "node-mode": ["error", "a mode has 12 bits"],
  "node-flags": ["error", "flags have 6 bits"],
  "node-owner": ["error", "uid, gid, nlink and rdev have 32 bits"],
  "node-time": ["error", "nanoseconds are below one second"],
  "node-rdev": ["info", "only devices have a device number"],
  "node-tier": ["info", "a tier is listed in the setting"],
  "node-unreachable": ["error", "a node has a name, or a reason to have none"],
  "node-parent": ["error", "the parent of a node is where its name is (0 where it has or had several names)"],
  "nlink-directory": ["error", "nlink of a directory is 2 + its sub-directories"],
  "nlink-file": ["error", "nlink of anything else is the number of its names"],
  "nlink-trash": ["info", "nlink at or above the trash root is 2"],
  "length-directory": ["error", "the length of a directory is 4096"],
  "length-symlink": ["error", "the length of a symbolic link is that of its target"],
  "length-other": ["error", "a special file has length 0"],

  // Edges, §1.3
  "edge-name": ["error", "a name has 1 to 255 bytes, no slash, no NUL, and is neither . nor .."],
  "edge-duplicate": ["error", "a name exists once in its directory"],
  "edge-node-missing": ["error", "a name leads to a node"],
  "edge-parent-missing": ["error", "the directory of a name exists"],
  "edge-parent-type": ["error", "the parent of a name is a directory"],
  "edge-type": ["error", "the type in a name is that of its node"],
  "edge-to-root": ["error", "no name leads to the root or to the trash root"],
  "directory-many-parents": ["error", "a directory has one name"],
  "directory-loop": ["error", "no directory is its own ancestor"],
  "parents-record": ["error", "parents records count the names of nodes whose parent is 0"],

  // Contents, §1.3
  "symlink-target-missing": ["error", "a symbolic link has a target"],
  "symlink-target": ["error", "a target has 1 to 4096 bytes and no NUL"],
  "symlink-orphan": ["error", "a target belongs to a symbolic link"],
  "symlink-duplicate": ["error", "a symbolic link has one target"],
  "xattr-orphan": ["error", "an extended attribute belongs to a node"],
  "xattr-name": ["error", "the name of an extended attribute has 1 to 255 bytes and no NUL"],
  "xattr-duplicate": ["error", "an extended attribute exists once"],
  "chunk-orphan": ["error", "a chunk belongs to a node or to a deleted file"],
  "chunk-not-file": ["error", "a chunk belongs to a regular file"],
  "chunk-duplicate": ["error", "a chunk exists once"],
  "chunk-index": ["error", "a chunk index has 32 bits"],
  "chunk-beyond-length": ["info", "a chunk lies within the length of its file"],
  "chunk-empty": ["info", "a chunk has slices"],
  "slice-record": ["error", "slice records have 24 bytes"],
  "slice-position": ["error", "a slice ends within its chunk"],
  "slice-window": ["error", "the used window lies within the slice"],
  "slice-hole": ["error", "a hole has neither size nor offset"],
  "slice-empty": ["info", "a slice has a length"],
  "slice-size": ["error", "a slice id has one size"],
  "slice-ref-missing": ["error", "every slice has a reference count"],
  "slice-ref-count": ["error", "a reference count is the number of records that name the slice"],
  "slice-ref-orphan": ["error", "a reference count above 0 belongs to a slice"],
  "slice-ref-pending": ["info", "no slice waits for its deletion"],
  "slice-ref-duplicate": ["error", "a slice has one reference count"],
  "delslices-record": ["error", "delayed slice records have 12 bytes and an id above 0"],

  // Access control, §1.3
  "acl-missing": ["error", "the ACL rules of a node exist"],
  "acl-default": ["error", "only directories have a default ACL"],
  "acl-rule": ["error", "an ACL rule can be read and its permissions have 3 bits"],
  "acl-duplicate": ["error", "an ACL id exists once"],

  // Side records, §1.3
  "sustained-orphan": ["error", "a sustained inode has a node"],
  "sustained-linked": ["error", "a sustained inode has no name left"],
  "sustained-duplicate": ["error", "a sustained inode is listed once for a session"],
  "sustained-session": ["info", "the session of a sustained inode exists"],
  "delfile-node": ["error", "a deleted file has no node"],
  "delfile-length": ["error", "a deleted file has a length of at least 0"],
  "delfile-duplicate": ["error", "a deleted file is listed once"],
  "detached-orphan": ["error", "a detached node exists"],
  "detached-linked": ["error", "a detached node has no name"],
  "session-info": ["info", "session information is JSON"],
  "lock-orphan": ["info", "a lock belongs to a node and a session"],
  "lock-record": ["error", "a lock record can be read"],
  "dir-stats-missing": ["info", "a directory has statistics when DirStats is on"],
  "dir-stats-orphan": ["info", "directory statistics belong to a directory"],
  "dir-stats-wrong": ["info", "directory statistics are the sums over its entries (clients flush late)"],
  "dir-stats-duplicate": ["error", "a directory has statistics once"],
  "quota-orphan": ["error", "a quota belongs to a directory"],
  "quota-range": ["error", "the limits of a quota are -1 or above"],
  "quota-usage": ["info", "the usage of a quota is the sum over what it covers (clients flush late)"],
  "quota-duplicate": ["error", "a quota exists once"],

  // How an engine stores it
  "record-unreadable": ["error", "a record can be read as its table says"],
  "storage-class": ["error", "a value is stored in the type JuiceFS looks it up by"],
  "attr-form": ["error", "a node's record has one of its forms and ends in a byte of 0 (Redis)"],
  "key-expires": ["error", "no key expires (Redis)"],
  "key-unknown": ["info", "a key is one of JuiceFS (Redis)"],
  integrity: ["error", "the engine finds its own file in order"],
  "sequence-low": ["error", "a sequence is not below the highest id of its table"],
  "sequence-missing": ["error", "a table with generated ids has its sequence"],
  "schema-table-missing": ["error", "a table exists"],
  "schema-table-unknown": ["info", "a table is known"],
  "schema-column-missing": ["error", "a column exists"],
  "schema-column-unknown": ["info", "a column is known"],
  "schema-column": ["error", "a column has the type, NULL rule, default and key that JuiceFS gives it"],
  "schema-index": ["error", "an index exists with its columns and uniqueness"],
  "schema-index-unknown": ["info", "an index is known"],
  "schema-table-definition": ["error", "a table generates its ids as JuiceFS makes it"],
  "schema-pragma": ["info", "the settings stored in the file are those of JuiceFS"],
  "more-findings": ["info", "no code has more findings than are listed"],
} as const satisfies Record<string, readonly [Severity, string]>;

export type FindingCode = keyof typeof FINDING_CODES;

/** Takes findings in; the severity follows from the code. */
export type Report = (code: FindingCode, record: string, message: string) => void;

export interface FindingList {
  readonly report: Report;
  /** The findings so far, in the order they were made; what exceeded the limit of a code is counted in a `more-findings` each. */
  readonly findings: () => Finding[];
}

/** Opens a list of findings that keeps the first `limitPerCode` of each code, so that a ruined volume of millions of records stays readable. */
export function openFindingList(limitPerCode = 1000): FindingList {
  const kept: Finding[] = [];
  const counts = new Map<FindingCode, number>();
  return {
    report(code, record, message) {
      const count = (counts.get(code) ?? 0) + 1;
      counts.set(code, count);
      if (count <= limitPerCode) {
        kept.push({ code, severity: FINDING_CODES[code][0], record, message });
      }
    },
    findings() {
      const more: Finding[] = [];
      for (const [code, count] of counts) {
        if (count > limitPerCode) {
          const severity = FINDING_CODES[code][0];
          more.push({
            code: "more-findings",
            severity,
            record: code,
            message: `${count - limitPerCode} more of this code`,
          });
        }
      }
      return [...kept, ...more];
    },
  };
}

/** Only the errors among findings. */
export function errorsOf(findings: readonly Finding[]): Finding[] {
  return findings.filter((finding) => finding.severity === "error");
}

/** One line for a person: `error edge-type edge 1/name: …`. */
export function formatFinding(finding: Finding): string {
  return `${finding.severity} ${finding.code} ${finding.record}: ${finding.message}`;
}

/** Prints bytes so that every byte can be told: printable ASCII except `%` stands for itself, everything else is `%XX`. */
export function printBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x25;
    text += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
