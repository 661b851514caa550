import { createHash } from "node:crypto";
import type { Clock } from "../std/clock.ts";
import { releaseBytes } from "../std/release.ts";
import { releaseBatch, releaseOthers } from "../model/batch.ts";
import { CairnError } from "../model/errors.ts";
import type { Kind, TableSchema } from "../model/schema.ts";
import { decodeFrame, encodeCheckedFrame, encodePatchFrame, requireSame } from "../format/frame.ts";
import { cutIndex, encodeIndexPage, indexSchema } from "../format/index-page.ts";
import type { FrameLocation, IndexEntry } from "../format/index-page.ts";
import { chainMax, largePartBytes } from "../format/limits.ts";
import { encodeManifest } from "../format/manifest.ts";
import type { IndexTop, Manifest, TableManifest } from "../format/manifest.ts";
import type { RawPage } from "../format/pager.ts";
import { decodePage, encodePage } from "../format/page.ts";
import type { DecodedPage } from "../format/page.ts";
import { applyPatchScript, encodePatchScript } from "../format/patch.ts";
import { pathSchema } from "../format/path-index.ts";
import { computeRoot, TableHasher } from "../format/root.ts";
import { readDoomedPacks } from "./doomed.ts";
import type { IndexReader } from "./index-reader.ts";
import { readInterruptedPages } from "./interrupted.ts";
import type { KnownPage } from "./interrupted.ts";
import { newSnapshotId, packsPrefix, snapshotName } from "./layout.ts";
import { PackWriter } from "./pack-writer.ts";
import { PageReader } from "./page-reader.ts";
import type { Repository } from "./repository.ts";
import type { Snapshot } from "./snapshot.ts";

/** A page with its id and, unless it is stored already, the frame to store. */
export interface PreparedPage {
  page: { firstKey: Uint8Array; count: number; tail: number; rawBytes: number };
  id: string;
  stored: { location: FrameLocation; chain: FrameLocation[] } | { frame: Uint8Array; chain: FrameLocation[] };
}

/** A patch of more than this part of the whole page's frame is not worth its chain. */
const patchPartMax = 1 / 2;
/** More entries than this at the top of an index, and they go into index pages. */
const topEntriesMax = 48;

/** The records that a patch rests on, and the frames that its page is then made of. */
type PatchBase = DecodedPage & { chain: FrameLocation[] };

interface TableState {
  hasher: TableHasher;
  entries: IndexEntry[];
  rawBytes: number;
}

/** What the writer itself knows of a manifest; the backup adds the rest. */
export type ManifestRest = Omit<
  Manifest,
  | "tables"
  | "pathIndex"
  | "largeValues"
  | "logicalBytes"
  | "storedBytes"
  | "packs"
  | "root"
  | "id"
  | "format"
  | "features"
  | "kind"
  | "volume"
  | "schemaVersion"
  | "parent"
>;

/**
 * Writes one snapshot: pages into packs (reusing the parent's and those of an interrupted backup), the index, then the manifest.
 * The order is the promise: all packs are durable and read back before the manifest is published, which happens last and at once.
 */
export class SnapshotWriter {
  readonly #repository: Repository;
  readonly #kind: Kind;
  readonly #volume: string;
  readonly #parent: Snapshot | undefined;
  readonly #packs: PackWriter;
  readonly #reader: PageReader;
  readonly #tables: TableState[];
  readonly #large: IndexEntry[] = [];
  #doomed: ReadonlySet<string>;
  /** Packs that are there: a page in a lost one is stored again. */
  readonly #present: ReadonlySet<string>;
  readonly #interrupted: Map<string, KnownPage>;
  readonly counts = { written: 0, patched: 0, reused: 0 };
  #largeBytes = 0;

  private constructor(
    repository: Repository,
    kind: Kind,
    volume: string,
    parent: Snapshot | undefined,
    clock: Clock,
    doomed: ReadonlySet<string>,
    present: ReadonlySet<string>,
    interrupted: Map<string, KnownPage>,
  ) {
    this.#repository = repository;
    this.#kind = kind;
    this.#volume = volume;
    this.#parent = parent;
    this.#packs = new PackWriter(repository.store, volume, clock);
    this.#reader = new PageReader(repository.store, volume);
    this.#tables = [...kind.tables, pathSchema].map(() => ({ hasher: new TableHasher(), entries: [], rawBytes: 0 }));
    this.#doomed = doomed;
    this.#present = present;
    this.#interrupted = interrupted;
  }

