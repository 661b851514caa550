import { DatabaseSync } from "node:sqlite";
import { quickstartVolume } from "./sqlite-fixtures.ts";

/** The quick start's volume in SQLite without what PostgreSQL cannot hold; its URL. */
export function fittingVolume(folder: string): string {
  const path = quickstartVolume(folder);
  const database = new DatabaseSync(path);
  database.exec("DELETE FROM jfs_xattr WHERE instr(CAST(name AS BLOB), x'FF') > 0");
  database.exec("UPDATE jfs_node SET rdev = rdev & 65535");
  database.close();
  return `sqlite3://${path}`;
}
