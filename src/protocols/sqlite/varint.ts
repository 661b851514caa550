/** A varint of up to 64 bits, read by `readVarint`: its halves, and where it ended. */
export interface Varint {
  low: number;
  high: number;
  end: number;
}

/**
 * Reads SQLite's big-endian varint (one to nine bytes) at `at` into `into`. Past `limit` it reports an end beyond `limit`,
 * which the caller must refuse; it never reads past it.
 */
export function readVarint(bytes: Uint8Array, at: number, limit: number, into: Varint): void {
  let low = 0;
  let high = 0;
  let position = at;
  for (let count = 0; count < 8; count++) {
    if (position >= limit) {
      into.end = limit + 1;
      return;
    }
    const byte = bytes[position++];
    high = (high << 7) | (low >>> 25);
    low = (low << 7) | (byte & 0x7f);
    if (byte < 0x80) {
      into.low = low | 0;
      into.high = high | 0;
      into.end = position;
      return;
    }
  }
  if (position >= limit) {
    into.end = limit + 1;
    return;
  }
  into.high = (high << 8) | (low >>> 24);
  into.low = (low << 8) | bytes[position++];
  into.end = position;
}

/** The value as a signed 64-bit bigint. */
export function varintToBigint(value: Varint): bigint {
  return (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);
}
