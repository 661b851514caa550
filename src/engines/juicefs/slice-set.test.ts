import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { SliceSet } from "./slice-set.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-slice-set-"));
after(() => rmSync(folder, { recursive: true }));

function sorted(ids: readonly bigint[], memoryBytes: number): bigint[] {
  using set = new SliceSet(folder, memoryBytes);
  for (const id of ids) set.add(Number(id & 0xffffffffn), Number(id >> 32n), Number(id % 1000n));
  const found: bigint[] = [];
  for (const run of set.sorted()) {
    for (let at = 0; at < run.count; at++) {
      const id = (BigInt(run.idsHigh[at]) << 32n) | BigInt(run.idsLow[at]);
      assert.equal(run.sizes[at], Number(id % 1000n));
      found.push(id);
    }
  }
  return found;
}

const distinct = (ids: readonly bigint[]): bigint[] =>
  [...new Set(ids)].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));

test("gives every slice once, in the order of the ids", () => {
  const id = fc.oneof(fc.bigInt({ min: 1n, max: 50n }), fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }));
  fc.assert(
    fc.property(fc.array(id, { maxLength: 300 }), (ids) => {
      assert.deepEqual(sorted(ids, 1 << 20), distinct(ids));
    }),
  );
});

test("merges what did not fit into memory, and leaves no file behind", () => {
  const ids = Array.from({ length: 200_000 }, (_, at) => BigInt((at * 7_919) % 90_001) * 123_456_789n + 1n);
  // The least buffer is 8,192 slices: eleven runs and more.
  assert.deepEqual(sorted(ids, 1), distinct(ids));
  assert.deepEqual(readdirSync(folder), []);
});
