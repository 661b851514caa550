import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { InodeMap } from "./inode-map.ts";
import { InodeSet } from "./inode-set.ts";

const half = fc.oneof(fc.nat({ max: 0xffffffff }), fc.nat({ max: 20_000 }), fc.constantFrom(0x7fffffff, 0xffffffff));
const inodes = fc.array(fc.tuple(half, fc.constantFrom(0, 1, 0x7fffffff)), { maxLength: 3000 });

test("the map holds what a Map holds", () => {
  fc.assert(
    fc.property(inodes, (list) => {
      const map = new InodeMap();
      const model = new Map<string, number>();
      list.forEach(([low, high], at) => {
        map.set(low, high, at);
        model.set(`${low} ${high}`, at);
      });
      assert.equal(map.size, model.size);
      for (const [low, high] of list) assert.equal(map.get(low, high), model.get(`${low} ${high}`));
      assert.equal(map.get(77, 5), -1);
    }),
    { numRuns: 30 },
  );
});

test("the set holds what a Set holds", () => {
  fc.assert(
    fc.property(inodes, inodes, (list, others) => {
      const set = new InodeSet();
      const model = new Set<string>();
      for (const [low, high] of list) {
        assert.equal(set.has(low, high), model.has(`${low} ${high}`));
        if (model.has(`${low} ${high}`)) continue;
        set.add(low, high);
        model.add(`${low} ${high}`);
      }
      assert.equal(set.size, model.size);
      for (const [low, high] of [...list, ...others]) assert.equal(set.has(low, high), model.has(`${low} ${high}`));
    }),
    { numRuns: 30 },
  );
});

test("a full container becomes a bitmap", () => {
  const set = new InodeSet();
  for (let low = 65_535; low >= 0; low -= 1) if (low % 3 !== 0) set.add(low, 0);
  for (let low = 0; low < 65_536; low += 1) assert.equal(set.has(low, 0), low % 3 !== 0);
  assert.equal(set.has(65_537, 0), false);
});
