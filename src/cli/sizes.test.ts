import assert from "node:assert/strict";
import test from "node:test";
import { parseSize, sizeOption } from "./sizes.ts";

test("takes sizes in powers of 1,024", () => {
  assert.equal(parseSize("256M"), 268_435_456);
  assert.equal(parseSize("4KiB"), 4096);
  assert.equal(parseSize("1.5g"), 1_610_612_736);
  assert.equal(parseSize("12"), 12);
  for (const text of ["", "M", "-1", "1X", "1 2", "9999999999T"]) assert.equal(parseSize(text), undefined);
});

test("an option's size has a least", () => {
  assert.equal(sizeOption("--memory", "64M", 32 << 20), 64 << 20);
  assert.throws(() => sizeOption("--memory", "1M", 32 << 20), { code: "usage", exit: "wrongUse" });
});
