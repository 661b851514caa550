import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parsed, parseSigned, parseWhole } from "./decimal-key.ts";

const bytesOf = (text: string): Uint8Array => Buffer.from(`x${text}y`);

function whole(text: string): bigint | undefined {
  const isNumber = parseWhole(bytesOf(text), 1, 1 + text.length);
  return isNumber ? (BigInt(parsed.high) << 32n) | BigInt(parsed.low) : undefined;
}

function signed(text: string): bigint | undefined {
  const isNumber = parseSigned(bytesOf(text), 1, 1 + text.length);
  return isNumber ? BigInt.asIntN(64, (BigInt(parsed.high) << 32n) | BigInt(parsed.low)) : undefined;
}

test("every number of 64 bits is read as it is printed", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => assert.equal(whole(`${value}`), value)),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) =>
      assert.equal(signed(`${value}`), value),
    ),
  );
  for (const text of ["0", "9", "999999999999999", "9007199254740993", "18446744073709551615"]) {
    assert.equal(whole(text), BigInt(text));
  }
  for (const text of ["-9223372036854775808", "-4294967296", "-1", "9223372036854775807"]) {
    assert.equal(signed(text), BigInt(text));
  }
});

test("anything else is no number", () => {
  for (const text of [
    "",
    "00",
    "01",
    "1a",
    " 1",
    "+1",
    "-1",
    "18446744073709551616",
    "99999999999999999999999",
    "1.0",
  ]) {
    assert.equal(whole(text), undefined, text);
  }
  for (const text of ["", "-", "--1", "-01", "9223372036854775808", "-9223372036854775809"]) {
    assert.equal(signed(text), undefined, text);
  }
});
