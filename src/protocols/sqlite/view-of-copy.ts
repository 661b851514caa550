import { randomUUID } from "node:crypto";
import { rmSync, statfsSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CairnError } from "../../model/errors.ts";
import { isBusy, openReadConnection, sqliteReadOnlyRollback, sqliteResultCode } from "./connection.ts";
import type { ReadConnection } from "./connection.ts";
import { cloneFile, copyBytes } from "./copy-file.ts";
import type { Descriptors } from "./descriptors.ts";
import { identityOfDescriptor, identityOfPath, sameFile } from "./file-identity.ts";
import { headerBytes, parseHeader } from "./header.ts";
import { readAt } from "./read-at.ts";
import type { DatabaseView, ViewOptions } from "./view.ts";
import { openPrivateFile } from "./view-of-private-file.ts";
import { lockedOut } from "./view-of-transaction.ts";

const lockStepMs = 50;

/**
 * A view of a database with a rollback journal. A reader's lock there keeps every writer from committing, so it is held for
 * the time of a copy only, and the copy is read. `undefined` when the database became a WAL database or was replaced meanwhile.
 * Errors: `source-would-block` when the copy takes too long, `sqlite-hot-journal`, `source-busy`, `no-space`.
 */
export async function openCopyView(
  path: string,
  main: number,
  descriptors: Descriptors,
  options: ViewOptions,
): Promise<DatabaseView | undefined> {
  const copyPath = join(options.temporaryFolder, `${basename(path)}-${randomUUID()}.copy`);
  // A clone is tried without the lock first: opening and closing the file, as it does, drops the lock (see descriptors.ts).
  const clones = cloneFile(path, copyPath);
  rmSync(copyPath, { force: true });
  if (!clones) checkSpace(path, main, options.temporaryFolder);

  const connection = openReadConnection(path, lockStepMs);
  let copied = false;
  let lockMs = 0;
  try {
    await lockForReading(path, connection, options);
    const began = performance.now();
    const head = new Uint8Array(headerBytes);
    const header = parseHeader(head.subarray(0, readAt(main, head, 0, headerBytes, 0)), path);
    const file = identityOfDescriptor(main);
    if (header.walMode || !sameFile(file, identityOfPath(path))) return undefined;
    const byteCount = Number(file.bytes);
    const deadline = options.allowBlock === true ? Number.POSITIVE_INFINITY : began + (options.copyMsMax ?? 3000);
    copied = clones ? cloneFile(path, copyPath) : await copyBytes(main, copyPath, byteCount, deadline, options.signal);
    connection.execute("ROLLBACK");
    lockMs = performance.now() - began;
    if (!copied) throw wouldBlock(path, byteCount, options);
  } catch (error) {
    rmSync(copyPath, { force: true });
    throw (error as NodeJS.ErrnoException).code === "ENOSPC" ? noSpace(path, options.temporaryFolder, error) : error;
  } finally {
    connection.close();
    if (copied) descriptors.release();
  }

  return openPrivateFile(copyPath, {
    shownPath: path,
    method: "copy-under-lock",
    sentence: clones ? "a clone of the file, made under a read lock" : "a copy of the file, made under a read lock",
    position: { lockMs: Math.round(lockMs) },
    release: () => rmSync(copyPath, { force: true }),
    signal: options.signal,
  });
}

async function lockForReading(path: string, connection: ReadConnection, options: ViewOptions): Promise<void> {
  const waitEnd = performance.now() + (options.lockWaitMsMax ?? 5000);
  for (;;) {
    options.signal?.throwIfAborted();
    connection.execute("BEGIN");
    try {
      connection.rows("SELECT count(*) FROM sqlite_schema");
      return;
    } catch (error) {
      connection.execute("ROLLBACK");
      if (sqliteResultCode(error) === sqliteReadOnlyRollback) throw hotJournal(path, error);
      if (!isBusy(error)) throw error;
      if (performance.now() > waitEnd) throw lockedOut(path, error);
    }
    await sleep(5);
  }
}

function checkSpace(path: string, main: number, folder: string): void {
  const { bsize, bavail } = statfsSync(folder);
  if (bsize * bavail < Number(identityOfDescriptor(main).bytes)) throw noSpace(path, folder, undefined);
}

function noSpace(path: string, folder: string, cause: unknown): CairnError {
  return new CairnError(
    "no-space",
    `${folder} has no room for a copy of ${path}, which a database with a rollback journal needs`,
    {
      unharmed: "the database was only read, and no lock is held",
      next: "name another temporary folder (TMPDIR)",
      cause,
    },
  );
}

function wouldBlock(path: string, byteCount: number, options: ViewOptions): CairnError {
  const seconds = (options.copyMsMax ?? 3000) / 1000;
  return new CairnError(
    "source-would-block",
    `${path}: copying its ${byteCount} bytes takes over ${seconds} s, and writers wait as long`,
    {
      unharmed: "the lock was released, the copy deleted, the database only read",
      next: "use --allow-block when writers may wait, or stop them",
      exit: "sourceUnreachable",
      details: { path, byteCount },
    },
  );
}

function hotJournal(path: string, cause: unknown): CairnError {
  return new CairnError(
    "sqlite-hot-journal",
    `${path} holds half a transaction of a client that died; its rollback journal must be played back first`,
    {
      unharmed: "the database was only read",
      next: "open the volume once with its own client (or with sqlite3), which plays the journal back",
      exit: "sourceUnreachable",
      cause,
    },
  );
}
