import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CairnError, messageOf } from "../../model/errors.ts";

/**
 * A first-in first-out queue of bytes that never holds its writer back: up to `memoryBytes` in blocks of memory, the rest in a
 * temporary file, which has no name any more once it is open. For one reader and one writer of the same thread.
 */
export interface SpillQueue extends Disposable {
  /** Copies the bytes. Throws `no-space`. */
  write(bytes: Uint8Array): void;
  /** The next bytes, at most `blockBytes` of them, valid until the next call; `undefined` when there are none at the moment. */
  read(): Uint8Array | undefined;
  /** Bytes written and not read. */
  readonly pendingBytes: number;
  /** Bytes that went through the file until now. */
  readonly spilledBytes: number;
}

export const blockBytes = 256 << 10;

interface Block {
  readonly bytes: Buffer;
  start: number;
  end: number;
}

export interface SpillQueueOptions {
  /** Where the temporary file is made. */
  readonly folder: string;
  readonly memoryBytes: number;
}

export function openSpillQueue({ folder, memoryBytes }: SpillQueueOptions): SpillQueue {
  const blocksMax = Math.max(2, Math.floor(memoryBytes / blockBytes));
  const blocks: Block[] = [];
  const free: Block[] = [];
  let file: number | undefined;
  let fileBlock: Buffer | undefined;
  // What lies between the two positions is in the file, and later than all that lies in blocks.
  let fileStart = 0;
  let fileEnd = 0;
  let pendingBytes = 0;
  let spilledBytes = 0;

  function takeBlock(): Block | undefined {
    const recycled = free.pop();
    if (recycled !== undefined) return recycled;
    // A recycled block counts as well: together they are never more than `blocksMax`.
    if (blocks.length >= blocksMax) return undefined;
    return { bytes: Buffer.allocUnsafeSlow(blockBytes), start: 0, end: 0 };
  }
  function writeToFile(bytes: Uint8Array): void {
    try {
      file ??= openUnnamed(folder);
      for (let written = 0; written < bytes.length;) {
        const count = writeSync(file, bytes, written, bytes.length - written, fileEnd);
        written += count;
        fileEnd += count;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      throw noSpace(folder, fileEnd - fileStart + bytes.length, undefined, error);
    }
    spilledBytes += bytes.length;
  }
  function readFromFile(from: number): Uint8Array {
    fileBlock ??= Buffer.allocUnsafeSlow(blockBytes);
    const wanted = Math.min(blockBytes, fileEnd - fileStart);
    const count = readSync(from, fileBlock, 0, wanted, fileStart);
    if (count === 0) throw new Error("the temporary file of the transfer is shorter than what was written to it");
    fileStart += count;
    if (fileStart === fileEnd) {
      fileStart = 0;
      fileEnd = 0;
      ftruncateSync(from, 0);
    }
    return fileBlock.subarray(0, count);
  }

  return {
    get pendingBytes() {
      return pendingBytes;
    },
    get spilledBytes() {
      return spilledBytes;
    },
    write(bytes) {
      pendingBytes += bytes.length;
      let at = 0;
      while (at < bytes.length && fileEnd === fileStart) {
        let tail = blocks.at(-1);
        if (tail === undefined || tail.end === blockBytes) {
          tail = takeBlock();
          if (tail === undefined) break;
          blocks.push(tail);
        }
        const count = Math.min(bytes.length - at, blockBytes - tail.end);
        tail.bytes.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), tail.end);
        tail.end += count;
        at += count;
      }
      if (at < bytes.length) writeToFile(at === 0 ? bytes : bytes.subarray(at));
    },
    read() {
      let head = blocks.at(0);
      if (head !== undefined && head.start === blockBytes) {
        blocks.shift();
        head.start = 0;
        head.end = 0;
        free.push(head);
        head = blocks.at(0);
      }
      if (head !== undefined && head.start < head.end) {
        const piece = head.bytes.subarray(head.start, head.end);
        head.start = head.end;
        pendingBytes -= piece.length;
        return piece;
      }
      if (fileStart === fileEnd || file === undefined) return undefined;
      const piece = readFromFile(file);
      pendingBytes -= piece.length;
      return piece;
    },
    [Symbol.dispose]() {
      blocks.length = 0;
      free.length = 0;
      if (file !== undefined) closeSync(file);
      file = undefined;
      fileStart = 0;
      fileEnd = 0;
    },
  };
}

/** A file without a name: it goes with the process, however that ends. */
function openUnnamed(folder: string): number {
  const own = mkdtempSync(join(folder, "transfer-"));
  try {
    return openSync(join(own, "rest"), "wx+", 0o600);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** Throws `no-space` unless the folder's file system has room for that many bytes. */
export function requireSpace(folder: string, neededBytes: number): void {
  let freeBytes: number;
  try {
    const { bavail, bsize } = statfsSync(folder);
    freeBytes = bavail * bsize;
  } catch (error) {
    throw new CairnError("temporary-folder", `cannot use the temporary folder ${folder}: ${messageOf(error)}`, {
      next: "name another folder in TMPDIR",
      cause: error,
    });
  }
  if (freeBytes < neededBytes) throw noSpace(folder, neededBytes, freeBytes);
}

function noSpace(folder: string, neededBytes: number, freeBytes: number | undefined, cause?: unknown): CairnError {
  const needed = `${Math.ceil(neededBytes / 1e6)} MB`;
  const is = freeBytes === undefined ? "is full" : `has ${Math.floor(freeBytes / 1e6)} MB free`;
  return new CairnError(
    "no-space",
    `the transfer may need ${needed} in the temporary folder ${folder}, whose file system ${is}`,
    {
      unharmed: "the source and the repository are unchanged",
      next: "make room there, or name another folder in TMPDIR",
      details: { folder, neededBytes },
      cause,
    },
  );
}
