import type { IndexTop } from "../format/manifest.ts";
import { decodeIndexPage, indexSchema } from "../format/index-page.ts";
import type { IndexEntry } from "../format/index-page.ts";
import type { PageReader } from "./page-reader.ts";

/** Reads one index tree from its top; pages of the tree are fetched as they are needed and kept while this lives. */
export class IndexReader {
  readonly #reader: PageReader;
  readonly #levels: number;
  /** Entries of the top, decoded once. */
  readonly #top: readonly IndexEntry[];
  readonly #pages = new Map<string, Promise<IndexEntry[]>>();

  constructor(reader: PageReader, top: IndexTop | null) {
    this.#reader = reader;
    this.#levels = top?.levels ?? 0;
    this.#top = top === null || top.top === "" ? [] : decodeIndexPage(Buffer.from(top.top, "base64"));
  }

  /** Leaf entries in key order, from the one whose page may hold `fromKey`. */
  async *entries(fromKey?: Uint8Array): AsyncGenerator<IndexEntry> {
    yield* this.#walk(this.#top, this.#levels, fromKey);
  }

  async *#walk(
    entries: readonly IndexEntry[],
    levels: number,
    fromKey: Uint8Array | undefined,
  ): AsyncGenerator<IndexEntry> {
    let start = fromKey === undefined ? 0 : lastAtOrBefore(entries, fromKey);
    if (start < 0) start = 0;
    for (let at = start; at < entries.length; at += 1) {
      if (levels === 0) yield entries[at];
      else yield* this.#walk(await this.#page(entries[at]), levels - 1, at === start ? fromKey : undefined);
    }
  }

  /**
   * The entry of the page that holds a key, if any page does; undefined when the key comes before all pages. `level` above 0 asks for
   * the entry of the index page at that height instead.
   */
  async find(key: Uint8Array, level = 0): Promise<IndexEntry | undefined> {
    let entries = this.#top;
    for (let height = this.#levels; height >= level; height -= 1) {
      const at = lastAtOrBefore(entries, key);
      if (at < 0) return undefined;
      if (height === level) return entries[at];
      entries = await this.#page(entries[at]);
    }
    return undefined;
  }

  /** Every entry of the tree, index pages before what they hold: for verify and prune. */
  async *everyEntry(): AsyncGenerator<{ entry: IndexEntry; level: number }> {
    yield* this.#everyBelow(this.#top, this.#levels);
  }

  async *#everyBelow(
    entries: readonly IndexEntry[],
    level: number,
  ): AsyncGenerator<{ entry: IndexEntry; level: number }> {
    for (const entry of entries) {
      yield { entry, level };
      if (level > 0) yield* this.#everyBelow(await this.#page(entry), level - 1);
    }
  }

  #page(entry: IndexEntry): Promise<IndexEntry[]> {
    const known = this.#pages.get(entry.id);
    if (known !== undefined) return known;
    const read = this.#reader.read(entry, indexSchema).then(decodeIndexPage);
    this.#pages.set(entry.id, read);
    if (this.#pages.size > pagesMax) {
      const [oldest] = this.#pages.keys();
      this.#pages.delete(oldest);
    }
    return read;
  }
}

/** Index pages kept: 64 of about 256 entries. */
const pagesMax = 64;

/** The last entry whose first key is not above a key, or -1. */
function lastAtOrBefore(entries: readonly IndexEntry[], key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(entries[middle].firstKey, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
