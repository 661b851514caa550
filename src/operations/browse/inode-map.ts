/** A map from 64-bit inode numbers, as two halves, to small whole numbers: 12 bytes an entry and some air, no object each. */
export class InodeMap {
  #lows = new Uint32Array(1024);
  #highs = new Uint32Array(1024);
  /** The value plus one; 0 where the place is free. */
  #values = new Uint32Array(1024);
  size = 0;

  /** The value of an inode, or -1. */
  get(low: number, high: number): number {
    return this.#values[this.#find(low, high)] - 1;
  }

  set(low: number, high: number, value: number): void {
    let at = this.#find(low, high);
    if (this.#values[at] === 0) {
      if (this.size * 3 >= this.#values.length * 2) {
        this.#grow();
        at = this.#find(low, high);
      }
      this.#lows[at] = low;
      this.#highs[at] = high;
      this.size += 1;
    }
    this.#values[at] = value + 1;
  }

  #find(low: number, high: number): number {
    const mask = this.#values.length - 1;
    let hash = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
    hash ^= hash >>> 15;
    let at = hash & mask;
    while (this.#values[at] !== 0 && (this.#lows[at] !== low || this.#highs[at] !== high)) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [lows, highs, values] = [this.#lows, this.#highs, this.#values];
    this.#lows = new Uint32Array(lows.length * 2);
    this.#highs = new Uint32Array(lows.length * 2);
    this.#values = new Uint32Array(lows.length * 2);
    for (let from = 0; from < values.length; from += 1) {
      if (values[from] === 0) continue;
      const at = this.#find(lows[from], highs[from]);
      this.#lows[at] = lows[from];
      this.#highs[at] = highs[from];
      this.#values[at] = values[from];
    }
  }
}
