import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { releaseBytes } from "../std/release.ts";
import { CairnError, messageOf } from "../model/errors.ts";

/*
 * A frame: how one page, or the body of a manifest, is stored (docs/format.md, "Frames"). Four bytes, then the payload:
 *   codec u8    0 as it is, 1 zstd, 2 zstd of a patch script
 *   cipher u8   0 none
 *   key u16     0
 * One-shot zstd only: node's stream class appends an empty frame at times, and nbWorkers fails on larger input. And the synchronous
 * calls: for pages of 100 KB the asynchronous ones cost five times as much processor time as zstd itself (2.2 s instead of 0.4 s for
 * a million files, with 700 ms of garbage collection).
 */
const codecs = { raw: 0, zstd: 1, patch: 2 } as const;
const frameHeaderBytes = 4;

/** Level 6 stores 3 % less than level 3 and takes 0.4 s more for a million files, on a thread that has that time (docs/benchmarks.md). */
const level = 6;

/**
 * Shorter sections share a zstd frame with the next: its header, tables and context must pay. From 1,024 to 4,096 a million files take a quarter
 * less time to compress, and 0.1 % more bytes.
 */
const sectionBytesMin = 4096;

/**
 * A frame of bytes on their own. Where `sections` are given the payload is a zstd frame for each, one after the other: numbers, packed
 * digits and text need tables of their own, which stores 4 % less (9 % of names) at no cost in time.
 */
export function encodeFrame(raw: Uint8Array, sections: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const to of [...sections, raw.length]) {
    if (to - from < sectionBytesMin && to < raw.length) continue;
    parts.push(compress(raw.subarray(from, to)));
    from = to;
  }
  return parts.reduce((sum, part) => sum + part.length, 0) < raw.length
    ? withHeader(codecs.zstd, parts)
    : withHeader(codecs.raw, [raw.slice()]);
}

/** The same, decoded again and compared: what is stored is what was meant. */
export function encodeCheckedFrame(raw: Uint8Array, sections: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const frame = encodeFrame(raw, sections);
  const decoded = decodeFrame(frame, "a page that was just encoded");
  requireSame(decoded, raw);
  releaseBytes(decoded);
  return frame;
}

/** Throws `encoding-failed` when what was read back is not what was written. */
export function requireSame(decoded: Uint8Array, raw: Uint8Array): void {
  if (Buffer.compare(decoded, raw) === 0) return;
  throw new CairnError("encode-failed", "a page decodes to other bytes than it was encoded from", {
    unharmed: "nothing was published",
    next: "run the backup again; if it fails again, this machine's memory or this build is at fault: please report it",
  });
}

/** A frame of a patch script (`patch.ts`): its page is made from another one's records. */
export function encodePatchFrame(script: Uint8Array): Uint8Array {
  return withHeader(codecs.patch, [compress(script)]);
}

/**
 * Node collects the output in chunks of 16 KiB unless told otherwise, and joins several to one: garbage that piles up in every thread that compresses.
 * With one chunk that nearly always suffices the backup of nine million records peaks at 168 MiB instead of 191.
 */
const chunkBytesMin = 1024;

function compress(bytes: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, {
    chunkSize: Math.max(chunkBytesMin, bytes.length >>> 1),
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
}

function withHeader(codec: number, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(frameHeaderBytes + parts.reduce((sum, part) => sum + part.length, 0));
  frame[0] = codec;
  let at = frameHeaderBytes;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
    releaseBytes(part);
  }
  return frame;
}

/** Whether a frame holds a patch script instead of a page. */
export function isPatch(frame: Uint8Array): boolean {
  return frame[0] === codecs.patch;
}

/** No page is longer: 1 MiB of rows, and what headers and wide planes may add. */
const rawBytesMax = 8 << 20;

/**
 * The bytes of a frame: a page, a patch script or a manifest's body; at most `bytesMax` long. Throws `frame-damaged`, or
 * `frame-unknown` for a codec or cipher of a newer format.
 */
export function decodeFrame(frame: Uint8Array, what: string, bytesMax = rawBytesMax): Uint8Array {
  if (frame.length < frameHeaderBytes) throw damaged(what, "it is shorter than a header");
  const [codec, cipher, key, keyHigh] = frame;
  if (codec > codecs.patch || cipher !== 0 || key !== 0 || keyHigh !== 0) {
    throw new CairnError(
      "frame-unknown",
      `cannot read ${what}: codec ${codec}, cipher ${cipher} are unknown to this Cairn`,
      {
        exit: "repositoryDamaged",
        unharmed: "nothing was changed",
        next: "use the version of Cairn that wrote this repository, or a newer one",
      },
    );
  }
  const payload = frame.subarray(frameHeaderBytes);
  if (codec === codecs.raw) return payload;
  try {
    return zstdDecompressSync(payload, { maxOutputLength: bytesMax });
  } catch (error) {
    throw damaged(what, messageOf(error));
  }
}

function damaged(what: string, reason: string): CairnError {
  return new CairnError("frame-damaged", `cannot read ${what}: ${reason}`, { exit: "repositoryDamaged" });
}
