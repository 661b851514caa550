import { setTimeout as sleep } from "node:timers/promises";

import { CairnError } from "../../model/errors.ts";
import { isBusy, openAndCloseLast, openReadConnection } from "./connection.ts";
import type { ReadConnection } from "./connection.ts";
import { corrupt } from "./corrupt.ts";
import type { Descriptors } from "./descriptors.ts";
import { identityOfDescriptor, identityOfPath, sameFile, sameState } from "./file-identity.ts";
import type { FileIdentity } from "./file-identity.ts";
import type { DatabaseHeader } from "./header.ts";
import type { WalOverlay } from "./page-source.ts";
import { compareWithConnection, makeView, sourceChanged } from "./view.ts";
import type { DatabaseView, ViewOptions } from "./view.ts";
import { saltText } from "./view-of-idle-file.ts";
import { readFrameHeader, readWalHeader } from "./wal.ts";
import { readWalIndexHeader, readWalIndexPages } from "./wal-index.ts";
import type { WalIndexHeader } from "./wal-index.ts";
import { buildWalMap } from "./wal-map.ts";

/** A lock is asked for in steps, between which the signal is looked at. */
const lockStepMs = 50;
/** A writer that commits all the time may slip in between the two looks at the wal-index; each try takes well under 1 ms. */
const attemptsMax = 500;

/**
 * A view of a WAL database that clients may be writing to, held by a read transaction of SQLite itself. `undefined` when the
 * side files were replaced meanwhile: look again.
 *
 * Why this is one state. The wal-index header is read before the transaction begins and after it read something. Equal headers
 * mean that no commit came between, so the transaction's snapshot is the header's last frame M. The number B of frames that are
 * copied into the database file already is read between the two.
 * - B < M: the transaction cannot have taken read mark 0, since that asks for B = M and B only grows; it holds another mark,
 *   which keeps the log from being begun anew and a checkpoint from copying frames above M. Pages of the frames B+1 … M come
 *   from the log, all others from the file, where a checkpoint can only write pages that we take from the log.
 * - B = M: the file holds everything. Under mark 0 no checkpoint may run at all; under another mark none copies beyond M.
 */
export async function openTransactionView(
  path: string,
  main: number,
  descriptors: Descriptors,
  header: DatabaseHeader,
  options: ViewOptions,
): Promise<DatabaseView | undefined> {
  const { signal } = options;
  const { pageSize } = header;
  const walPath = `${path}-wal`;
  const shmPath = `${path}-shm`;
  const wal = openIfThere(descriptors, walPath);
  const shm = openIfThere(descriptors, shmPath);
  if (wal === undefined || shm === undefined) return undefined;

  const connection = openReadConnection(path, lockStepMs);
  let handedOver = false;
  try {
    const index = await beginSnapshot(path, connection, shm, options);
    const files: [number, string][] = [
      [main, path],
      [wal, walPath],
      [shm, shmPath],
    ];
    if (!files.every(([fd, filePath]) => sameFile(identityOfDescriptor(fd), identityOfPath(filePath))))
      return undefined;
    // An index of an empty log may hold no size yet.
    if (index.lastFrame > 0 && index.pageSize !== pageSize)
      throw corrupt(shmPath, `it names a page size of ${index.pageSize}, the database ${pageSize}`);

    const overlay = overlayOf(index, wal, walPath, shm, pageSize);
    const before = identityOfDescriptor(main);
    handedOver = true;
    const view = makeView({
      path,
      fd: main,
      pageSize,
      usableBytes: pageSize - header.reservedBytes,
      pageCount: index.pageCount === 0 ? Math.floor(Number(before.bytes) / pageSize) : index.pageCount,
      wal: overlay,
      method: "wal-transaction",
      sentence: "one read transaction (WAL)",
      position: {
        walFrame: index.lastFrame,
        walBackfilled: index.backfilledFrames,
        walSalt: saltText(index),
        walChangeCounter: index.changeCounter,
      },
      verifyUnchanged() {
        const now = overlay === undefined ? undefined : readWalHeader(wal, walPath);
        const kept =
          overlay === undefined
            ? sameState(before, identityOfDescriptor(main))
            : now !== undefined && now.salt1 === overlay.salt1 && now.salt2 === overlay.salt2;
        if (!kept) throw sourceChanged(path, "the read transaction lost its lock");
      },
      release() {
        connection.close();
        descriptors.release();
      },
      signal,
    });
    try {
      compareWithConnection(view.database, connection);
    } catch (error) {
      view.close();
      throw error;
    }
    return view;
  } finally {
    if (!handedOver) {
      connection.close();
      removeOwnSideFiles(path, identityOfDescriptor(wal));
    }
  }
}

