import { CairnError } from "../model/errors.ts";
import { batchFromRows, rowAt } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";
import { hashKeys } from "./key.ts";
import { chainMax } from "./limits.ts";
import { decodePage, encodePage } from "./page.ts";

/** Where a frame lies. */
export interface FrameLocation {
  /** 16-byte id of the pack, as hex. */
  pack: string;
  offset: number;
  length: number;
}

/** What the index says of one page: of a table's records, of the index itself, or a part of a large value. */
export interface IndexEntry {
  firstKey: Uint8Array;
  /** Opaque 32-byte id, as hex; the SHA-256 of the raw page in a repository without encryption. */
  id: string;
  rawBytes: number;
  /** Records in the page, or below it. */
  records: number;
  tail: number;
  location: FrameLocation;
  /** Empty for a page stored whole; else the frames that its patch rests on, from its direct base to the whole page. */
  chain: FrameLocation[];
}

/** The table of which index pages are made (docs/format.md, "Index"). */
export const indexSchema: TableSchema = {
  name: "index",
  keyCount: 1,
  columns: [
    { name: "first", type: "bytes", encoding: "front" },
    { name: "id", type: "bytes", encoding: "bytes" },
    { name: "raw", type: "u32", encoding: "plain" },
    { name: "records", type: "u64", encoding: "plain" },
    { name: "tail", type: "u32", encoding: "plain" },
    { name: "pack", type: "bytes", encoding: "bytes" },
    { name: "offset", type: "u32", encoding: "delta" },
    { name: "length", type: "u32", encoding: "plain" },
    { name: "chain", type: "bytes", encoding: "bytes" },
  ],
};

const locationBytes = 24;

export function encodeIndexPage(entries: readonly IndexEntry[]): Uint8Array<ArrayBuffer> {
  return encodePage(indexSchema, indexBatch(entries), 0, entries.length).raw;
}

function indexBatch(entries: readonly IndexEntry[]): ReturnType<typeof batchFromRows> {
  const rows = entries.map((entry) => [
    entry.firstKey,
    Buffer.from(entry.id, "hex"),
    entry.rawBytes,
    entry.records,
    entry.tail,
    Buffer.from(entry.location.pack, "hex"),
    entry.location.offset,
    entry.location.length,
    encodeChain(entry.chain),
  ]);
  return batchFromRows(indexSchema, 0, rows);
}

/** Throws `page-damaged` on anything that is no index page. */
export function decodeIndexPage(page: Uint8Array): IndexEntry[] {
  const { batch } = decodePage(indexSchema, 0, page);
  const entries: IndexEntry[] = [];
  for (let row = 0; row < batch.count; row += 1) {
    const [firstKey, id, rawBytes, records, tail, pack, offset, length, chain] = rowAt(indexSchema, batch, row);
    const isWhole =
      (id as Uint8Array).length === 32 &&
      (pack as Uint8Array).length === 16 &&
      (chain as Uint8Array).length % locationBytes === 0 &&
      Number.isSafeInteger(Number(records));
    if (!isWhole)
      throw new CairnError("page-damaged", "an index page has an entry of no page", { exit: "repositoryDamaged" });
    entries.push({
      firstKey: firstKey as Uint8Array,
      id: Buffer.from(id as Uint8Array).toString("hex"),
      rawBytes: rawBytes as number,
      records: Number(records),
      tail: tail as number,
      location: {
        pack: Buffer.from(pack as Uint8Array).toString("hex"),
        offset: offset as number,
        length: length as number,
      },
      chain: decodeChain(chain as Uint8Array),
    });
  }
  return entries;
}

export function encodeChain(chain: readonly FrameLocation[]): Uint8Array {
  const bytes = Buffer.alloc(chain.length * locationBytes);
  chain.forEach((location, index) => {
    bytes.write(location.pack, index * locationBytes, "hex");
    bytes.writeUInt32LE(location.offset, index * locationBytes + 16);
    bytes.writeUInt32LE(location.length, index * locationBytes + 20);
  });
  return bytes;
}

/** Throws `page-damaged` on a chain that is longer than chains may be, or cut off. */
export function decodeChain(bytes: Uint8Array): FrameLocation[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length > chainMax * locationBytes || buffer.length % locationBytes !== 0) {
    throw new CairnError("page-damaged", `an index page holds a chain of ${buffer.length} bytes`, {
      exit: "repositoryDamaged",
    });
  }
  const chain: FrameLocation[] = [];
  for (let at = 0; at + locationBytes <= buffer.length; at += locationBytes) {
    const pack = buffer.toString("hex", at, at + 16);
    chain.push({ pack, offset: buffer.readUInt32LE(at + 16), length: buffer.readUInt32LE(at + 20) });
  }
  return chain;
}

const indexEntriesMin = 64;
const indexEntriesMax = 1024;
/** One in 192: an index page holds 256 entries on average. */
const indexCutHashBelow = 22_369_621;

/** Cuts a level of the index into runs for its pages, by the hashes of first keys as pages of records are cut. */
export function cutIndex(entries: readonly IndexEntry[]): IndexEntry[][] {
  const hashes = new Uint32Array(entries.length);
  hashKeys(indexSchema, indexBatch(entries), 0, entries.length, hashes);
  const runs: IndexEntry[][] = [];
  let run: IndexEntry[] = [];
  entries.forEach((entry, at) => {
    run.push(entry);
    if (run.length === indexEntriesMax || (run.length >= indexEntriesMin && hashes[at] < indexCutHashBelow)) {
      runs.push(run);
      run = [];
    }
  });
  if (run.length > 0) runs.push(run);
  return runs;
}
