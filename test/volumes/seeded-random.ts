/** A small random source whose numbers follow from its seed alone, so that a volume can be made again. */
export interface SeededRandom {
  /** A whole number from 0 to below `limit` (at most 2^32). */
  below(limit: number): number;
  bytes(count: number): Buffer;
  pick<T>(from: readonly T[]): T;
}

/** Mulberry32: 32 bits of state, enough for test data. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  const below = (limit: number) => Math.floor((next() / 0x1_0000_0000) * limit);
  return {
    below,
    bytes(count) {
      const result = Buffer.allocUnsafe(count);
      for (let at = 0; at < count; at += 1) result[at] = next() >>> 24;
      return result;
    },
    pick: (from) => from[below(from.length)],
  };
}