/**
 * When the last client went between our look at the side files and our opening, SQLite made new ones for us. A connection that
 * may write, when it is the last, takes them away on closing; SQLite's own locks decide whether it is.
 */
function removeOwnSideFiles(path: string, seen: FileIdentity): void {
  const now = identityOfPath(`${path}-wal`);
  if (now === undefined || now.bytes > 0n || sameFile(seen, now)) return;
  try {
    openAndCloseLast(path);
  } catch {
    // Without the right to write, empty side files stay; the next client takes them over.
  }
}

/** Begins a read transaction whose snapshot is that of the returned header. */
async function beginSnapshot(
  path: string,
  connection: ReadConnection,
  shm: number,
  options: ViewOptions,
): Promise<WalIndexHeader> {
  const waitEnd = performance.now() + (options.lockWaitMsMax ?? 5000);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    options.signal?.throwIfAborted();
    const before = readWalIndexHeader(shm);
    if (await tryBegin(path, connection, waitEnd)) {
      const index = readWalIndexHeader(shm);
      const after = readWalIndexHeader(shm);
      if (before?.identity === index?.identity && index?.identity === after?.identity && index !== undefined)
        return index;
      connection.execute("ROLLBACK");
    }
    // At first at once, then at lengths that no writer's rhythm matches.
    if (attempt >= 10) await sleep(1 + (attempt % 7));
  }
  throw new CairnError("source-busy", `${path}: no moment between two commits was found in ${attemptsMax} tries`, {
    unharmed: "the database was only read",
    next: "run it again when less is being written",
    exit: "sourceUnreachable",
  });
}

async function tryBegin(path: string, connection: ReadConnection, waitEnd: number): Promise<boolean> {
  connection.execute("BEGIN");
  try {
    connection.rows("SELECT count(*) FROM sqlite_schema");
    return true;
  } catch (error) {
    connection.execute("ROLLBACK");
    if (!isBusy(error)) throw error;
    if (performance.now() > waitEnd) throw lockedOut(path, error);
    await sleep(5);
    return false;
  }
}

/** The error for a lock that was not given in time. */
export function lockedOut(path: string, cause: unknown): CairnError {
  return new CairnError("source-busy", `${path} is locked by another process`, {
    unharmed: "the database was only read",
    next: "run it again when the other process is done",
    exit: "sourceUnreachable",
    cause,
  });
}

function overlayOf(
  index: WalIndexHeader,
  wal: number,
  walPath: string,
  shm: number,
  pageSize: number,
): WalOverlay | undefined {
  const { lastFrame, backfilledFrames } = index;
  if (backfilledFrames >= lastFrame) return undefined;
  const frame = readFrameHeader(wal, pageSize, lastFrame);
  const matches =
    frame !== undefined &&
    frame.salt1 === index.salt1 &&
    frame.salt2 === index.salt2 &&
    frame.checksum1 === index.checksum1 &&
    frame.checksum2 === index.checksum2 &&
    frame.pageCount === index.pageCount;
  const pages = readWalIndexPages(shm, backfilledFrames + 1, lastFrame);
  if (!matches || pages === undefined)
    throw corrupt(walPath, `frame ${lastFrame} is not the commit that the wal-index names`);
  return {
    fd: wal,
    path: walPath,
    map: buildWalMap(pages, backfilledFrames + 1),
    salt1: index.salt1,
    salt2: index.salt2,
  };
}

function openIfThere(descriptors: Descriptors, path: string): number | undefined {
  try {
    return descriptors.open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
