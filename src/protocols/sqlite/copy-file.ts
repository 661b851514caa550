import { closeSync, constants, copyFileSync, openSync, rmSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import { readAt } from "./read-at.ts";

const chunkBytes = 4194304;

/** Makes `to` share the blocks of `from` where the file system can (Btrfs, XFS, …), in no time; false where it cannot. */
export function cloneFile(from: string, to: string): boolean {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    rmSync(to, { force: true });
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EXDEV", "EINVAL", "ENOTTY", "EPERM"].includes(code)) return false;
    throw error;
  }
}

/** Copies `byteCount` bytes of an open file into a new file; false, without the file, when `deadline` (of `performance.now()`) passes. */
export async function copyBytes(
  from: number,
  to: string,
  byteCount: number,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const fd = openSync(to, "wx", 0o600);
  let complete = false;
  try {
    const chunk = new Uint8Array(Math.min(chunkBytes, Math.max(1, byteCount)));
    for (let done = 0; done < byteCount;) {
      const wanted = Math.min(chunk.length, byteCount - done);
      const read = readAt(from, chunk, 0, wanted, done);
      for (let written = 0; written < read;) written += writeSync(fd, chunk, written, read - written, done + written);
      done += read;
      if (read < wanted) break;
      await nextTurn();
      signal?.throwIfAborted();
      if (done < byteCount && performance.now() > deadline) return false;
    }
    complete = true;
    return true;
  } finally {
    closeSync(fd);
    if (!complete) rmSync(to, { force: true });
  }
}
