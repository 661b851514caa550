import { compareWide } from "./wide.ts";

const unknown = 0xffffffff;
const none = 0xfffffffe;

/**
 * Which of a few marked directories (those with a quota) each directory lies in. One entry for each directory of the volume, 20 bytes in
 * typed arrays: 2 MB for 10 million files with the usual 1 % of directories, and used only where there are directory quotas.
 */
export class DirectoryTree {
  #inodes = new Uint32Array(2048);
  #parents = new Uint32Array(2048);
  /** Which marked directory is the nearest at or above this one. */
  #nearest = new Uint32Array(1024);
  count = 0;

  /** In rising order of inodes. */
  add(low: number, high: number, parentLow: number, parentHigh: number): void {
    if (this.count === this.#nearest.length) {
      this.#inodes = grown(this.#inodes);
      this.#parents = grown(this.#parents);
      this.#nearest = grown(this.#nearest);
    }
    const at = this.count;
    this.#inodes[2 * at] = low;
    this.#inodes[2 * at + 1] = high;
    this.#parents[2 * at] = parentLow;
    this.#parents[2 * at + 1] = parentHigh;
    this.#nearest[at] = unknown;
    this.count += 1;
  }

  /** Marks a directory with a number; false when there is no such directory. */
  mark(low: number, high: number, mark: number): boolean {
    const at = this.#find(low, high);
    if (at < 0) return false;
    this.#nearest[at] = mark;
    return true;
  }

  /** The mark of the nearest marked directory at or above this one, or -1. After the last mark was set. */
  nearest(low: number, high: number): number {
    const at = this.#find(low, high);
    return at < 0 ? -1 : this.#resolve(at);
  }

  /** The mark of the nearest marked directory above this one, or -1. */
  nearestAbove(low: number, high: number): number {
    const at = this.#find(low, high);
    const above = at < 0 ? -1 : this.#above(at);
    return above < 0 ? -1 : this.#resolve(above);
  }

  #resolve(from: number): number {
    const nearest = this.#nearest;
    let at = from;
    let steps = 0;
    // A loop of directories has no top; it can be no longer than there are directories.
    while (at >= 0 && nearest[at] === unknown && steps <= this.count) {
      at = this.#above(at);
      steps += 1;
    }
    const found = at < 0 || nearest[at] === unknown ? none : nearest[at];
    // Every directory is climbed through once: all on the way have the same answer.
    for (let passed = from; passed >= 0 && nearest[passed] === unknown; passed = this.#above(passed))
      nearest[passed] = found;
    return found === none ? -1 : found;
  }

  #above(at: number): number {
    const low = this.#parents[2 * at];
    const high = this.#parents[2 * at + 1];
    return low === 0 && high === 0 ? -1 : this.#find(low, high);
  }

  #find(low: number, high: number): number {
    const inodes = this.#inodes;
    let from = 0;
    let to = this.count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const order = compareWide(inodes[2 * middle], inodes[2 * middle + 1], low, high);
      if (order === 0) return middle;
      if (order < 0) from = middle + 1;
      else to = middle;
    }
    return -1;
  }
}

function grown(values: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(values.length * 2);
  more.set(values);
  return more;
}
