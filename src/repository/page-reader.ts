import { createHash } from "node:crypto";
import { CairnError } from "../model/errors.ts";
import { releaseBytes } from "../std/release.ts";
import { releaseOthers } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import type { ObjectStore } from "../model/object-store.ts";
import type { TableSchema } from "../model/schema.ts";
import { decodeFrame, isPatch } from "../format/frame.ts";
import type { FrameLocation, IndexEntry } from "../format/index-page.ts";
import { decodePage, encodePage } from "../format/page.ts";
import { applyPatchScript } from "../format/patch.ts";
import { packName } from "./layout.ts";

/** Reads pages by their index entries: fetches frames, follows patches to their base, checks ids. */
export class PageReader {
  readonly #store: ObjectStore;
  readonly #volume: string;
  /** Bytes fetched from the store so far. */
  bytesRead = 0;

  constructor(store: ObjectStore, volume: string) {
    this.#store = store;
    this.#volume = volume;
  }

  /** The raw bytes of a page of a table; throws `page-damaged` and its like, naming pack and place. */
  async read(entry: IndexEntry, schema: TableSchema): Promise<Uint8Array> {
    if (entry.chain.length > 0) return (await this.readPatched(entry, schema)).raw;
    return this.readWhole(entry);
  }

  /** The raw bytes of a page that is stored whole, or of a part of a large value. */
  async readWhole(entry: IndexEntry): Promise<Uint8Array> {
    const frame = await this.fetch(entry.location);
    if (isPatch(frame)) throw damaged(entry, "it is a patch where the index names a whole page");
    const raw = decodeFrame(frame, `the page at ${place(entry.location)}`);
    if (raw.buffer !== frame.buffer) releaseBytes(frame);
    this.#check(entry, raw);
    return raw;
  }

  /** A page that is stored as patches: the whole one at the end of its chain, and every patch from there on. */
  async readPatched(entry: IndexEntry, schema: TableSchema): Promise<{ raw: Uint8Array; batch: Batch }> {
    const { raw, batch, whole } = await this.readChain(entry, schema);
    releaseOthers(whole, [batch]);
    return { raw, batch };
  }

  /** The same, with the records of the page at the end of its chain too; the two may share columns. */
  async readChain(entry: IndexEntry, schema: TableSchema): Promise<{ raw: Uint8Array; batch: Batch; whole: Batch }> {
    const locations = [entry.location, ...entry.chain];
    const frames = await Promise.all(locations.map((location) => this.fetch(location)));
    let batch: Batch | undefined;
    let whole: Batch | undefined;
    for (let at = frames.length - 1; at >= 0; at -= 1) {
      if (isPatch(frames[at]) !== at < frames.length - 1)
        throw damaged(entry, "the index and the pack disagree on its base");
      const bytes = decodeFrame(frames[at], `the page at ${place(locations[at])}`);
      const before: Batch | undefined = batch;
      try {
        batch = before === undefined ? decodePage(schema, 0, bytes).batch : applyPatchScript(schema, before, bytes);
      } catch (error) {
        // The pieces of a chain have no ids of their own: what is wrong with one shows here first, without its place.
        throw error instanceof CairnError ? damaged(entry, error.message) : error;
      }
      // A chain leaves sixteen times its page behind, which the collector would let pile up.
      whole ??= batch;
      if (before !== undefined && before !== whole) releaseOthers(before, [batch, whole]);
      releaseBytes(bytes);
      releaseBytes(frames[at]);
    }
    const last = batch as Batch;
    const { raw } = encodePage(schema, last, 0, last.count);
    this.#check(entry, raw);
    return { raw, batch: last, whole: whole as Batch };
  }

  #check(entry: IndexEntry, raw: Uint8Array): void {
    if (raw.length !== entry.rawBytes || createHash("sha256").update(raw).digest("hex") !== entry.id) {
      throw damaged(entry, "its content does not match its id");
    }
  }

  async fetch(location: FrameLocation): Promise<Uint8Array> {
    const frame = await this.#store.get(packName(this.#volume, location.pack), location);
    if (frame === undefined) {
      throw new CairnError("pack-missing", `pack ${location.pack} is missing`, {
        exit: "repositoryDamaged",
        unharmed: "snapshots that do not use it are not affected",
        next: "put the pack back from a copy of the repository, or use another snapshot; verify lists which ones are whole",
        details: { pack: location.pack },
      });
    }
    if (frame.length < location.length) {
      throw new CairnError(
        "pack-damaged",
        `pack ${location.pack} ends before byte ${location.offset + location.length}`,
        {
          exit: "repositoryDamaged",
          details: { pack: location.pack },
        },
      );
    }
    this.bytesRead += frame.length;
    return frame;
  }
}

function place(location: FrameLocation): string {
  return `byte ${location.offset} of pack ${location.pack}`;
}

function damaged(entry: IndexEntry, reason: string): CairnError {
  const others = [...new Set(entry.chain.map(({ pack }) => pack))].filter((pack) => pack !== entry.location.pack);
  const rests =
    others.length === 0 ? "" : ` (it rests on ${others.length === 1 ? "pack" : "packs"} ${others.join(", ")} too)`;
  return new CairnError("page-damaged", `the page at ${place(entry.location)}${rests} is damaged: ${reason}`, {
    exit: "repositoryDamaged",
    unharmed: "nothing was changed",
    next: "use another snapshot, or put the pack back from a copy of the repository",
    details: { pack: entry.location.pack, offset: entry.location.offset },
  });
}
