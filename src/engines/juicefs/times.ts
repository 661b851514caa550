/**
 * JuiceFS' SQL engines hold a time as microseconds and, beside them, nanoseconds modulo 1000, both cut toward zero (`pkg/meta/sql.go`,
 * `setMtime`): a time before 1970 has both negative. Canonical is what POSIX has: seconds rounded down, nanoseconds from 0 to 999,999,999.
 * Equal moments are equal records, whichever way they were written.
 *
 * 64-bit numbers are two 32-bit halves, the low one first. Microseconds beyond 2^53 (after the year 2255) take the slow, exact path.
 */
export interface CanonicalTimes {
  readonly seconds: Uint32Array;
  readonly nanoseconds: Uint32Array;
}

/** Writes record `row` of a pair of canonical columns. `nanos` is the signed rest. */
export function putTime(times: CanonicalTimes, row: number, low: number, high: number, nanos: number): void {
  const top = high | 0;
  if (top >= 0x200000 || top < -0x200000) {
    putFarTime(times, row, low, top, nanos);
    return;
  }
  const micros = top * 4294967296 + (low >>> 0);
  let seconds = Math.floor(micros / 1e6);
  let rest = (micros - seconds * 1e6) * 1000 + nanos;
  if (rest < 0) {
    seconds--;
    rest += 1e9;
  } else if (rest >= 1e9) {
    seconds++;
    rest -= 1e9;
  }
  times.seconds[2 * row] = seconds;
  times.seconds[2 * row + 1] = Math.floor(seconds / 4294967296);
  times.nanoseconds[row] = rest;
}

function putFarTime(times: CanonicalTimes, row: number, low: number, top: number, nanos: number): void {
  const total = ((BigInt(top) << 32n) | BigInt(low >>> 0)) * 1000n + BigInt(nanos);
  let seconds = total / 1000000000n;
  let rest = total % 1000000000n;
  if (rest < 0n) {
    seconds--;
    rest += 1000000000n;
  }
  times.seconds[2 * row] = Number(BigInt.asUintN(32, seconds));
  times.seconds[2 * row + 1] = Number(BigInt.asUintN(32, seconds >> 32n));
  times.nanoseconds[row] = Number(rest);
}

/** A moment as the SQL engines hold it; `micros` is a bigint only where a number would not be exact. */
export interface SqlTime {
  micros: number | bigint;
  nanos: number;
}

/** Fills `into`, which the caller uses again and again: this is the hot path of a restore. */
export function sqlTimeOf(low: number, high: number, nanoseconds: number, into: SqlTime): void {
  const top = high | 0;
  if (top >= 2 || top < -2) {
    farSqlTime(low, top, nanoseconds, into);
    return;
  }
  const wholeMicros = Math.floor(nanoseconds / 1000);
  let micros = (top * 4294967296 + (low >>> 0)) * 1e6 + wholeMicros;
  let nanos = nanoseconds - wholeMicros * 1000;
  if (micros < 0 && nanos > 0) {
    micros++;
    nanos -= 1000;
  }
  into.micros = micros;
  into.nanos = nanos;
}

function farSqlTime(low: number, top: number, nanoseconds: number, into: SqlTime): void {
  const total = ((BigInt(top) << 32n) | BigInt(low >>> 0)) * 1000000000n + BigInt(nanoseconds);
  into.micros = total / 1000n;
  into.nanos = Number(total % 1000n);
}
