import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { compileGlob } from "./glob.ts";

function matches(pattern: string, name: string | Uint8Array): boolean {
  const bytes = typeof name === "string" ? Buffer.from(name) : name;
  const padded = Buffer.concat([Buffer.from("xx"), bytes, Buffer.from("yy")]);
  return compileGlob(pattern)(padded, 2, 2 + bytes.length);
}

test("stars, question marks, sets", () => {
  assert.ok(matches("*.log", "a.log"));
  assert.ok(!matches("*.log", "a.log2"));
  assert.ok(matches("a*b*c", "a-b-b-c"));
  assert.ok(matches("?", "ü"));
  assert.ok(!matches("?", "ab"));
  assert.ok(matches("[a-c]x", "bx"));
  assert.ok(!matches("[!a-c]x", "bx"));
  assert.ok(matches("[ä-ü]", "ö"));
  assert.ok(matches("[]x]", "]"));
  assert.ok(matches("[a", "[a"));
  assert.ok(matches(String.raw`\*`, "*"));
  assert.ok(!matches(String.raw`\*`, "a"));
  assert.ok(matches("*", ""));
  assert.ok(!matches("?", ""));
});

test("bytes that are not UTF-8", () => {
  assert.ok(matches("a%FFb", Uint8Array.of(0x61, 0xff, 0x62)));
  assert.ok(matches("a?b", Uint8Array.of(0x61, 0xff, 0x62)));
  assert.ok(matches("a*", Uint8Array.of(0x61, 0xe4)));
  assert.ok(matches("%2A", "*"));
  assert.ok(!matches("%2A", "a"));
});

test("agrees with a regular expression", () => {
  const pattern = fc.array(fc.constantFrom("a", "b", "*", "?", "[ab]", "[!a]", "é"), { maxLength: 8 });
  const name = fc.array(fc.constantFrom("a", "b", "c", "é"), { maxLength: 10 });
  fc.assert(
    fc.property(pattern, name, (tokens, characters) => {
      const source = tokens
        .map((token) => (token === "*" ? ".*" : token === "?" ? "." : token.replace("!", "^")))
        .join("");
      const text = characters.join("");
      assert.equal(matches(tokens.join(""), text), new RegExp(`^${source}$`, "u").test(text));
    }),
  );
});
