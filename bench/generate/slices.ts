import { sliceBytes, writeSlice } from "./dump-writer.ts";
import type { Numbers } from "./numbers.ts";
import type { Random } from "./random.ts";

export const chunkBytes = 64 << 20;
const slicesPerChunkMax = 120;

/** The data of a small file, kept so that a later file can be its clone: one chunk with one slice. */
export interface Extents {
  id: number;
  size: number;
  length: number;
  slices: Buffer;
  bytes: number;
}

/** Makes the slice records of chunks. */
export interface Slices {
  /** What `fill` wrote last. */
  buffer: Buffer;
  /**
   * Writes the slices of one chunk that holds `length` bytes into `buffer` and gives the number of bytes: one slice, or with
   * `multi` appended or overwritten pieces as a log or a database file leaves them between two compactions.
   */
  fill(client: number, length: number, multi: boolean, fileLength: number): number;
  /** The newest file that may be cloned, none right after a clone. */
  clonable(): Extents | undefined;
  forgetClonable(): void;
  count(): number;
  end(): number;
}

export function openSlices(ids: Numbers, random: Random): Slices {
  const buffer = Buffer.alloc(slicesPerChunkMax * sliceBytes);
  const kept: Extents = {
    id: 0,
    size: 0,
    length: 0,
    slices: Buffer.alloc(sliceBytes),
    bytes: sliceBytes,
  };
  let count = 0;

  function put(at: number, client: number, pos: number, length: number): number {
    writeSlice(buffer, at, pos, ids.next(client), length, 0, length);
    count++;
    return at + sliceBytes;
  }

  function skipIds(client: number): void {
    // Other open files of the same client take numbers in between.
    for (let others = random.below(4); others > 0; others--) {
      ids.next(client);
    }
  }

  function fillMulti(client: number, length: number): number {
    const pieces = Math.min(slicesPerChunkMax, length, 2 + Math.floor(random.exponential(1.8)));
    let at = 0;
    if (random.chance(0.3)) {
      at = put(at, client, 0, length);
      for (let piece = 1; piece < pieces; piece++) {
        skipIds(client);
        const pos = Math.floor((random.unit() * length) / 4096) * 4096;
        at = put(at, client, pos, Math.min(length - pos, 4096 * (1 + Math.floor(random.exponential(30)))));
      }
      return at;
    }
    let pos = 0;
    for (let piece = 1; piece <= pieces; piece++) {
      const rest = length - pos - (pieces - piece);
      const share =
        piece === pieces ? rest : Math.max(1, Math.min(rest, Math.floor((length / pieces) * 2 * random.unit())));
      at = put(at, client, pos, share);
      pos += share;
      skipIds(client);
    }
    return at;
  }

  return {
    buffer,
    fill(client, length, multi, fileLength) {
      if (multi && length > 1) {
        return fillMulti(client, length);
      }
      const at = put(0, client, 0, length);
      if (length === fileLength) {
        kept.id = Number(buffer.readBigUInt64BE(4));
        kept.size = length;
        kept.length = length;
        buffer.copy(kept.slices, 0, 0, at);
      }
      return at;
    },
    clonable: () => (kept.id === 0 ? undefined : kept),
    forgetClonable() {
      kept.id = 0;
    },
    count: () => count,
    end: () => ids.end(),
  };
}
