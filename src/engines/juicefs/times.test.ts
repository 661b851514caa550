import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { signedAt } from "../../model/batch.ts";
import { putTime, sqlTimeOf } from "./times.ts";

const halves = (value: bigint): [number, number] => [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)];

function canonical(micros: bigint, nanos: number): [bigint, number] {
  const times = { seconds: new Uint32Array(4), nanoseconds: new Uint32Array(2) };
  putTime(times, 1, ...halves(micros), nanos);
  return [signedAt(times.seconds, 1), times.nanoseconds[1]];
}

function sql(seconds: bigint, nanoseconds: number): [bigint, number] {
  const into = { micros: 0 as number | bigint, nanos: 0 };
  sqlTimeOf(...halves(seconds), nanoseconds, into);
  return [BigInt(into.micros), into.nanos];
}

test("moments that the real client wrote, before 1970 too", () => {
  assert.deepEqual(canonical(1795254433391862n, 49), [1795254433n, 391862049]);
  // Half a second before 1970, and the last nanosecond: microseconds and rest are cut toward zero.
  assert.deepEqual(canonical(-500000n, 0), [-1n, 500000000]);
  assert.deepEqual(canonical(0n, -1), [-1n, 999999999]);
  assert.deepEqual(canonical(-8032952072721897n, -295), [-8032952073n, 278102705]);
  assert.deepEqual(sql(-8032952073n, 278102705), [-8032952072721897n, -295]);
  assert.deepEqual(canonical(9223372036854775n, 807), [9223372036n, 854775807]);
});

test("both spellings of a moment before 1970 are one", () => {
  assert.deepEqual(canonical(-1n, 999), canonical(0n, -1));
});

test("there and back, near and far", () => {
  const seconds = fc.oneof(
    fc.bigInt({ min: -(10n ** 10n), max: 10n ** 10n }),
    fc.bigInt({ min: -9_000_000_000_000n, max: 9_000_000_000_000n }),
  );
  fc.assert(
    fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), (whole, part) => {
      const [micros, nanos] = sql(whole, part);
      assert.equal(micros * 1000n + BigInt(nanos), whole * 1_000_000_000n + BigInt(part));
      assert.ok(Math.abs(nanos) < 1000 && (nanos === 0 || micros === 0n || nanos < 0 === micros < 0n));
      assert.deepEqual(canonical(micros, nanos), [whole, part]);
    }),
    { numRuns: 2000 },
  );
});
