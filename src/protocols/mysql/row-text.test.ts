import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { insertForm, loadForm, RowText } from "./row-text.ts";

function written(write: (text: RowText) => void, form = loadForm): string {
  const text = new RowText(form, 4);
  write(text);
  return Buffer.from(text.bytes).toString("latin1");
}

test("numbers are written as they are", () => {
  const some = [
    0,
    9,
    10,
    9999,
    10_000,
    99_999_999,
    100_000_000,
    4294967295,
    2 ** 53 - 1,
    -1,
    -1_000_000,
    -(2 ** 53) + 1,
  ];
  for (const number of some)
    assert.equal(
      written((text) => text.number(number)),
      String(number),
    );
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 }), (number) => {
      assert.equal(
        written((text) => text.number(number)),
        String(number),
      );
    }),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (number) => {
      const low = Number(BigInt.asUintN(32, number));
      const high = Number(BigInt.asUintN(32, number >> 32n));
      assert.equal(
        written((text) => text.signed64(low, high)),
        String(number),
      );
    }),
  );
});

test("bytes that mean something are escaped, all others stand for themselves", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const loaded = written((text) => text.value(all, 0, 256));
  assert.equal(loaded.length, 256 + 3);
  assert.equal(
    loaded.replace(/\\(.)/g, (_all, letter: string) => ({ t: "\t", n: "\n", "\\": "\\" })[letter] ?? "?"),
    Buffer.from(all).toString("latin1"),
  );
  assert.equal(
    written((text) => text.value(Buffer.from("it's \\ _"), 0, 8), insertForm),
    "_binary'it\\'s \\\\ _'",
  );
});
