import { fstatSync } from "node:fs";

import { corrupt } from "./corrupt.ts";
import { readAt } from "./read-at.ts";

/** https://sqlite.org/fileformat2.html, "The Write-Ahead Log": 32 bytes of header, then frames of 24 bytes and one page. */
export const walHeaderBytes = 32;
export const walFrameHeaderBytes = 24;

const magicLittleEndian = 0x377f0682;
const magicBigEndian = 0x377f0683;
const knownVersion = 3007000;

export interface WalHeader {
  /** Byte order of the words that the checksums add up; stored numbers are big-endian always. */
  readonly bigEndianChecksums: boolean;
  readonly pageSize: number;
  readonly checkpointSequence: number;
  readonly salt1: number;
  readonly salt2: number;
  /** Checksum over the first 24 bytes, where the frames' sums start from. */
  readonly checksum1: number;
  readonly checksum2: number;
}

/** One committed state that a log holds. */
export interface WalCommit {
  /** The last frame of the commit, from 1; 0 when the log holds no commit. */
  readonly frame: number;
  /** Size of the database in pages after it; 0 when the log holds no commit. */
  readonly pageCount: number;
  /** Page number of every frame up to the commit. */
  readonly pages: Uint32Array;
}

/** Reads a log's header; `undefined` where SQLite, too, takes the log for empty: cut short, unknown magic, wrong checksum. */
export function readWalHeader(fd: number, path: string): WalHeader | undefined {
  const bytes = new Uint8Array(walHeaderBytes);
  if (readAt(fd, bytes, 0, walHeaderBytes, 0) < walHeaderBytes) return undefined;
  return parseWalHeader(bytes, path);
}

/** Parses the 32 bytes of a log's header; see `readWalHeader`. */
function parseWalHeader(bytes: Uint8Array, path: string): WalHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if (magic !== magicLittleEndian && magic !== magicBigEndian) return undefined;
  const pageSize = view.getUint32(8);
  if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const bigEndianChecksums = magic === magicBigEndian;
  const sum = walChecksum(bytes, 0, 24, 0, 0, bigEndianChecksums);
  const [checksum1, checksum2] = [view.getUint32(24), view.getUint32(28)];
  if (sum[0] !== checksum1 || sum[1] !== checksum2) return undefined;
  const version = view.getUint32(4);
  if (version !== knownVersion) throw corrupt(path, `the log has version ${version}; only ${knownVersion} is known`);
  return {
    bigEndianChecksums,
    pageSize,
    checkpointSequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    checksum1,
    checksum2,
  };
}

/**
 * SQLite's running checksum over an even number of 32-bit words, continued from `sum1` and `sum2` (as unsigned numbers).
 * `start` and `end` are byte offsets.
 */
export function walChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  sum1: number,
  sum2: number,
  bigEndian: boolean,
): [number, number] {
  let s1 = sum1 | 0;
  let s2 = sum2 | 0;
  if (bigEndian) {
    for (let at = start; at < end; at += 8) {
      s1 = (s1 + ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) + s2) | 0;
      s2 = (s2 + ((bytes[at + 4] << 24) | (bytes[at + 5] << 16) | (bytes[at + 6] << 8) | bytes[at + 7]) + s1) | 0;
    }
  } else {
    for (let at = start; at < end; at += 8) {
      s1 = (s1 + ((bytes[at + 3] << 24) | (bytes[at + 2] << 16) | (bytes[at + 1] << 8) | bytes[at]) + s2) | 0;
      s2 = (s2 + ((bytes[at + 7] << 24) | (bytes[at + 6] << 16) | (bytes[at + 5] << 8) | bytes[at + 4]) + s1) | 0;
    }
  }
  return [s1 >>> 0, s2 >>> 0];
}

/**
 * Finds the last commit of a log as SQLite's recovery does: frames count as long as salts and running checksums are right, and
 * of those only the ones up to the last commit mark.
 */
export function recoverWal(fd: number, header: WalHeader): WalCommit {
  const frameBytes = header.pageSize + walFrameHeaderBytes;
  const frameMax = Math.max(0, Math.floor((fstatSync(fd).size - walHeaderBytes) / frameBytes));
  const perRead = Math.max(1, Math.floor(1048576 / frameBytes));
  const bytes = new Uint8Array(perRead * frameBytes);
  const view = new DataView(bytes.buffer);
  let pages = new Uint32Array(Math.min(frameMax, 1024));
  let commitFrame = 0;
  let pageCount = 0;
  let sum: [number, number] = [header.checksum1, header.checksum2];

  scan: for (let first = 0; first < frameMax; first += perRead) {
    const wanted = Math.min(perRead, frameMax - first);
    const done = readAt(fd, bytes, 0, wanted * frameBytes, walHeaderBytes + first * frameBytes);
    const whole = Math.floor(done / frameBytes);
    for (let index = 0; index < whole; index++) {
      const at = index * frameBytes;
      const page = view.getUint32(at);
      if (page === 0 || view.getUint32(at + 8) !== header.salt1 || view.getUint32(at + 12) !== header.salt2) break scan;
      sum = walChecksum(bytes, at, at + 8, sum[0], sum[1], header.bigEndianChecksums);
      sum = walChecksum(bytes, at + walFrameHeaderBytes, at + frameBytes, sum[0], sum[1], header.bigEndianChecksums);
      if (view.getUint32(at + 16) !== sum[0] || view.getUint32(at + 20) !== sum[1]) break scan;
      const frame = first + index + 1;
      if (frame > pages.length) {
        const grown = new Uint32Array(Math.min(frameMax, pages.length * 2));
        grown.set(pages);
        pages = grown;
      }
      pages[frame - 1] = page;
      const truncated = view.getUint32(at + 4);
      if (truncated !== 0) {
        commitFrame = frame;
        pageCount = truncated;
      }
    }
    if (whole < wanted) break;
  }
  return { frame: commitFrame, pageCount, pages: pages.subarray(0, commitFrame) };
}

/** The header of one frame (from 1); `undefined` when the file ends before it. */
export function readFrameHeader(fd: number, pageSize: number, frame: number): WalFrameHeader | undefined {
  const bytes = new Uint8Array(walFrameHeaderBytes);
  const position = walHeaderBytes + (frame - 1) * (pageSize + walFrameHeaderBytes);
  if (readAt(fd, bytes, 0, walFrameHeaderBytes, position) < walFrameHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer);
  return {
    page: view.getUint32(0),
    pageCount: view.getUint32(4),
    salt1: view.getUint32(8),
    salt2: view.getUint32(12),
    checksum1: view.getUint32(16),
    checksum2: view.getUint32(20),
  };
}

export interface WalFrameHeader {
  readonly page: number;
  /** Size of the database in pages when the frame ends a commit, else 0. */
  readonly pageCount: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly checksum1: number;
  readonly checksum2: number;
}
