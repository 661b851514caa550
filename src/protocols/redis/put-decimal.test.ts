import assert from "node:assert/strict";
import { test } from "node:test";
import { digitsOf, putDecimal, putSignedDecimal, putSmall } from "./put-decimal.ts";

const edges = [
  0n,
  9n,
  10n,
  99n,
  100n,
  999n,
  1000n,
  9999n,
  10_000n,
  999_999_999n,
  1_000_000_000n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  10n ** 15n,
  2n ** 53n - 1n,
  2n ** 53n,
  0x7fffffff10000000n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function text(put: (bytes: Uint8Array, at: number, low: number, high: number) => number, value: bigint): string {
  const bytes = new Uint8Array(32).fill(88);
  const unsigned = BigInt.asUintN(64, value);
  const end = put(bytes, 3, Number(unsigned & 0xffffffffn), Number(unsigned >> 32n));
  assert.equal(bytes[end], 88);
  assert.equal(Buffer.from(bytes.subarray(0, 3)).toString(), "XXX");
  return Buffer.from(bytes.subarray(3, end)).toString();
}

test("64-bit numbers in decimal", () => {
  for (const value of edges) {
    assert.equal(text(putDecimal, value), value.toString());
    const signed = BigInt.asIntN(64, value);
    assert.equal(text(putSignedDecimal, signed), signed.toString());
    assert.equal(text(putSignedDecimal, -signed), BigInt.asIntN(64, -signed).toString());
  }
});

test("small numbers and their digits", () => {
  for (const value of edges.filter((edge) => edge < 2n ** 53n).map(Number)) {
    assert.equal(digitsOf(value), String(value).length);
    const bytes = new Uint8Array(20);
    assert.equal(Buffer.from(bytes.subarray(0, putSmall(bytes, 0, value))).toString(), String(value));
  }
});
