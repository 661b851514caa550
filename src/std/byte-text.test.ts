import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { counts } from "../../test/counts.ts";
import { bytesToText, textToBytes } from "./byte-text.ts";

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40, size: "max" }),
  fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => new Uint8Array(Buffer.from(text, "utf8"))),
  fc
    .tuple(fc.string({ unit: "binary", maxLength: 10 }), fc.uint8Array({ maxLength: 5 }))
    .map(([text, rest]) => new Uint8Array(Buffer.concat([Buffer.from(text, "utf8"), rest]))),
);

test("bytes come back from their text", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => assert.deepEqual(textToBytes(bytesToText(bytes)), new Uint8Array(bytes))),
    { numRuns: counts.propertyRuns * 10 },
  );
});

test("no text holds what a terminal would obey", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => assert.doesNotMatch(bytesToText(bytes), /[\p{C}\p{Zl}\p{Zp}]/u)),
    { numRuns: counts.propertyRuns * 10 },
  );
});

test("text is escaped only where it must be", () => {
  const text = (bytes: string | number[]): string => bytesToText(Buffer.from(bytes as string));
  assert.equal(text("plain name.txt"), "plain name.txt");
  assert.equal(text("köttbullar 北京 🪨"), "köttbullar 北京 🪨");
  assert.equal(text("100%"), "100%25");
  assert.equal(text("a\nb\u001b[31m"), "a%0Ab%1B[31m");
  assert.equal(text("\u202egnp.exe"), "%E2%80%AEgnp.exe");
  assert.equal(text([0x66, 0xff, 0x6f]), "f%FFo");
  // Overlong, a surrogate, and a character that is cut off are no UTF-8.
  assert.equal(text([0xc0, 0xaf]), "%C0%AF");
  assert.equal(text([0xed, 0xa0, 0x80]), "%ED%A0%80");
  assert.equal(text([0xe5, 0x8c]), "%E5%8C");
});

test("a percent sign that begins no escape stands for itself", () => {
  assert.deepEqual(textToBytes("50%"), new Uint8Array(Buffer.from("50%")));
  assert.deepEqual(textToBytes("%zz%4"), new Uint8Array(Buffer.from("%zz%4")));
  assert.deepEqual(textToBytes("%fF"), Uint8Array.of(0xff));
});
