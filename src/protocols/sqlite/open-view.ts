import { accessSync, constants, realpathSync } from "node:fs";
import { resolve } from "node:path";

import { CairnError, messageOf } from "../../model/errors.ts";
import { openDescriptors } from "./descriptors.ts";
import { headerBytes, parseHeader } from "./header.ts";
import { readAt } from "./read-at.ts";
import type { DatabaseView, ViewOptions } from "./view.ts";
import { openCopyView } from "./view-of-copy.ts";
import { openIdleView } from "./view-of-idle-file.ts";
import { openTransactionView } from "./view-of-transaction.ts";

/** Clients that come and go may take their side files away just as we look. */
const attemptsMax = 10;

/**
 * Opens one consistent state of a database, without changing it and without leaving side files. The way depends on the file:
 *
 * - WAL mode, `-wal` and `-shm` are there: clients may be connected; a read transaction of SQLite holds the state still.
 * - WAL mode without `-shm` (or one that we may not write to, so that no lock can be had): file and log are read as they are,
 *   and `verifyUnchanged` says afterwards whether that was one state.
 * - Rollback journal: the file is copied under a short lock.
 *
 * Errors: `source-not-found`, `source-unreadable`, `sqlite-not-a-database`, `sqlite-unsupported`, `sqlite-corrupt`,
 * `source-busy`, `source-would-block`, `source-changed`, `sqlite-hot-journal`, `no-space`, and the signal's reason.
 * While a view is open, the process must not close other descriptors of the file: see descriptors.ts.
 */
export async function openView(databasePath: string, options: ViewOptions): Promise<DatabaseView> {
  const path = realPath(databasePath);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    options.signal?.throwIfAborted();
    try {
      const view = await tryOpenView(path, options);
      if (view !== undefined) return view;
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error;
    }
  }
  throw new CairnError(
    "source-changed",
    `${path}: clients opened and closed it ${attemptsMax} times while it was being opened`,
    {
      unharmed: "the database was only read",
      next: "run it again",
      exit: "sourceUnreachable",
    },
  );
}

async function tryOpenView(path: string, options: ViewOptions): Promise<DatabaseView | undefined> {
  const { main, descriptors } = openForReading(path);
  let view: DatabaseView | undefined;
  try {
    const header = parseHeader(readHead(main, path), path);
    if (!header.walMode) view = await openCopyView(path, main, descriptors, options);
    else if (isShared(path)) view = await openTransactionView(path, main, descriptors, header, options);
    else view = await openIdleView(path, main, descriptors, options);
    return view;
  } finally {
    if (view === undefined) descriptors.release();
  }
}

/** Whether clients may share the database by side files through which we can take a lock, too. */
function isShared(path: string): boolean {
  try {
    accessSync(`${path}-wal`, constants.R_OK);
    accessSync(`${path}-shm`, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function realPath(path: string): string {
  try {
    // SQLite names the side files after the file that a symbolic link leads to.
    return realpathSync(resolve(path));
  } catch (error) {
    throw notReadable(path, error);
  }
}

function openForReading(path: string): ReturnType<typeof openDescriptors> {
  try {
    return openDescriptors(path);
  } catch (error) {
    throw notReadable(path, error);
  }
}

function readHead(fd: number, path: string): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  try {
    return bytes.subarray(0, readAt(fd, bytes, 0, headerBytes, 0));
  } catch (error) {
    throw notReadable(path, error);
  }
}

function notReadable(path: string, error: unknown): CairnError {
  const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
  return new CairnError(
    missing ? "source-not-found" : "source-unreadable",
    missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`,
    {
      next: missing ? "check the path" : "run it as a user who may read the file and its folder",
      exit: "sourceUnreachable",
      cause: error,
    },
  );
}
