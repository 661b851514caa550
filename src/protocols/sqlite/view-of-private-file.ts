import { closeSync, openSync } from "node:fs";

import { CairnError } from "../../model/errors.ts";
import type { Facts } from "../../model/ports.ts";
import { corrupt } from "./corrupt.ts";
import { identityOfDescriptor, identityOfPath } from "./file-identity.ts";
import type { FileIdentity } from "./file-identity.ts";
import { readHeader } from "./header.ts";
import type { DatabaseHeader } from "./header.ts";
import { makeView } from "./view.ts";
import type { DatabaseView, ViewMethod } from "./view.ts";
import { walHeaderBytes } from "./wal.ts";

/**
 * A view of a database file that nobody else works on, such as one that this process has just written and closed. No lock, no
 * copy. Refuses a file with a log or a journal beside it, `sqlite-not-alone`: then it is no single file.
 */
export function openPrivateView(path: string, signal?: AbortSignal): DatabaseView {
  const wal = identityOfPath(`${path}-wal`);
  const journal = identityOfPath(`${path}-journal`);
  if ((wal !== undefined && wal.bytes > BigInt(walHeaderBytes)) || (journal !== undefined && journal.bytes > 0n)) {
    throw new CairnError("sqlite-not-alone", `${path} has a log or a journal beside it`, {
      unharmed: "the database was only read",
      next: "close what has it open, or open it as a database that is in use",
    });
  }
  return openPrivateFile(path, {
    shownPath: path,
    method: "private-file",
    sentence: "a file that nothing else has open",
    position: {},
    release: () => {},
    signal,
  });
}

export interface PrivateFile {
  /** The path for messages. */
  readonly shownPath: string;
  readonly method: ViewMethod;
  readonly sentence: string;
  readonly position: Facts;
  /** Called after the file was closed, also when opening it fails. */
  readonly release: () => void;
  readonly signal: AbortSignal | undefined;
}

/** A view of a single file that no one changes. */
export function openPrivateFile(path: string, file: PrivateFile): DatabaseView {
  const fd = openSync(path, "r");
  let closed = false;
  function release(): void {
    if (closed) return;
    closed = true;
    closeSync(fd);
    file.release();
  }
  try {
    const header = readHeader(fd, file.shownPath);
    return makeView({
      path: file.shownPath,
      fd,
      pageSize: header.pageSize,
      usableBytes: header.pageSize - header.reservedBytes,
      pageCount: filePageCount(file.shownPath, header, identityOfDescriptor(fd)),
      wal: undefined,
      method: file.method,
      sentence: file.sentence,
      position: file.position,
      verifyUnchanged: () => {},
      release,
      signal: file.signal,
    });
  } catch (error) {
    release();
    throw error;
  }
}

/** Pages of a database without a log: what the header says, or what the file holds where the header does not say. */
export function filePageCount(path: string, header: DatabaseHeader, file: FileIdentity): number {
  const held = Math.floor(Number(file.bytes) / header.pageSize);
  if (header.pageCount > held)
    throw corrupt(path, `the file is cut off: it holds ${held} of ${header.pageCount} pages`);
  return header.pageCount === 0 ? held : header.pageCount;
}
