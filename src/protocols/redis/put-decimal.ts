/** At most so many bytes has a 64-bit number in decimal, sign included. */
export const decimalBytes = 20;

/** Writes an unsigned 64-bit number in decimal and returns where it ends. */
export function putDecimal(bytes: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return putSmall(bytes, at, low);
  if (high < 0x200000) {
    const value = high * 4294967296 + low;
    const top = Math.floor(value / 1e9);
    const bottom = value - top * 1e9;
    const end = putSmall(bytes, at, top);
    putNineDigits(bytes, end, bottom);
    return end + 9;
  }
  return putText(bytes, at, ((BigInt(high) << 32n) | BigInt(low)).toString());
}

/** Writes a signed 64-bit number, given in two's complement, in decimal and returns where it ends. */
export function putSignedDecimal(bytes: Uint8Array, at: number, low: number, high: number): number {
  if (high < 0x80000000) return putDecimal(bytes, at, low, high);
  return putText(bytes, at, BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)).toString());
}

/** Writes a whole number below 2^53 in decimal and returns where it ends. */
export function putSmall(bytes: Uint8Array, at: number, value: number): number {
  // Nearly all are below 2^31, and then the engine divides integers.
  if (value <= 0x7fffffff) return putInt(bytes, at, value | 0);
  let end = at + digitsOf(value);
  const after = end;
  let rest = value;
  do {
    const tens = Math.floor(rest / 10);
    bytes[--end] = 48 + (rest - tens * 10);
    rest = tens;
  } while (rest > 0);
  return after;
}

function putInt(bytes: Uint8Array, at: number, value: number): number {
  const after = at + digitsOf(value);
  let end = after;
  let rest = value;
  do {
    const tens = (rest / 10) | 0;
    bytes[--end] = 48 + rest - tens * 10;
    rest = tens;
  } while (rest > 0);
  return after;
}

function putNineDigits(bytes: Uint8Array, at: number, value: number): void {
  let rest = value;
  for (let place = at + 8; place >= at; place--) {
    const tens = Math.floor(rest / 10);
    bytes[place] = 48 + (rest - tens * 10);
    rest = tens;
  }
}

/** Decimal digits of a whole number from 0 up to 2^53. */
export function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  let digits = 4;
  for (let limit = 10_000; value >= limit; limit *= 10) digits++;
  return digits;
}

/** Writes ASCII text and returns where it ends. */
export function putText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}
