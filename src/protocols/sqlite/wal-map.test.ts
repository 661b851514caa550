import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { buildWalMap } from "./wal-map.ts";

test("finds the last frame of every page, and none of others (property)", () => {
  const pages = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 0xffffffff })), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(pages, fc.integer({ min: 1, max: 1000 }), (list, firstFrame) => {
      const map = buildWalMap(Uint32Array.from(list), firstFrame);
      const expected = new Map(list.map((page, index) => [page, firstFrame + index]));
      assert.equal(map.pageCount, expected.size);
      for (const page of [...list, 1, 2, 3, 41, 0xffffffff]) assert.equal(map.frameOf(page), expected.get(page) ?? 0);
    }),
  );
});
