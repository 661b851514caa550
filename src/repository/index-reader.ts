import type { IndexTop } from "../format/manifest.ts";
import { decodeIndexPage } from "../format/index-page.ts";
import type { IndexEntry } from "../format/index-page.ts";
import type { PageReader } from "./page-reader.ts";

/** Reads one index tree from its top; pages of the tree are fetched as they are needed and kept while this lives. */
export class IndexReader {
  readonly #reader: PageReader;
  readonly #top: IndexTop | null;
  readonly #pages = new Map<string, Promise<IndexEntry[]>>();

  constructor(reader: PageReader, top: IndexTop | null) {
    this.#reader = reader;
    this.#top = top;
  }

  /** Leaf entries in key order, from the one whose page may hold `fromKey`. */
  async *entries(fromKey?: Uint8Array): AsyncGenerator<IndexEntry> {
    if (this.#top === null || this.#top.top === "") return;
    yield* this.#walk(decodeIndexPage(Buffer.from(this.#top.top, "base64")), this.#top.levels, fromKey);
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

  /** The entry of the page that holds a key, if any page does; undefined when the key comes before all pages. */
  async find(key: Uint8Array): Promise<IndexEntry | undefined> {
    if (this.#top === null || this.#top.top === "") return undefined;
    let entries = decodeIndexPage(Buffer.from(this.#top.top, "base64"));
    for (let level = this.#top.levels; ; level -= 1) {
      const at = lastAtOrBefore(entries, key);
      if (at < 0) return undefined;
      if (level === 0) return entries[at];
      entries = await this.#page(entries[at]);
    }
  }

  #page(entry: IndexEntry): Promise<IndexEntry[]> {
    const known = this.#pages.get(entry.id);
    if (known !== undefined) return known;
    const read = this.#reader.read(entry).then(decodeIndexPage);
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
