/**
 * The number that `parseUnsigned` and `parseSigned` read last, in two halves: two's complement for a signed one. In variables of the
 * module, so that reading a million keys makes no objects.
 */
export const parsed = { low: 0, high: 0, end: 0 };

const zero = 0x30;
const two32 = 4294967296;

/**
 * Reads the decimal number of 64 bits at `bytes[start …]`, as Go's `strconv` prints it: no sign, no leading zeros. It ends at `end` or at
 * the first other byte, which `parsed.end` tells. Returns whether there was one.
 */
export function parseUnsigned(bytes: Uint8Array, start: number, end: number): boolean {
  let value = 0;
  let at = start;
  const safeEnd = Math.min(end, start + 15);
  for (; at < safeEnd; at++) {
    const digit = bytes[at] - zero;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  parsed.end = at;
  if (at === start || (bytes[start] === zero && at > start + 1)) return false;
  if (at === start + 15 && at < end && bytes[at] >= zero && bytes[at] <= zero + 9) {
    return parseLong(bytes, start, end);
  }
  parsed.low = value >>> 0;
  parsed.high = Math.floor(value / two32);
  return true;
}

/** More digits than a double holds: inodes of the trash. */
function parseLong(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  let value = 0n;
  for (; at < end && at < start + 21; at++) {
    const digit = bytes[at] - zero;
    if (digit < 0 || digit > 9) break;
    value = value * 10n + BigInt(digit);
  }
  parsed.end = at;
  if (value >> 64n !== 0n) return false;
  parsed.low = Number(value & 0xffffffffn);
  parsed.high = Number(value >> 32n);
  return true;
}

/** Reads all of `bytes[start … end)` as an unsigned number. */
export function parseWhole(bytes: Uint8Array, start: number, end: number): boolean {
  return parseUnsigned(bytes, start, end) && parsed.end === end;
}

/** Reads all of `bytes[start … end)` as a signed number of 64 bits. */
export function parseSigned(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== 0x2d) return parseWhole(bytes, start, end) && parsed.high < 0x80000000;
  if (!parseWhole(bytes, start + 1, end)) return false;
  if (parsed.high > 0x80000000 || (parsed.high === 0x80000000 && parsed.low !== 0)) return false;
  parsed.high = (~parsed.high + (parsed.low === 0 ? 1 : 0)) >>> 0;
  parsed.low = -parsed.low >>> 0;
  return true;
}
