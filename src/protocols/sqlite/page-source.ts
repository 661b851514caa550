import { CairnError } from "../../model/errors.ts";
import { corrupt } from "./corrupt.ts";
import { readAt } from "./read-at.ts";
import type { WalMap } from "./wal-map.ts";
import { walFrameHeaderBytes, walHeaderBytes } from "./wal.ts";

/** The frames of a write-ahead log that belong to the state being read. */
export interface WalOverlay {
  readonly fd: number;
  readonly path: string;
  readonly map: WalMap;
  readonly salt1: number;
  readonly salt2: number;
}

/** Where the pages of one database state come from. Pages are numbered from 1. */
export interface PageSource {
  readonly path: string;
  readonly fd: number;
  readonly pageSize: number;
  /** Page size less the bytes that the database reserves at its end. */
  readonly usableBytes: number;
  readonly pageCount: number;
  readonly wal: WalOverlay | undefined;
  /** Called before every read; throws when the view was closed, since the descriptor's number may be another file's by then. */
  ensureOpen(): void;
}

/** Reads pages into one buffer of its own, many at a time. A page stays valid until the next call. */
export interface PageReader {
  readonly bytes: Uint8Array;
  /** Reads one page; its offset in `bytes`. */
  load(page: number): number;
  /**
   * Reads as many of `pages[from … to)` as one read of neighbouring pages gives, at least one; writes where each begins to
   * `offsets[0 …]` and returns their number. Pages between them may be read too, when that is cheaper than a second read.
   */
  loadRun(pages: Uint32Array, from: number, to: number, offsets: Uint32Array): number;
}

/** Pages that are read needlessly rather than with a second system call. */
const gapBytesMax = 16384;

/** A reader with a buffer of about `bufferBytes` (never less than one frame). */
export function openPageReader(source: PageSource, bufferBytes: number): PageReader {
  const { pageSize, wal } = source;
  const frameBytes = pageSize + walFrameHeaderBytes;
  const bytes = new Uint8Array(Math.max(bufferBytes, frameBytes));
  const gapMax = Math.max(1, Math.floor(gapBytesMax / pageSize));
  const one = new Uint32Array(1);
  const oneOffset = new Uint32Array(1);
  // The page that holds the bytes that SQLite locks, at 1 GiB, never holds data.
  const lockPage = 2 ** 30 / pageSize + 1;

  function check(page: number): void {
    if (page === 0 || page > source.pageCount || page === lockPage) {
      throw corrupt(source.path, `page ${page} is referred to, but the database has ${source.pageCount} pages`, {
        page,
      });
    }
  }

  function loadFrames(overlay: WalOverlay, pages: Uint32Array, from: number, to: number, offsets: Uint32Array): number {
    const first = overlay.map.frameOf(pages[from]);
    const last = Math.min(to, from + Math.floor(bytes.length / frameBytes));
    let next = from + 1;
    while (next < last && overlay.map.frameOf(pages[next]) === first + (next - from)) next++;
    const count = next - from;
    const position = walHeaderBytes + (first - 1) * frameBytes;
    if (readAt(overlay.fd, bytes, 0, count * frameBytes, position) < count * frameBytes) {
      throw corrupt(overlay.path, `the file ends before frame ${first + count - 1}`, { frame: first + count - 1 });
    }
    for (let index = 0; index < count; index++) {
      const at = index * frameBytes;
      const page = pages[from + index];
      check(page);
      if (
        unsigned(bytes, at) !== page ||
        unsigned(bytes, at + 8) !== overlay.salt1 ||
        unsigned(bytes, at + 12) !== overlay.salt2
      ) {
        throw new CairnError(
          "source-changed",
          `${overlay.path}: frame ${first + index} is no longer the one of page ${page}`,
          {
            unharmed: "the database was only read",
            next: "run the backup again",
          },
        );
      }
      offsets[index] = at + walFrameHeaderBytes;
    }
    return count;
  }

  function loadRun(pages: Uint32Array, from: number, to: number, offsets: Uint32Array): number {
    source.ensureOpen();
    const first = pages[from];
    check(first);
    if (wal !== undefined && wal.map.frameOf(first) !== 0) return loadFrames(wal, pages, from, to, offsets);
    const pagesMax = Math.floor(bytes.length / pageSize);
    let previous = first;
    let next = from + 1;
    while (next < to) {
      const page = pages[next];
      if (page <= previous || page - previous > gapMax || page - first >= pagesMax || page > source.pageCount) break;
      if (wal !== undefined && wal.map.frameOf(page) !== 0) break;
      previous = page;
      next++;
    }
    const length = (previous - first + 1) * pageSize;
    const done = readAt(source.fd, bytes, 0, length, (first - 1) * pageSize);
    if (done < length) {
      throw corrupt(source.path, `the file ends before page ${first + Math.floor(done / pageSize)}`, {
        page: first + Math.floor(done / pageSize),
      });
    }
    for (let index = from; index < next; index++) {
      check(pages[index]);
      offsets[index - from] = (pages[index] - first) * pageSize;
    }
    return next - from;
  }

  return {
    bytes,
    load(page) {
      one[0] = page;
      loadRun(one, 0, 1, oneOffset);
      return oneOffset[0];
    },
    loadRun,
  };
}

function unsigned(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
