/** Inodes that share all but their last 16 bits: a list while they are few, then a bitmap of 8 KiB. */
interface Container {
  list: Uint16Array;
  count: number;
  bits: Uint8Array | undefined;
}

const listMax = 4096;

/**
 * A set of 64-bit inode numbers, given as two halves in rising order. JuiceFS hands numbers out one after the other, so that the whole
 * of a volume of ten million inodes takes less than 2 MB.
 */
export class InodeSet {
  readonly #containers = new Map<number, Map<number, Container>>();
  #lastHigh = -1;
  #lastPrefix = -1;
  #last: Container | undefined;
  size = 0;

  /** Inodes may be added in any order, each once. */
  add(low: number, high: number): void {
    const container = this.#container(low >>> 16, high) ?? this.#create(low >>> 16, high);
    const value = low & 0xffff;
    this.size += 1;
    if (container.bits !== undefined) {
      container.bits[value >>> 3] |= 1 << (value & 7);
      container.count += 1;
      return;
    }
    if (container.count === listMax) {
      container.bits = new Uint8Array(8192);
      for (const one of container.list) container.bits[one >>> 3] |= 1 << (one & 7);
      container.list = new Uint16Array(0);
      container.bits[value >>> 3] |= 1 << (value & 7);
    } else {
      if (container.count === container.list.length) {
        const grown = new Uint16Array(Math.min(listMax, Math.max(4, container.list.length * 2)));
        grown.set(container.list);
        container.list = grown;
      }
      insertSorted(container.list, container.count, value);
    }
    container.count += 1;
  }

  has(low: number, high: number): boolean {
    const container = this.#container(low >>> 16, high);
    if (container === undefined) return false;
    const value = low & 0xffff;
    if (container.bits !== undefined) return (container.bits[value >>> 3] & (1 << (value & 7))) !== 0;
    let from = 0;
    let to = container.count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (container.list[middle] < value) from = middle + 1;
      else to = middle;
    }
    return from < container.count && container.list[from] === value;
  }

  #container(prefix: number, high: number): Container | undefined {
    if (prefix !== this.#lastPrefix || high !== this.#lastHigh) {
      this.#last = this.#containers.get(high)?.get(prefix);
      this.#lastPrefix = prefix;
      this.#lastHigh = high;
    }
    return this.#last;
  }

  #create(prefix: number, high: number): Container {
    let group = this.#containers.get(high);
    if (group === undefined) {
      group = new Map();
      this.#containers.set(high, group);
    }
    const container = { list: new Uint16Array(4), count: 0, bits: undefined };
    group.set(prefix, container);
    this.#last = container;
    return container;
  }
}

function insertSorted(list: Uint16Array, count: number, value: number): void {
  let at = count;
  while (at > 0 && list[at - 1] > value) at -= 1;
  list.copyWithin(at + 1, at, count);
  list[at] = value;
}
