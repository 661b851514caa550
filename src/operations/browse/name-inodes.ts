import { bytesOf, integersOf, releaseBatch } from "../../model/batch.ts";
import { trashInode } from "../../model/juicefs.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Browser } from "./browser.ts";
import { DirectoryTable } from "./directory-table.ts";
import { InodeMap } from "./inode-map.ts";
import { PathNames } from "./path-names.ts";
import { joinPath, rootInode, trashName } from "./resolve-path.ts";

const none = 0xffffffff;

/**
 * Names many inodes: a few through the path index, many by one pass over all edges, whichever reads fewer pages.
 */
export class InodeNamer {
  readonly #browser: Browser;
  readonly #signal: AbortSignal;
  readonly #few: PathNames;
  #directories: DirectoryTable | undefined;

  constructor(browser: Browser, signal: AbortSignal) {
    this.#browser = browser;
    this.#signal = signal;
    this.#few = new PathNames(browser);
  }

  /** The first path of each inode (two halves each, low first), in the order of parents and names; undefined where there is none. */
  async paths(inodes: Uint32Array): Promise<(Uint8Array | undefined)[]> {
    const count = inodes.length / 2;
    // Through the path index, each takes a page of it, a page of edges, and the same for some of the directories above.
    if (count * 3 <= this.#browser.pageCount("edge")) return this.#byPathIndex(inodes);
    return this.#byScan(inodes);
  }

  async #byPathIndex(inodes: Uint32Array): Promise<(Uint8Array | undefined)[]> {
    const paths: (Uint8Array | undefined)[] = [];
    for (let at = 0; at < inodes.length; at += 2) {
      this.#signal.throwIfAborted();
      const [path] = await this.#few.paths((BigInt(inodes[at + 1]) << 32n) | BigInt(inodes[at]), 1);
      paths.push(path);
    }
    return paths;
  }

  /** Gathers all directories, once, and the names of the wanted inodes on the way. */
  async #byScan(inodes: Uint32Array): Promise<(Uint8Array | undefined)[]> {
    const count = inodes.length / 2;
    const wanted = new InodeMap();
    for (let at = 0; at < count; at += 1) wanted.set(inodes[2 * at], inodes[2 * at + 1], at);
    const parents = new Uint32Array(2 * count).fill(none);
    const names: (Uint8Array | undefined)[] = Array.from({ length: count });
    const isKnown = this.#directories !== undefined;
    const directories = this.#directories ?? newTable();
    for await (const edges of readTable(this.#browser.snapshot, "edge")) {
      this.#signal.throwIfAborted();
      if (!isKnown) directories.addEdges(edges, 0, edges.count);
      if (edges.columns[2] === undefined) continue;
      const keys = integersOf(edges, 0);
      const targets = integersOf(edges, 2);
      const { arena, offsets } = bytesOf(edges, 1);
      for (let row = 0; row < edges.count; row += 1) {
        const at = wanted.get(targets[2 * row], targets[2 * row + 1]);
        if (at < 0 || names[at] !== undefined) continue;
        names[at] = arena.slice(offsets[row], offsets[row + 1]);
        parents[2 * at] = keys[2 * row];
        parents[2 * at + 1] = keys[2 * row + 1];
      }
      releaseBatch(edges);
    }
    this.#directories = directories;
    return names.map((name, at) => {
      if (name === undefined) return specialPath(directories, inodes[2 * at], inodes[2 * at + 1]);
      const parent = directories.map.get(parents[2 * at], parents[2 * at + 1]);
      return parent >= 0 && directories.isWithin(parent) ? joinPath(directories.path(parent), name) : undefined;
    });
  }
}

/** A table of all directories, the trash among them. */
function newTable(): DirectoryTable {
  const table = new DirectoryTable(rootInode, new Uint8Array([0x2f]));
  const low = Number(trashInode & 0xffffffffn);
  table.add(low, Number(trashInode >> 32n), Number(rootInode), 0, trashName, 0, trashName.length);
  return table;
}

/** Of root and trash, which no edge names. */
function specialPath(directories: DirectoryTable, low: number, high: number): Uint8Array | undefined {
  const at = directories.map.get(low, high);
  return at === 0 || at === 1 ? directories.path(at) : undefined;
}
