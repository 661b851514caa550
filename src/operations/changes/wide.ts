/*
 * Exact 64-bit sums in pairs of 32-bit halves, the low one first: a bigint for each record would cost more than reading it.
 */

/** Adds to the 64-bit element at a position, modulo 2^64. */
export function addWide(values: Uint32Array, at: number, low: number, high: number): void {
  const sum = values[2 * at] + low;
  values[2 * at] = sum;
  values[2 * at + 1] += high + (sum > 0xffffffff ? 1 : 0);
}

/** What a file of this length takes: rounded up to 4 KiB, at least that (JuiceFS `pkg/meta/utils.go`, align4K). The low half. */
export function spaceLow(low: number, high: number): number {
  if (low === 0 && high === 0) return 4096;
  return ((low + 4095) & ~4095) >>> 0;
}

/** The high half of the same. */
export function spaceHigh(low: number, high: number): number {
  return low > 0xfffff000 ? high + 1 : high;
}

/** The order of two 64-bit values: negative, 0 or positive. */
export function compareWide(low: number, high: number, otherLow: number, otherHigh: number): number {
  return high - otherHigh || low - otherLow;
}

export function wideOf(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
