import { DatabaseSync } from "node:sqlite";
import { bytesToText } from "../src/std/byte-text.ts";

const rootInode = 1n;

/** Paths of a volume in a SQLite database, written as the command line takes them. */
export interface SamplePaths {
  /** Regular files, spread over the inode numbers. */
  files: string[];
  /** Their directories. */
  directories: string[];
  /** The directory with the most entries. */
  largest: string;
}

export function samplePaths(database: string, count: number): SamplePaths {
  const open = new DatabaseSync(database, { readOnly: true });
  try {
    const first = (sql: string, ...values: (bigint | number)[]): Record<string, unknown> => {
      const statement = open.prepare(sql);
      statement.setReadBigInts(true);
      const row = statement.get(...values);
      if (row === undefined) throw new Error(`the volume has no row for: ${sql}`);
      return row;
    };
    const pathOf = (inode: bigint): string => {
      const parts: string[] = [];
      for (let at = inode; at !== rootInode;) {
        const { parent } = first("SELECT parent FROM jfs_node WHERE inode = ?", at) as { parent: bigint };
        const edge = first("SELECT name FROM jfs_edge WHERE parent = ? AND inode = ?", parent, at);
        parts.unshift(bytesToText(edge["name"] as Uint8Array));
        at = parent;
      }
      return `/${parts.join("/")}`;
    };
    // Trash directories, above 2^53, are not on the way from the root.
    const { last } = first("SELECT max(inode) AS last FROM jfs_node WHERE inode < 1 << 53") as { last: bigint };
    const files: string[] = [];
    const directories: string[] = [];
    for (let index = 0; index < count; index++) {
      const from = (last * BigInt(2 * index + 1)) / BigInt(2 * count);
      const file = first(
        "SELECT inode, parent FROM jfs_node WHERE inode >= ? AND type = 1 AND parent BETWEEN 1 AND 1 << 53 LIMIT 1",
        from,
      ) as { inode: bigint; parent: bigint };
      files.push(pathOf(file.inode));
      directories.push(pathOf(file.parent));
    }
    const { inode } = first("SELECT inode FROM jfs_dir_stats ORDER BY used_inodes DESC LIMIT 1") as { inode: bigint };
    return { files, directories, largest: pathOf(inode) };
  } finally {
    open.close();
  }
}