  static async open(
    repository: Repository,
    kind: Kind,
    volume: string,
    parent: Snapshot | undefined,
    clock: Clock,
  ): Promise<SnapshotWriter> {
    const doomed = await readDoomedPacks(repository);
    const interrupted = await readInterruptedPages(repository, volume, parent?.manifest, doomed);
    const packs = await repository.store.list(packsPrefix(volume));
    const present = new Set(packs.map((name) => name.slice(name.lastIndexOf("/") + 1)));
    return new SnapshotWriter(repository, kind, volume, parent, clock, doomed, present, interrupted);
  }

  /** Finds out how to store a page: may run for several pages at once. `whole` is its frame where one was made already. */
  prepare(page: RawPage, whole?: Uint8Array): Promise<PreparedPage> {
    const schema = this.#schema(page.table);
    return this.#prepare(page.raw, page, this.#parent?.index(schema.name), 0, schema, page.sections, whole);
  }

  #schema(table: number): TableSchema {
    return table === this.#kind.tables.length ? pathSchema : this.#kind.tables[table];
  }

  async #prepare(
    raw: Uint8Array,
    facts: { firstKey: Uint8Array; count: number; tail: number },
    parentIndex: IndexReader | undefined,
    level: number,
    schema: TableSchema | undefined,
    sections: readonly number[] = [],
    whole?: Uint8Array,
  ): Promise<PreparedPage> {
    const id = createHash("sha256").update(raw).digest("hex");
    const page = { firstKey: facts.firstKey, count: facts.count, tail: facts.tail, rawBytes: raw.length };
    const known = this.#interrupted.get(id);
    const base = await this.#orNothing(async () => parentIndex?.find(facts.firstKey, level));
    for (const candidate of [base?.id === id ? base : undefined, known]) {
      if (candidate === undefined || !this.#isUsable(candidate)) continue;
      const { location, chain } = candidate;
      const entry = {
        firstKey: facts.firstKey,
        id,
        rawBytes: raw.length,
        records: facts.count,
        tail: 0,
        location,
        chain,
      };
      const read = await this.#tryRead(entry, schema);
      if (read === undefined) continue;
      releaseBytes(read);
      return { page, id, stored: { location, chain } };
    }
    return {
      page,
      id,
      stored: await this.#encode(raw, schema, sections, whole, () => this.#bases(parentIndex, base, level)),
    };
  }

  #restsOnDoomed({ location, chain }: { location: FrameLocation; chain: readonly FrameLocation[] }): boolean {
    return this.#doomed.size > 0 && [location, ...chain].some(({ pack }) => this.#doomed.has(pack));
  }

  #isUsable(page: { location: FrameLocation; chain: readonly FrameLocation[] }): boolean {
    return !this.#restsOnDoomed(page) && [page.location, ...page.chain].every(({ pack }) => this.#present.has(pack));
  }

  async #encode(
    raw: Uint8Array,
    schema: TableSchema | undefined,
    sections: readonly number[],
    whole: Uint8Array | undefined,
    bases: () => AsyncIterable<IndexEntry>,
  ): Promise<{ frame: Uint8Array; chain: FrameLocation[] }> {
    if (schema !== undefined) {
      for await (const base of bases()) {
        const patch = await this.#encodePatch(raw, base, schema);
        if (patch !== undefined) return patch;
      }
    }
    return { frame: whole ?? encodeCheckedFrame(raw, sections), chain: [] };
  }

  /** A page as a patch on an earlier one; undefined where that cannot be had or does not pay. */
  async #encodePatch(
    raw: Uint8Array,
    base: IndexEntry,
    schema: TableSchema,
  ): Promise<{ frame: Uint8Array; chain: FrameLocation[] } | undefined> {
    const before = await this.#readBase(base, schema);
    if (before === undefined) return undefined;
    const after = decodePage(schema, 0, raw);
    try {
      if (before.large.length > 0 || after.large.length > 0) return undefined;
      const script = encodePatchScript(schema, before.batch, after.batch);
      const frame = encodePatchFrame(script);
      const whole = before.chain[before.chain.length - 1];
      if (frame.length > whole.length * patchPartMax) return undefined;
      const patched = applyPatchScript(schema, before.batch, decodeFrame(frame, "a patch that was just encoded"));
      const again = encodePage(schema, patched, 0, patched.count).raw;
      releaseOthers(patched, [before.batch]);
      requireSame(again, raw);
      releaseBytes(again);
      return { frame, chain: before.chain };
    } finally {
      releaseBatch(before.batch);
      releaseBatch(after.batch);
    }
  }

  /**
   * The records that a patch rests on, and the chain that it gets; undefined where there are none, or none that can be read: then the page
   * is stored whole. Where the base's chain is full the patch rests on the page at its end: it holds all changes since that was stored, which
   * is still less than the page (docs/design/patch-chains.md).
   */
  async #readBase(base: IndexEntry, schema: TableSchema): Promise<PatchBase | undefined> {
    if (!this.#isUsable(base)) return undefined;
    return this.#orNothing(async () => {
      const end = base.chain.at(-1);
      if (end === undefined) {
        const raw = await this.#reader.readWhole(base);
        const page = decodePage(schema, 0, raw);
        releaseBytes(raw);
        return { ...page, chain: [base.location] };
      }
      const { raw, batch, whole } = await this.#reader.readChain(base, schema);
      releaseBytes(raw);
      const isFull = base.chain.length >= chainMax;
      if (isFull) releaseOthers(batch, [whole]);
      else releaseOthers(whole, [batch]);
      return isFull
        ? { batch: whole, large: [], chain: [end] }
        : { batch, large: [], chain: [base.location, ...base.chain] };
    });
  }

  /**
   * A stored page, or undefined where it is damaged. Every page that a snapshot shares with earlier ones is read before it is relied on:
   * a backup that reports success over a rotten page would be a false one. An unchanged page costs less to check than to compress.
   */
  #tryRead(entry: IndexEntry, schema: TableSchema | undefined): Promise<Uint8Array | undefined> {
    return this.#orNothing(() =>
      schema === undefined ? this.#reader.readWhole(entry) : this.#reader.read(entry, schema),
    );
  }

  async #orNothing<T>(read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof CairnError && error.exit === "repositoryDamaged") return undefined;
      throw error;
    }
  }

  /**
   * What a page may be a patch on: the parent's page at its first key, or the one after it. A new cut near the end of a page moves its last
   * records to the next one, which then begins in the first and is nearly all the second.
   */
  async *#bases(
    index: IndexReader | undefined,
    base: IndexEntry | undefined,
    level: number,
  ): AsyncGenerator<IndexEntry> {
    if (index === undefined || base === undefined) return;
    yield base;
    if (level > 0) return;
    const next = await this.#orNothing(async () => {
      const entries = index.entries(base.firstKey);
      await entries.next();
      return (await entries.next()).value as IndexEntry | undefined;
    });
    if (next !== undefined) yield next;
  }

  /** Takes a prepared page over, in key order within its table; calls must not overlap. */
  async add(table: number, prepared: PreparedPage): Promise<void> {
    const entry = await this.#store(prepared);
    const state = this.#tables[table];
    state.hasher.add(entry.firstKey, Buffer.from(entry.id, "hex"), entry.records);
    state.entries.push(entry);
    state.rawBytes += entry.rawBytes;
  }

  async #store({ page, id, stored }: PreparedPage): Promise<IndexEntry> {
    const { firstKey, count: records, tail, rawBytes } = page;
    const { chain } = stored;
    let location;
    if ("frame" in stored) {
      location = await this.#packs.append(stored.frame, { id, rawBytes, chain });
      this.counts[chain.length === 0 ? "written" : "patched"] += 1;
    } else {
      ({ location } = stored);
      this.counts.reused += 1;
    }
    return { firstKey, id, rawBytes, records, tail, location, chain };
  }

  /** Stores a large value in parts; before the page that refers to it. */
  async addLarge(value: Uint8Array): Promise<void> {
    const hash = createHash("sha256").update(value).digest();
    this.#largeBytes += value.length;
    for (let at = 0, part = 0; at < value.length; at += largePartBytes, part += 1) {
      const firstKey = Buffer.concat([hash, Buffer.alloc(4)]);
      firstKey.writeUInt32BE(part, 32);
      const raw = value.subarray(at, at + largePartBytes);
      const known = await this.#orNothing(async () => this.#parent?.largeIndex.find(firstKey));
      const facts = { firstKey, count: 1, tail: 0 };
      const same =
        known !== undefined && Buffer.compare(known.firstKey, firstKey) === 0 ? this.#parent?.largeIndex : undefined;
      this.#large.push(await this.#store(await this.#prepare(raw, facts, same, 0, undefined)));
    }
  }

  /** Ends all pages, publishes the manifest, and returns it with its object's name. */
  async publish(
    rest: ManifestRest,
    extremes: readonly TableManifest["extremes"][],
    timeMs: number,
  ): Promise<{ manifest: Manifest; object: string }> {
    await this.#rewriteDoomed();
    const tables = await this.#finishTables(extremes);
    const path = this.#tables[this.#kind.tables.length];
    const pathIndex =
      path.entries.length === 0 ? null : await this.#buildIndex(path.entries, this.#parent?.index(pathSchema.name));
    const largeValues = await this.#finishLarge();
    await this.#packs.finish();
    const id = newSnapshotId();
    const manifest: Manifest = {
      ...rest,
      format: 1,
      features: [],
      id,
      kind: this.#kind.name,
      volume: this.#volume,
      schemaVersion: this.#kind.schemaVersion,
      root: computeRoot(this.#kind, tables),
      tables,
      pathIndex,
      largeValues,
      logicalBytes: tables.reduce((sum, table) => sum + table.rawBytes, 0) + path.rawBytes + this.#largeBytes,
      storedBytes: this.#packs.storedBytes,
      parent: this.#parent?.manifest.id ?? null,
      packs: this.#packs.packs,
    };
    const object = snapshotName(this.#volume, timeMs, id);
    await this.#checkDoomedAgain();
    await this.#repository.store.put(object, encodeManifest(manifest));
    return { manifest, object };
  }

  async #finishTables(extremes: readonly TableManifest["extremes"][]): Promise<TableManifest[]> {
    const tables: TableManifest[] = [];
    for (const [table, { name }] of this.#kind.tables.entries()) {
      const { hasher, entries, rawBytes } = this.#tables[table];
      const { records, pages } = hasher;
      if (records === 0) continue;
      const index = await this.#buildIndex(entries, this.#parent?.index(name));
      tables.push({
        name,
        records,
        hash: hasher.finish(),
        rawBytes,
        index: { ...index, pages },
        extremes: extremes[table] ?? {},
      });
    }
    return tables;
  }

  async #finishLarge(): Promise<IndexTop | null> {
    const entries = this.#large.toSorted((a, b) => Buffer.compare(a.firstKey, b.firstKey));
    const unique = entries.filter(
      (entry, at) => at === 0 || Buffer.compare(entries[at - 1].firstKey, entry.firstKey) !== 0,
    );
    return unique.length === 0 ? null : this.#buildIndex(unique, this.#parent?.largeIndex);
  }

  async #buildIndex(leaves: readonly IndexEntry[], parentIndex: IndexReader | undefined): Promise<IndexTop> {
    let entries = leaves;
    let levels = 0;
    while (entries.length > topEntriesMax) {
      levels += 1;
      const upper: IndexEntry[] = [];
      for (const run of cutIndex(entries)) {
        const facts = { firstKey: run[0].firstKey, count: run.reduce((sum, entry) => sum + entry.records, 0), tail: 0 };
        upper.push(
          await this.#store(await this.#prepare(encodeIndexPage(run), facts, parentIndex, levels, indexSchema)),
        );
      }
      entries = upper;
    }
    return { levels, pages: leaves.length, top: Buffer.from(encodeIndexPage(entries)).toString("base64") };
  }

  /** Stores anew every page that rests on a pack which became doomed while this backup ran: such packs are still there for a while. */
  async #rewriteDoomed(): Promise<void> {
    this.#doomed = await readDoomedPacks(this.#repository);
    if (this.#doomed.size === 0) return;
    await this.#packs.finish();
    for (const [table, entries] of [...this.#tables.map((state) => state.entries), this.#large].entries()) {
      for (const [at, entry] of entries.entries()) {
        if (!this.#restsOnDoomed(entry)) continue;
        const isLarge = entries === this.#large;
        const raw = isLarge ? await this.#reader.readWhole(entry) : await this.#reader.read(entry, this.#schema(table));
        const stored = await this.#encode(raw, undefined, [], undefined, noBases);
        const page = { firstKey: entry.firstKey, count: entry.records, tail: entry.tail, rawBytes: entry.rawBytes };
        entries[at] = await this.#store({ page, id: entry.id, stored });
      }
    }
  }

  /** The last look before publishing: what became doomed in the moments since the rewrite ends this run, and the next one starts clean. */
  async #checkDoomedAgain(): Promise<void> {
    const before = this.#doomed;
    const now = await readDoomedPacks(this.#repository);
    if ([...now].every((pack) => before.has(pack))) return;
    throw new CairnError(
      "pruned-meanwhile",
      "a prune announced new packs to delete while this backup was about to be published",
      {
        unharmed: "nothing was published, and earlier snapshots are unchanged",
        next: "run the backup again: it reuses what this one stored",
      },
    );
  }

  async abort(reason: unknown): Promise<void> {
    await this.#packs.abort(reason);
  }
}

async function* noBases(): AsyncGenerator<IndexEntry> {}
