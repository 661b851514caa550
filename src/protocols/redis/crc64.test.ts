import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Crc64 } from "./crc64.ts";

function sumOf(bytes: Uint8Array, cuts: readonly number[] = []): string {
  const crc = new Crc64();
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const to = Math.min(bytes.length, Math.max(from, cut));
    crc.update(bytes, from, to);
    from = to;
  }
  return crc.high.toString(16).padStart(8, "0") + crc.low.toString(16).padStart(8, "0");
}

test("the check value of CRC-64/Redis", () => {
  assert.equal(sumOf(Buffer.from("123456789")), "e9c6d914c4b8d9ca");
});

test("the sum is that of the bits one by one, in any cut", () => {
  const slow = (bytes: Uint8Array): string => {
    let crc = 0n;
    for (const byte of bytes) {
      crc ^= BigInt(byte);
      for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x95ac9329ac4bc9b5n : crc >> 1n;
    }
    return crc.toString(16).padStart(16, "0");
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.array(fc.nat(100), { maxLength: 5 }), (bytes, cuts) => {
      assert.equal(
        sumOf(
          bytes,
          cuts.toSorted((a, b) => a - b),
        ),
        slow(bytes),
      );
    }),
  );
});
