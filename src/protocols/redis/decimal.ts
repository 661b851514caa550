/** Writes a whole number below 2^53 in size as decimal ASCII and returns where it ends; 16 bytes must be left, and one for the sign. */
export function writeDecimal(value: number, into: Uint8Array, start: number): number {
  let at = start;
  let rest = value;
  if (rest < 0) {
    into[at++] = 0x2d;
    rest = -rest;
  }
  let digits = 1;
  for (let bound = 10; bound <= rest; bound *= 10) digits++;
  const end = at + digits;
  for (let place = end - 1; place >= at; place--) {
    const next = Math.floor(rest / 10);
    into[place] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return end;
}

/** The same for any 64-bit number, given as two's complement in halves; 20 bytes must be left. */
export function writeDecimal64(low: number, high: number, into: Uint8Array, start: number): number {
  if (high === low >> 31) return writeDecimal(low | 0, into, start);
  const text = BigInt.asIntN(64, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString();
  for (let at = 0; at < text.length; at++) into[start + at] = text.charCodeAt(at);
  return start + text.length;
}
