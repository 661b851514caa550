import { bytesAt, bytesOf, integersOf, unsignedAt } from "../../model/batch.ts";
import { trashInode } from "../../model/juicefs.ts";
import type { Browser } from "./browser.ts";
import { inodeKey } from "./inode-key.ts";
import { joinPath, rootInode, trashName } from "./resolve-path.ts";

/** One place where an inode is named. */
export interface Link {
  parent: bigint;
  name: Uint8Array;
}

const rootPath = new Uint8Array([0x2f]);
const trashPath = joinPath(rootPath, trashName);
const directoriesMax = 20_000;
/** No tree is deeper; a ring of directories in damaged metadata ends here. */
const depthMax = 10_000;

/** Names inodes through the path index: a few pages for each, whatever the volume's size. */
export class PathNames {
  readonly #browser: Browser;
  /** Paths of directories, least recently used first. */
  readonly #directories = new Map<bigint, Uint8Array | undefined>();

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** All names of an inode, in the order of parents and names; at most `limit`. */
  async links(inode: bigint, limit = Number.POSITIVE_INFINITY): Promise<Link[]> {
    const pages: { parent: bigint; tail: number }[] = [];
    for await (const { batch, from, to } of this.#browser.below("path", inodeKey(inode))) {
      for (let row = from; row < to; row += 1) {
        pages.push({ parent: unsignedAt(integersOf(batch, 1), row), tail: tailAt(batch.columns[2], row) });
      }
    }
    const links: Link[] = [];
    for (const { parent, tail } of pages) {
      if (links.length >= limit) break;
      await this.#linksInPage(inode, parent, tail, links);
    }
    return links;
  }

  async #linksInPage(inode: bigint, parent: bigint, tail: number, links: Link[]): Promise<void> {
    const browser = this.#browser;
    const low = Number(inode & 0xffffffffn);
    const high = Number(inode >> 32n);
    for await (const entry of browser.entriesBelow("edge", inodeKey(parent))) {
      // Tail 0: the directory lies in one page, whichever of its candidates that is.
      if (tail !== 0 && entry.tail !== tail) continue;
      const batch = await browser.page("edge", entry);
      const parents = integersOf(batch, 0);
      const inodes = batch.columns[2] === undefined ? undefined : integersOf(batch, 2);
      const parentLow = Number(parent & 0xffffffffn);
      const parentHigh = Number(parent >> 32n);
      for (let row = 0; row < batch.count; row += 1) {
        if (inodes?.[2 * row] !== low || inodes[2 * row + 1] !== high) continue;
        if (parents[2 * row] !== parentLow || parents[2 * row + 1] !== parentHigh) continue;
        links.push({ parent, name: bytesAt(bytesOf(batch, 1), row).slice() });
      }
    }
  }

  /** The path of a directory; undefined when it does not hang below the root (detached, or in damaged metadata). */
  async directory(inode: bigint): Promise<Uint8Array | undefined> {
    const way: Link[] = [];
    const inodes: bigint[] = [];
    let path: Uint8Array | undefined;
    for (let at = inode; ;) {
      if (at === rootInode || at === trashInode) {
        path = at === rootInode ? rootPath : trashPath;
        break;
      }
      if (this.#directories.has(at)) {
        path = this.#directories.get(at);
        break;
      }
      inodes.push(at);
      const [link] = await this.links(at, 1);
      if (link === undefined || way.length > depthMax) break;
      way.push(link);
      at = link.parent;
    }
    for (let step = inodes.length - 1; step >= 0; step -= 1) {
      path = path === undefined || way[step] === undefined ? undefined : joinPath(path, way[step].name);
      this.#remember(inodes[step], path);
    }
    return path;
  }

  #remember(inode: bigint, path: Uint8Array | undefined): void {
    this.#directories.set(inode, path);
    if (this.#directories.size <= directoriesMax) return;
    const [oldest] = this.#directories.keys();
    this.#directories.delete(oldest);
  }

  /** All paths of an inode; empty when it has none. */
  async paths(inode: bigint, limit = Number.POSITIVE_INFINITY): Promise<Uint8Array[]> {
    if (inode === rootInode) return [rootPath];
    if (inode === trashInode) return [trashPath];
    const paths: Uint8Array[] = [];
    for (const { parent, name } of await this.links(inode, limit)) {
      const directory = await this.directory(parent);
      if (directory !== undefined) paths.push(joinPath(directory, name));
    }
    return paths.toSorted((a, b) => Buffer.compare(a, b));
  }
}

function tailAt(column: { values: Uint32Array } | object | undefined, row: number): number {
  return column !== undefined && "values" in column ? column.values[row] : 0;
}
