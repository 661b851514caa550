import { createHash } from "node:crypto";
import { batchFromRows, rowAt } from "../model/batch.ts";
import { CairnError } from "../model/errors.ts";
import type { TableSchema } from "../model/schema.ts";
import { decodeFrame, encodeFrame } from "./frame.ts";
import { decodeChain, encodeChain } from "./index-page.ts";
import type { FrameLocation } from "./index-page.ts";
import { decodePage, encodePage } from "./page.ts";

/*
 * A pack (docs/format.md, "Packs"): magic, frames, then a trailer that describes the frames, so that a pack whose manifest was never
 * written can still be reused, and a lost manifest be rebuilt.
 */
const magic = Buffer.from("CAIRNPK1", "latin1");
const endMagic = Buffer.from("CAIRNPKE", "latin1");
export const packHeaderBytes = magic.length;
/** Footer: trailer offset u32, trailer length u32, SHA-256 of the trailer, end magic. */
export const packFooterBytes = 4 + 4 + 32 + endMagic.length;
export const packBytesMax = 64 << 20;

export function packHeader(): Uint8Array {
  return Uint8Array.from(magic);
}

/** What the trailer says of one frame. */
export interface PackEntry {
  id: string;
  offset: number;
  length: number;
  rawBytes: number;
  chain: FrameLocation[];
}

const trailerSchema: TableSchema = {
  name: "pack",
  keyCount: 1,
  columns: [
    { name: "offset", type: "u32", encoding: "delta" },
    { name: "id", type: "bytes", encoding: "bytes" },
    { name: "length", type: "u32", encoding: "plain" },
    { name: "raw", type: "u32", encoding: "plain" },
    { name: "chain", type: "bytes", encoding: "bytes" },
  ],
};

/** Small enough that what a damaged frame may ask for stays small. */
const trailerRunFrames = 1024;

/**
 * Trailer and footer; the trailer is a sequence of length-prefixed frames, each of a page of the table `pack`. Chains take hundreds of bytes
 * a frame otherwise, a fifth of an incremental backup.
 */
export function encodePackEnd(entries: readonly PackEntry[], trailerOffset: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < entries.length; at += trailerRunFrames) {
    const rows = entries
      .slice(at, at + trailerRunFrames)
      .map((entry) => [
        entry.offset,
        Buffer.from(entry.id, "hex"),
        entry.length,
        entry.rawBytes,
        encodeChain(entry.chain),
      ]);
    const page = encodePage(trailerSchema, batchFromRows(trailerSchema, 0, rows), 0, rows.length).raw;
    const length = Buffer.alloc(4);
    const frame = encodeFrame(page);
    length.writeUInt32LE(frame.length);
    parts.push(length, frame);
  }
  const trailer = Buffer.concat(parts);
  const footer = Buffer.alloc(packFooterBytes);
  footer.writeUInt32LE(trailerOffset, 0);
  footer.writeUInt32LE(trailer.length, 4);
  createHash("sha256").update(trailer).digest().copy(footer, 8);
  endMagic.copy(footer, 40);
  return Buffer.concat([trailer, footer]);
}

/** Where the trailer lies, from a pack's last bytes; throws `pack-damaged`. */
export function decodePackFooter(
  footer: Uint8Array,
  pack: string,
): { offset: number; length: number; hash: Uint8Array } {
  const buffer = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength);
  if (buffer.length !== packFooterBytes || !buffer.subarray(40).equals(endMagic))
    throw damaged(pack, "its end mark is missing");
  return { offset: buffer.readUInt32LE(0), length: buffer.readUInt32LE(4), hash: buffer.subarray(8, 40) };
}

export function decodePackTrailer(trailer: Uint8Array, hash: Uint8Array, pack: string): PackEntry[] {
  if (!createHash("sha256").update(trailer).digest().equals(hash))
    throw damaged(pack, "its trailer does not match its hash");
  const buffer = Buffer.from(trailer.buffer, trailer.byteOffset, trailer.byteLength);
  const entries: PackEntry[] = [];
  let at = 0;
  while (at < buffer.length) {
    const length = at + 4 > buffer.length ? 0 : buffer.readUInt32LE(at);
    if (length === 0 || at + 4 + length > buffer.length) throw damaged(pack, "its trailer ends too early");
    const page = decodeFrame(buffer.subarray(at + 4, at + 4 + length), `the trailer of pack ${pack}`);
    const { batch } = decodePage(trailerSchema, 0, page);
    for (let row = 0; row < batch.count; row += 1) {
      const [offset, id, frameLength, rawBytes, chain] = rowAt(trailerSchema, batch, row);
      entries.push({
        id: Buffer.from(id as Uint8Array).toString("hex"),
        offset: offset as number,
        length: frameLength as number,
        rawBytes: rawBytes as number,
        chain: decodeChain(chain as Uint8Array),
      });
    }
    at += 4 + length;
  }
  return entries;
}

/** Whether a pack begins as packs do. */
export function checkPackHeader(header: Uint8Array, pack: string): void {
  if (!magic.equals(header)) throw damaged(pack, "it does not begin as a pack does");
}

function damaged(pack: string, reason: string): CairnError {
  return new CairnError("pack-damaged", `pack ${pack} is damaged: ${reason}`, {
    exit: "repositoryDamaged",
    details: { pack },
  });
}
