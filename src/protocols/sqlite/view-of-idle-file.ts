import { readAt } from "./read-at.ts";
import type { Descriptors } from "./descriptors.ts";
import { corrupt } from "./corrupt.ts";
import { identityOfPath, sameFile, sameState, settledIdentity } from "./file-identity.ts";
import type { FileIdentity } from "./file-identity.ts";
import { readHeader } from "./header.ts";
import type { WalOverlay } from "./page-source.ts";
import { makeView, sourceChanged } from "./view.ts";
import type { DatabaseView, ViewOptions } from "./view.ts";
import { filePageCount } from "./view-of-private-file.ts";
import { readWalHeader, recoverWal, walHeaderBytes } from "./wal.ts";
import { buildWalMap } from "./wal-map.ts";

/**
 * A view of a WAL database without a wal-index (no client shares it) or with one that we may not write to: the file and,
 * where there is a log, the log's last commit, found by its checksums. SQLite would have to create side files for a lock, so none is
 * taken; `verifyUnchanged` says at the end whether anybody wrote. Gives nothing when somebody does so just now: then look again.
 */
export async function openIdleView(
  path: string,
  main: number,
  descriptors: Descriptors,
  options: ViewOptions,
): Promise<DatabaseView | undefined> {
  const before = await settledIdentity(main, options.signal);
  const walBefore = identityOfPath(`${path}-wal`);
  if (!sameFile(before, identityOfPath(path))) return undefined;
  try {
    return openStill(path, main, descriptors, { before, walBefore }, options.signal);
  } catch (error) {
    const walNow = identityOfPath(`${path}-wal`);
    const isSameLog = walBefore === undefined ? walNow === undefined : sameFile(walBefore, walNow);
    if (isSameLog && sameState(before, identityOfPath(path))) throw error;
    return undefined;
  }
}

interface Still {
  readonly before: FileIdentity;
  readonly walBefore: FileIdentity | undefined;
}

function openStill(
  path: string,
  main: number,
  descriptors: Descriptors,
  { before, walBefore }: Still,
  signal: AbortSignal | undefined,
): DatabaseView | undefined {
  // Read here, since one that was read earlier need not belong to this identity.
  const header = readHeader(main, path);
  if (!header.walMode) return undefined;
  const { pageSize } = header;
  const walPath = `${path}-wal`;
  let overlay: WalOverlay | undefined;
  let logHead: Uint8Array | undefined;
  let pageCount = filePageCount(path, header, before);
  let frame = 0;
  if (walBefore !== undefined && walBefore.bytes >= walHeaderBytes) {
    const fd = descriptors.open(walPath);
    const walHeader = readWalHeader(fd, walPath);
    logHead = firstBytes(fd);
    if (walHeader !== undefined) {
      if (walHeader.pageSize !== pageSize) {
        throw corrupt(walPath, `the log has pages of ${walHeader.pageSize} bytes, the database of ${pageSize}`);
      }
      const commit = recoverWal(fd, walHeader);
      frame = commit.frame;
      if (frame > 0) {
        pageCount = commit.pageCount;
        overlay = {
          fd,
          path: walPath,
          map: buildWalMap(commit.pages, 1),
          salt1: walHeader.salt1,
          salt2: walHeader.salt2,
        };
      }
    }
  }

  function verifyUnchanged(): void {
    if (!sameState(before, identityOfPath(path))) throw sourceChanged(path, "the database file changed");
    const walAfter = identityOfPath(walPath);
    if (logHead === undefined) {
      if (walAfter !== undefined && walAfter.bytes > BigInt(walHeaderBytes))
        throw sourceChanged(path, "a client began to write");
    } else if (walBefore === undefined || !sameFile(walBefore, walAfter))
      throw sourceChanged(path, "the log was removed or replaced");
    else if (
      overlay === undefined ? walAfter?.bytes !== walBefore.bytes : !Buffer.from(logHead).equals(firstBytes(overlay.fd))
    ) {
      throw sourceChanged(path, "the log was begun anew");
    }
  }

  return makeView({
    path,
    fd: main,
    pageSize,
    usableBytes: pageSize - header.reservedBytes,
    pageCount,
    wal: overlay,
    method: overlay === undefined ? "idle-file" : "idle-log",
    sentence:
      overlay === undefined
        ? "the database file, read without a lock and unchanged from the first read to the last"
        : "the database file with the last commit of its log, read without a lock and unchanged from the first read to the last",
    position:
      overlay === undefined
        ? { modifiedNs: String(before.modifiedNs) }
        : { walFrame: frame, walSalt: saltText(overlay), modifiedNs: String(before.modifiedNs) },
    verifyUnchanged,
    release: () => descriptors.release(),
    signal,
  });
}

/** The two salts of a log, which change whenever it is begun anew, in hexadecimal. */
export function saltText(salts: { readonly salt1: number; readonly salt2: number }): string {
  return [salts.salt1, salts.salt2].map((salt) => salt.toString(16).padStart(8, "0")).join("");
}

function firstBytes(fd: number): Uint8Array {
  const bytes = new Uint8Array(walHeaderBytes);
  return bytes.subarray(0, readAt(fd, bytes, 0, walHeaderBytes, 0));
}
