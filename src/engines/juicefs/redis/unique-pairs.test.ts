import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import type { UniquePairs } from "./unique-pairs.ts";
import { openUniquePairs } from "./unique-pairs.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-pairs-"));
after(() => rmSync(folder, { recursive: true }));

function taken(pairs: UniquePairs): Map<string, string> {
  const found = new Map<string, string>();
  for (const { bytes, keyStart, keyEnd, valueEnd } of pairs.pairs()) {
    const key = bytes.toString("latin1", keyStart, keyEnd);
    assert.ok(!found.has(key));
    found.set(key, bytes.toString("latin1", keyEnd, valueEnd));
  }
  return found;
}

test("each key comes once, with the value that was added last", () => {
  const key = fc.oneof(fc.uint8Array({ maxLength: 2 }), fc.uint8Array({ maxLength: 300 }));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(key, fc.uint8Array({ maxLength: 40 }))),
      fc.integer({ min: 0, max: 1e6 }),
      (added, expected) => {
        const wanted = new Map<string, string>();
        using pairs = openUniquePairs(folder, expected);
        for (const [name, value] of added) {
          pairs.add(name, value);
          wanted.set(Buffer.from(name).toString("latin1"), Buffer.from(value).toString("latin1"));
        }
        assert.deepEqual(taken(pairs), wanted);
      },
    ),
  );
  assert.deepEqual(readdirSync(folder), []);
});

test("many pairs, and values above the buffers, go through files", () => {
  using pairs = openUniquePairs(folder, 400_000);
  const count = 100_000;
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at < count; at++) pairs.add(Buffer.from(`key-${at}`), Buffer.from(`${round}-${at}`));
  }
  pairs.add(Buffer.from("large"), Buffer.alloc(200_000, "a"));
  const found = taken(pairs);
  assert.equal(found.size, count + 1);
  assert.equal(found.get("key-77"), "1-77");
  assert.equal(found.get("large")?.length, 200_000);
});
