import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { ByteQueue } from "../std/byte-queue.ts";
import type { Clock } from "../std/clock.ts";
import { releaseBytes } from "../std/release.ts";
import { CairnError } from "../model/errors.ts";
import type { ObjectStore } from "../model/object-store.ts";
import { encodePackEnd, packBytesMax, packHeader } from "../format/pack.ts";
import type { PackEntry } from "../format/pack.ts";
import type { FrameLocation } from "../format/index-page.ts";
import { newPackId, packName } from "./layout.ts";

interface OpenPack {
  id: string;
  queue: ByteQueue;
  written: Promise<void>;
  hash: Hash;
  bytes: number;
  /** The most that trailer and footer may take. */
  endBytes: number;
  entries: PackEntry[];
}

/** Bytes that may wait for the store. */
const queueBytes = 2 << 20;
/** Read back in parts of this size. */
const readBackBytes = 1 << 20;
/** Kept free in a pack for its trailer, for each frame and for each patch in its chain: what their fields take uncompressed, and a header. */
const trailerBytesPerFrame = 48;
const trailerBytesPerPatch = 24;
const packEndBytesMin = 4096;

/** Streams frames into packs of at most 64 MiB, and reads every finished pack back before it counts as written. */
export class PackWriter {
  readonly #store: ObjectStore;
  readonly #volume: string;
  readonly #clock: Clock;
  #open: OpenPack | undefined;
  /** Ids of finished packs. */
  readonly packs: string[] = [];
  /** Bytes of finished packs. */
  storedBytes = 0;

  constructor(store: ObjectStore, volume: string, clock: Clock) {
    this.#store = store;
    this.#volume = volume;
    this.#clock = clock;
  }

  /** Appends a frame; calls must not overlap. The frame can be read from the store only after `finish`. */
  async append(
    frame: Uint8Array,
    page: { id: string; rawBytes: number; chain: FrameLocation[] },
  ): Promise<FrameLocation> {
    const endBytes = trailerBytesPerFrame + trailerBytesPerPatch * page.chain.length;
    const full =
      this.#open !== undefined && this.#open.bytes + this.#open.endBytes + frame.length + endBytes > packBytesMax;
    if (full) await this.finish();
    const pack = this.#open ?? (await this.#begin());
    pack.endBytes += endBytes;
    const location = { pack: pack.id, offset: pack.bytes, length: frame.length };
    pack.entries.push({ ...page, offset: location.offset, length: location.length });
    await this.#push(pack, frame);
    return location;
  }

  async #begin(): Promise<OpenPack> {
    const id = newPackId(this.#clock.now());
    const queue = new ByteQueue(queueBytes);
    const written = this.#store.put(packName(this.#volume, id), releaseBehind(queue));
    written.catch((error: unknown) => queue.fail(error));
    const pack: OpenPack = {
      id,
      queue,
      written,
      hash: createHash("sha256"),
      bytes: 0,
      endBytes: packEndBytesMin,
      entries: [],
    };
    this.#open = pack;
    await this.#push(pack, packHeader());
    return pack;
  }

  async #push(pack: OpenPack, bytes: Uint8Array): Promise<void> {
    pack.hash.update(bytes);
    pack.bytes += bytes.length;
    await pack.queue.push(bytes);
  }

  /** Finishes the pack under way; afterwards all appended frames are durable and were read back. */
  async finish(): Promise<void> {
    const pack = this.#open;
    if (pack === undefined) return;
    await this.#push(pack, encodePackEnd(pack.entries, pack.bytes));
    this.#open = undefined;
    pack.queue.end();
    await pack.written;
    await this.#readBack(pack);
    this.packs.push(pack.id);
    this.storedBytes += pack.bytes;
  }

  async #readBack(pack: OpenPack): Promise<void> {
    const hash = createHash("sha256");
    for (let offset = 0; offset < pack.bytes; offset += readBackBytes) {
      const length = Math.min(readBackBytes, pack.bytes - offset);
      const bytes = (await this.#store.get(packName(this.#volume, pack.id), { offset, length })) ?? new Uint8Array(0);
      hash.update(bytes);
      releaseBytes(bytes);
    }
    if (!hash.digest().equals(pack.hash.digest())) {
      throw new CairnError("read-back-failed", `pack ${pack.id} reads back differently from what was written`, {
        exit: "repositoryDamaged",
        unharmed: "earlier snapshots are unchanged, and this backup was not published",
        next: `check the storage under ${this.#store.location}: it does not keep what it is given`,
        details: { pack: pack.id },
      });
    }
  }

  /** Gives up the pack under way: the store removes what it has of it. */
  async abort(reason: unknown): Promise<void> {
    const pack = this.#open;
    this.#open = undefined;
    pack?.queue.fail(reason);
    await pack?.written.catch(() => undefined);
  }
}

/** Frees each chunk when its reader comes for the next one: the frames of a large backup would otherwise wait for the collector. */
async function* releaseBehind(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    releaseBytes(chunk);
  }
}
