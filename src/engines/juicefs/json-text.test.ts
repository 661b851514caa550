import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, duplicateKey, elementsOf, goIndented, goString, membersOf } from "./json-text.ts";

test("cuts objects and arrays at their own commas only", () => {
  assert.deepEqual(membersOf(' { "a" : [1, {"b":"},\\""}] ,\n"c\\u0041":-1.50e3 } '), [
    { key: "a", raw: '[1, {"b":"},\\""}]' },
    { key: "cA", raw: "-1.50e3" },
  ]);
  assert.deepEqual(membersOf("{ }"), []);
  assert.deepEqual(elementsOf('[ 1 ,"a]", [ ], {} ]'), ["1", '"a]"', "[ ]", "{}"]);
});

test("finds a key that occurs twice, at any depth", () => {
  assert.equal(duplicateKey('{"a":1,"b":{"c":[{"d":1,"\\u0064":2}]}}'), "d");
  assert.equal(duplicateKey('{"a":{"a":{"a":1}}}'), undefined);
});

test("refuses to dig into absurd nesting", () => {
  assert.throws(() => canonicalJson("[".repeat(100_000) + "]".repeat(100_000)), RangeError);
});

test("canonical and Go's spelling hold the same value as the text", () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 0, max: 3 }), (compact, indent) => {
      const text = JSON.stringify(JSON.parse(compact), undefined, indent);
      const value: unknown = JSON.parse(text);
      assert.deepEqual(JSON.parse(canonicalJson(text)), value);
      assert.deepEqual(JSON.parse(goIndented(text)), value);
      assert.equal(canonicalJson(goIndented(text)), canonicalJson(text));
    }),
  );
});

test("keeps numbers that no double holds", () => {
  assert.equal(canonicalJson('{"b": 18446744073709551615, "a": 1.10}'), '{"a":1.10,"b":18446744073709551615}');
});

test("escapes what Go escapes", () => {
  assert.equal(goString('<a>&"\u2028\b\u0001é'), '"\\u003ca\\u003e\\u0026\\"\\u2028\\b\\u0001é"');
  assert.equal(goIndented('{"0":{"ID":0,"Tag":""}}'), '{\n"0": {\n"ID": 0,\n"Tag": ""\n}\n}');
});
