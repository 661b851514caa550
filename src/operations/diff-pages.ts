import { createHash } from "node:crypto";
import type { Batch } from "../model/batch.ts";
import { releaseBatch } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";
import { decodeFrame, isPatch } from "../format/frame.ts";
import type { FrameLocation, IndexEntry } from "../format/index-page.ts";
import { encodePage } from "../format/page.ts";
import { applyPatchScript } from "../format/patch.ts";
import { readPage } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";

/**
 * Reads the differing pages of one table of two snapshots. Most pages of the newer one are patches on a page of the older one, which is
 * being read as well: then only the patch is decoded, and applied to that page's records.
 */
export class PagePairs {
  readonly #schema: TableSchema;
  /** Pages of the first snapshot that are being read or in use, by their place. */
  readonly #open = new Map<string, Promise<Batch>>();
  readonly #places = new Map<Batch, string>();

  constructor(schema: TableSchema) {
    this.#schema = schema;
  }

  /** A page of the first snapshot. */
  readFirst(snapshot: Snapshot, entry: IndexEntry): Promise<Batch> {
    const place = placeOf(entry.location);
    const read = readPage(snapshot, this.#schema.name, entry).then((batch) => {
      this.#places.set(batch, place);
      return batch;
    });
    this.#open.set(place, read);
    return read;
  }

  /** A page of the second snapshot. */
  async readSecond(snapshot: Snapshot, entry: IndexEntry): Promise<Batch> {
    const at = entry.chain.findIndex((location) => this.#open.has(placeOf(location)));
    // Whatever is wrong with a patch, the ordinary way says so with its place.
    const patched = at < 0 ? undefined : await this.#applyPatches(snapshot, entry, at).catch(() => undefined);
    return patched ?? readPage(snapshot, this.#schema.name, entry);
  }

  /** The page that stands at `at` in the chain is open: applies what rests on it. Undefined when that does not give the page. */
  async #applyPatches(snapshot: Snapshot, entry: IndexEntry, at: number): Promise<Batch | undefined> {
    const locations = [entry.location, ...entry.chain.slice(0, at)];
    const frames = await Promise.all(locations.map((location) => snapshot.reader.fetch(location)));
    const place = placeOf(entry.chain[at]);
    const open = this.#open.get(place);
    let batch = await open;
    // It may have been released meanwhile.
    if (batch === undefined || this.#open.get(place) !== open || !frames.every(isPatch)) return undefined;
    for (const frame of frames.toReversed()) {
      batch = applyPatchScript(this.#schema, batch, decodeFrame(frame, `the patch at ${place}`));
    }
    const { raw } = encodePage(this.#schema, batch, 0, batch.count);
    return createHash("sha256").update(raw).digest("hex") === entry.id ? batch : undefined;
  }

  /** A batch of either snapshot is done with. */
  release(batch: Batch): void {
    const place = this.#places.get(batch);
    if (place !== undefined) this.#open.delete(place);
    this.#places.delete(batch);
    releaseBatch(batch);
  }
}

function placeOf({ pack, offset }: FrameLocation): string {
  return `${pack} ${offset}`;
}
