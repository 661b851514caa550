import { closeSync, openSync, realpathSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isBusy, openReadConnection } from "../../../protocols/sqlite/connection.ts";
import { readHeader } from "../../../protocols/sqlite/header.ts";
import { openView } from "../../../protocols/sqlite/open-view.ts";
import { openPrivateFile } from "../../../protocols/sqlite/view-of-private-file.ts";
import type { DatabaseView } from "../../../protocols/sqlite/view.ts";

const waitMs = 5000;

/**
 * A view for a few page reads. A WAL database gets the usual one; a database with a rollback journal is not copied for it, but read
 * under its read lock, which writers wait for: close it at once.
 */
export async function openBriefView(path: string, temporaryFolder: string): Promise<DatabaseView> {
  if (isWalOrMissing(path)) return openView(path, { temporaryFolder });
  const real = realpathSync(path);
  const connection = openReadConnection(real, 50);
  try {
    const deadline = performance.now() + waitMs;
    for (;;) {
      connection.execute("BEGIN");
      try {
        connection.rows("SELECT count(*) FROM sqlite_schema");
        break;
      } catch (error) {
        connection.execute("ROLLBACK");
        if (!isBusy(error) || performance.now() > deadline) throw error;
      }
      await sleep(5);
    }
    return openPrivateFile(real, {
      shownPath: path,
      method: "copy-under-lock",
      sentence: "a copy of the file, made under a read lock",
      position: {},
      release: () => connection.close(),
      signal: undefined,
    });
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** A missing file is left to `openView`, which says so. */
function isWalOrMissing(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return true;
  }
  try {
    return readHeader(file, path).walMode;
  } finally {
    closeSync(file);
  }
}
