import { endianness } from "node:os";

import { readAt } from "./read-at.ts";
import { walChecksum } from "./wal.ts";

/**
 * The header of the wal-index, the `-shm` file through which the clients of one machine share which frames are committed
 * (https://sqlite.org/walformat.html). Numbers are in the machine's own byte order.
 */
export interface WalIndexHeader {
  /** Raised by every commit. */
  readonly changeCounter: number;
  readonly pageSize: number;
  /** The last committed frame, from 1; 0 when the log is empty. */
  readonly lastFrame: number;
  /** Size of the database in pages after that frame. */
  readonly pageCount: number;
  /** Running checksum of the last committed frame. */
  readonly checksum1: number;
  readonly checksum2: number;
  readonly salt1: number;
  readonly salt2: number;
  /** Frames that are copied into the database file already. */
  readonly backfilledFrames: number;
  readonly readMarks: readonly number[];
  /** The 48 bytes of the header: two reads with equal bytes saw no commit, rollback or restart between them. */
  readonly identity: string;
}

const copyBytes = 48;
const regionBytes = 136;
const readMarkCount = 5;
const knownVersion = 3007000;

/** Frames whose page numbers stand in the first block, after the header, and in each later one; a block is 32 KiB. */
const firstBlockFrames = 4062;
const blockFrames = 4096;
const blockBytes = 32768;

const littleEndian = endianness() === "LE";

/** Reads the header; `undefined` while it is not there, not initialised, or caught in the middle of a change: try again. */
export function readWalIndexHeader(fd: number): WalIndexHeader | undefined {
  const bytes = new Uint8Array(regionBytes);
  if (readAt(fd, bytes, 0, regionBytes, 0) < regionBytes) return undefined;
  return parseWalIndexHeader(bytes);
}

/** Parses the first 136 bytes of a wal-index; see `readWalIndexHeader`. */
function parseWalIndexHeader(bytes: Uint8Array): WalIndexHeader | undefined {
  const first = Buffer.from(bytes.subarray(0, copyBytes));
  if (!first.equals(bytes.subarray(copyBytes, 2 * copyBytes))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (offset: number): number => view.getUint32(offset, littleEndian);
  if (word(0) !== knownVersion || bytes[12] === 0) return undefined;
  const sum = walChecksum(bytes, 0, 40, 0, 0, !littleEndian);
  if (sum[0] !== word(40) || sum[1] !== word(44)) return undefined;
  const size = view.getUint16(14, littleEndian);
  return {
    changeCounter: word(8),
    pageSize: (size & 0xfe00) | ((size & 1) << 16),
    lastFrame: word(16),
    pageCount: word(20),
    checksum1: word(24),
    checksum2: word(28),
    // The salts are copied from the log byte by byte, so they stay big-endian.
    salt1: view.getUint32(32),
    salt2: view.getUint32(36),
    backfilledFrames: word(96),
    readMarks: Array.from({ length: readMarkCount }, (_, index) => word(100 + 4 * index)),
    identity: first.toString("hex"),
  };
}

/**
 * Page numbers of the frames `firstFrame … lastFrame` out of the wal-index, which is faster than reading them out of the log.
 * Only while a read lock keeps these frames from being replaced. `undefined` when the file is shorter than that.
 */
export function readWalIndexPages(fd: number, firstFrame: number, lastFrame: number): Uint32Array | undefined {
  const count = Math.max(0, lastFrame - firstFrame + 1);
  const bytes = new Uint8Array(count * 4);
  let done = 0;
  while (done < count) {
    const index = firstFrame - 1 + done;
    const inFirst = index < firstBlockFrames;
    const later = index - firstBlockFrames;
    const within = inFirst ? index : later % blockFrames;
    const blockStart = inFirst ? regionBytes : blockBytes * (1 + Math.floor(later / blockFrames));
    const taken = Math.min(count - done, (inFirst ? firstBlockFrames : blockFrames) - within);
    if (readAt(fd, bytes, done * 4, taken * 4, blockStart + within * 4) < taken * 4) return undefined;
    done += taken;
  }
  const view = new DataView(bytes.buffer);
  const pages = new Uint32Array(count);
  for (let index = 0; index < count; index++) pages[index] = view.getUint32(index * 4, littleEndian);
  return pages;
}
