/** A real volume in SQLite that also fits into MySQL. */
import { DatabaseSync } from "node:sqlite";
import { quickstartVolume } from "./sqlite-fixtures.ts";

/** Puts a volume into a folder, without what MySQL cannot hold (docs/engines/limits.md) or the real client cannot dump; its path. */
export function fittingVolume(folder: string): string {
  const path = quickstartVolume(folder);
  const database = new DatabaseSync(path);
  database.exec("DELETE FROM jfs_xattr WHERE name = 'user.TEXT' OR instr(CAST(name AS BLOB), x'FF') > 0");
  database.exec("UPDATE jfs_node SET rdev = rdev & 65535");
  database.close();
  return path;
}
