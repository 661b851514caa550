import { createHash } from "node:crypto";
import { CairnError } from "../model/errors.ts";
import type { ObjectStore } from "../model/object-store.ts";
import { decodeFrame, isPatch } from "../format/frame.ts";
import type { FrameLocation, IndexEntry } from "../format/index-page.ts";
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

  /** The raw bytes of a page; throws `page-damaged` and its like, naming pack and place. */
  async read(entry: IndexEntry, prefetched?: Uint8Array): Promise<Uint8Array> {
    const what = `the page at ${place(entry.location)}`;
    const frames = await Promise.all([
      prefetched ?? this.fetch(entry.location),
      ...entry.chain.map((location) => this.fetch(location)),
    ]);
    let base: Uint8Array | undefined;
    for (let at = frames.length - 1; at > 0; at -= 1) {
      base = await decodeFrame(frames[at], rawBytesMax, base, `the page at ${place(entry.chain[at - 1])}`, true);
    }
    if (entry.chain.length > 0 !== isPatch(frames[0]))
      throw damaged(entry, "the index and the pack disagree on its base");
    const raw = await decodeFrame(frames[0], entry.rawBytes, base, what);
    if (createHash("sha256").update(raw).digest("hex") !== entry.id)
      throw damaged(entry, "its content does not match its id");
    return raw;
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

/** No page is longer: 1 MiB of rows, and what headers and wide planes may add. */
const rawBytesMax = 8 << 20;

function place(location: FrameLocation): string {
  return `byte ${location.offset} of pack ${location.pack}`;
}

function damaged(entry: IndexEntry, reason: string): CairnError {
  return new CairnError("page-damaged", `the page at ${place(entry.location)} is damaged: ${reason}`, {
    exit: "repositoryDamaged",
    unharmed: "nothing was changed",
    next: "use another snapshot, or put the pack back from a copy of the repository",
    details: { pack: entry.location.pack, offset: entry.location.offset },
  });
}
