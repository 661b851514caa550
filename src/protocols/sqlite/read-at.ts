import { readSync } from "node:fs";

/** Reads up to `length` bytes at `position` into `bytes` from `offset`; fewer only at the end of the file. */
export function readAt(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, offset + done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
